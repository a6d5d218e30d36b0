"""Stock boto3 against `strongroom-local-kms`, with a key policy of `strongroom kms key-policy`.

Nothing of Strongroom's runs in the client: boto3 signs and speaks the protocol, `cryptography` makes the RSA
key, `openssl cms` opens what KMS seals to it. Prints a line for each check. Usage: kms.py FOLDER_OF_PROGRAMS
"""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

REGION = "eu-central-1"
IMAGE, OTHER_IMAGE = "the reviewed image", "another image"
CONTEXT = {"strongroom:purpose": "dek"}
checks = 0


def check(what, passed):
    global checks
    if not passed:
        sys.exit(f"FAILED: {what}")
    checks += 1
    print(f"ok  {what}", flush=True)


def refused(what, code, call, **arguments):
    """Checks that a call fails with this error code; gives the message."""
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        passed = (found, status) == (code, 400)
        check(f"{what}: {code}" if passed else f"{what}: expected {code}, found {status} {found}", passed)
        return error.response["Error"].get("Message", "")
    return check(f"{what}: expected {code}, found no error", False)


def pcr(content):
    """A fresh register that is extended with the SHA-384 of these bytes."""
    return hashlib.sha384(bytes(48) + hashlib.sha384(content).digest()).hexdigest()


def meaning(policy):
    """A key policy without what KMS may write in another way each time: orders, and lists of one."""
    def sorted_out(value):
        if isinstance(value, dict):
            return {name: sorted_out(member) for name, member in value.items()}
        if isinstance(value, list):
            entries = sorted((sorted_out(entry) for entry in value), key=lambda entry: json.dumps(entry, sort_keys=True))
            return entries[0] if len(entries) == 1 else entries
        return value
    return sorted_out(json.loads(policy))


def session(role):
    """How errors name a role that signs: as its session, of which the last part is the service's to choose."""
    return role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/"


class World:
    """The programs, and a temporary folder of theirs."""

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        self.enclave = self.json("strongroom-mock-enclave", "init", "--dir", folder / "nsm", "--image", IMAGE)
        self.other = self.json("strongroom-mock-enclave", "init", "--dir", folder / "nsm", "--image", OTHER_IMAGE)
        self.kms = self.json("strongroom-local-kms", "init", "--dir", folder / "kms",
                             "--mock-nsm-root", self.enclave["root"], "--region", REGION)
        self.config, self.policy = folder / "enclave.toml", folder / "policy.json"
        self.config.write_bytes(b"the configuration\n")
        self.policy.write_bytes(b'{"the": "policy"}')
        self.changed = folder / "changed"
        self.changed.write_bytes(b"something else")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private_key, self.public_key = folder / "key.pem", folder / "key.der"
        self.private_key.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.public_key.write_bytes(key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
        self.url = None

    def run(self, program, *arguments):
        command = [str(self.programs / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"FAILED: {program} {arguments[0]}: {done.stderr}")
        return done.stdout

    def json(self, *command):
        return json.loads(self.run(*command))

    @contextlib.contextmanager
    def serving(self):
        """The server, on a port that the system chooses, until the end of its standard input."""
        command = [str(self.programs / "strongroom-local-kms"), "serve", "--listen", "127.0.0.1:0",
                   "--dir", str(self.folder / "kms"), "--mock-nsm-root", self.enclave["root"], "--exit-with-stdin"]
        with open(self.folder / "kms.log", "ab") as log:
            start = log.tell()
            server = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)
        try:
            deadline = time.monotonic() + 10
            while True:
                said = (self.folder / "kms.log").read_bytes()[start:].decode()
                lines = [line for line in said.splitlines(True) if "listening on" in line and line.endswith("\n")]
                if lines:
                    break
                if server.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"FAILED: the server did not start: {said}")
                time.sleep(0.02)
            self.url = f"https://localhost:{lines[0].strip().rsplit(':', 1)[1]}"
            yield
        finally:
            server.stdin.close()
            server.wait(timeout=10)

    def client(self, credentials_file=None, region=REGION, config=None, **credentials):
        session = botocore.session.Session()
        if credentials_file:
            session.set_config_variable("credentials_file", credentials_file)
        return boto3.Session(botocore_session=session, region_name=region, **credentials).client(
            "kms", endpoint_url=self.url, verify=self.kms["ca"],
            config=(config or Config()).merge(Config(retries={"total_max_attempts": 1}, proxies={})))

    def recipient(self, image=IMAGE, config=True, policy=True):
        """A fresh document, as each call needs one."""
        measured = []
        for option, given, own in [("--config", config, self.config), ("--policy", policy, self.policy)]:
            if given:
                measured += [option, own if given is True else given]
        document = self.run("strongroom-mock-enclave", "attest", "--dir", self.folder / "nsm", "--image", image,
                            "--public-key", self.public_key, *measured)
        return {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": base64.b64decode(document)}

    def key_policy(self, *images):
        releases = [option for image in images for option in ("--pcr0", image["pcr0"])]
        return self.run("strongroom", "kms", "key-policy", *releases,
                        "--config-pcr", pcr(self.config.read_bytes()), "--policy-pcr", pcr(self.policy.read_bytes()),
                        "--enclave-role", self.kms["enclave_role"], "--admin-role", self.kms["admin_role"])

    def says(self, client, arn, policy):
        """Whether KMS gives this policy, each time, in whatever words."""
        given = {client.get_key_policy(KeyId=arn, PolicyName="default")["Policy"] for _ in range(8)}
        return all(meaning(text) == meaning(policy) for text in given)

    def findings(self, client, arn):
        """How many holes `strongroom kms lint-policy` finds in the policy that KMS gives."""
        policy = self.folder / "seen.json"
        policy.write_text(client.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
        done = subprocess.run([str(self.programs / "strongroom"), "kms", "lint-policy", str(policy), "--json"],
                              capture_output=True, text=True)
        findings = json.loads(done.stdout)["findings"]
        if done.returncode != (1 if findings else 0):
            sys.exit(f"FAILED: the linter says {len(findings)} findings, and exits with {done.returncode}")
        return len(findings)

    def open(self, reply):
        """What an attested reply carries, by OpenSSL; its plaintext must be there in no other form."""
        if reply.get("Plaintext"):
            sys.exit("FAILED: an attested reply carries a plaintext")
        return subprocess.run(
            ["openssl", "cms", "-decrypt", "-inform", "DER", "-binary", "-inkey", str(self.private_key)],
            input=reply["CiphertextForRecipient"], check=True, stdout=subprocess.PIPE).stdout


def keys_are_released_to_the_measured_enclave_only(world):
    enclave, admin = world.client(world.kms["enclave_credentials"]), world.client(world.kms["admin_credentials"])
    policy = world.key_policy(world.enclave)
    made = admin.create_key(Policy=policy, Description="the KEK")["KeyMetadata"]
    arn = made["Arn"]
    check("CreateKey with a policy for one image, configuration and policy",
          made["Enabled"] and made["KeyManager"] == "CUSTOMER" and made["Origin"] == "AWS_KMS")
    described = enclave.describe_key(KeyId=arn)["KeyMetadata"]
    check("DescribeKey describes it", described["Arn"] == arn and described["KeyState"] == "Enabled")
    check("GetKeyPolicy gives the policy that was put", world.says(enclave, arn, policy))
    check("the linter finds no hole in it", world.findings(enclave, arn) == 0)
    check("ListGrants lists none", enclave.list_grants(KeyId=arn)["Grants"] == [])

    generate = {"KeyId": arn, "KeySpec": "AES_256", "EncryptionContext": CONTEXT}
    reply = enclave.generate_data_key(**generate, Recipient=world.recipient())
    dek, blob = world.open(reply), reply["CiphertextBlob"]
    check("GenerateDataKey with Recipient: OpenSSL opens CiphertextForRecipient, and there is no Plaintext",
          len(dek) == 32 and reply["KeyId"] == arn)
    decrypt = {"KeyId": arn, "CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    reply = enclave.decrypt(**decrypt, Recipient=world.recipient())
    check("Decrypt with Recipient: the same key, and no Plaintext", world.open(reply) == dek and reply["KeyId"] == arn)

    for name, call, arguments in [("GenerateDataKey", "generate_data_key", generate), ("Decrypt", "decrypt", decrypt)]:
        message = refused(f"{name} without Recipient", "AccessDeniedException", getattr(enclave, call), **arguments)
        check("  and the message names the role, the action and the key",
              session(world.kms["enclave_role"]) in message and f"kms:{name}" in message and arn in message)
        refused(f"{name} with Recipient by the admins' role", "AccessDeniedException",
                getattr(admin, call), **arguments, Recipient=world.recipient())
    for what, measured in [
        ("another image", {"image": OTHER_IMAGE}),
        ("another configuration", {"config": world.changed}),
        ("another policy", {"policy": world.changed}),
        ("no configuration", {"config": False}),
        ("no policy", {"policy": False}),
    ]:
        refused(f"Decrypt for {what}", "AccessDeniedException",
                enclave.decrypt, **decrypt, Recipient=world.recipient(**measured))
    refused("Decrypt with another encryption context", "InvalidCiphertextException", enclave.decrypt,
            **{**decrypt, "EncryptionContext": {"strongroom:purpose": "other"}}, Recipient=world.recipient())
    forged = world.recipient()
    document = bytearray(forged["AttestationDocument"])
    document[len(document) // 2] ^= 1
    refused("Decrypt with a changed document", "ValidationException", enclave.decrypt,
            **decrypt, Recipient={**forged, "AttestationDocument": bytes(document)})
    return arn, dek, blob


def only_signed_requests_are_answered(world, arn):
    with open(world.kms["enclave_credentials"]) as file:
        own = dict(line.strip().split(" = ") for line in file if " = " in line)
    key_id, secret = own["aws_access_key_id"], own["aws_secret_access_key"]

    def describe(**client):
        return lambda: world.client(**client).describe_key(KeyId=arn)

    refused("a wrong secret key", "InvalidSignatureException",
            describe(aws_access_key_id=key_id, aws_secret_access_key=secret[::-1]))
    refused("an unknown access key", "UnrecognizedClientException",
            describe(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key=secret))
    refused("a session token where there is none", "UnrecognizedClientException",
            describe(aws_access_key_id=key_id, aws_secret_access_key=secret, aws_session_token="token"))
    refused("a signature for another region", "InvalidSignatureException",
            describe(region="us-east-1", aws_access_key_id=key_id, aws_secret_access_key=secret))
    refused("no signature", "MissingAuthenticationTokenException",
            describe(config=Config(signature_version=UNSIGNED)))

    role = world.json("strongroom-local-kms", "add-role", "--dir", world.folder / "kms",
                      "--name", "visitor", "--temporary")
    temporary = {"aws_access_key_id": role["access_key_id"], "aws_secret_access_key": role["secret_access_key"]}
    refused("temporary credentials without their token", "UnrecognizedClientException", describe(**temporary))
    temporary["aws_session_token"] = role["session_token"]
    late = world.json("strongroom-local-kms", "add-role", "--dir", world.folder / "kms",
                      "--name", "late", "--temporary", "--expires-in", "0s")
    refused("temporary credentials that have expired", "ExpiredTokenException",
            describe(aws_access_key_id=late["access_key_id"], aws_secret_access_key=late["secret_access_key"],
                     aws_session_token=late["session_token"]))
    message = refused("a role that the key policy does not name", "AccessDeniedException", describe(**temporary))
    check("  and it is known by its signature", session(role["arn"]) in message)
    visitor = world.client(**temporary)
    random = visitor.generate_random(NumberOfBytes=24)["Plaintext"]
    check("GenerateRandom, which no key policy governs", len(random) == 24)
    reply = visitor.generate_random(NumberOfBytes=24, Recipient=world.recipient())
    check("GenerateRandom with Recipient: sealed, and no Plaintext", len(world.open(reply)) == 24)


def ways_around_attestation_are_closed(world, arn, blob):
    enclave, admin = world.client(world.kms["enclave_credentials"]), world.client(world.kms["admin_credentials"])
    elsewhere = admin.create_key()["KeyMetadata"]["Arn"]
    reply = enclave.generate_data_key(KeyId=elsewhere, KeySpec="AES_256")
    check("the policy that a key has by default gives a Plaintext to the enclave's role", len(reply["Plaintext"]) == 32)
    check("  which the linter finds", world.findings(enclave, elsewhere) > 0)
    for name, client in [("the enclave's role", enclave), ("the admins' role", admin)]:
        refused(f"Encrypt by {name}", "AccessDeniedException", client.encrypt,
                KeyId=arn, Plaintext=bytes(32), EncryptionContext=CONTEXT)
        refused(f"ReEncrypt to another key by {name}", "AccessDeniedException", client.re_encrypt,
                CiphertextBlob=blob, SourceEncryptionContext=CONTEXT, DestinationKeyId=elsewhere)
        refused(f"CreateGrant by {name}", "AccessDeniedException", client.create_grant,
                KeyId=arn, GranteePrincipal=world.kms["enclave_role"], Operations=["Decrypt"])
    refused("PutKeyPolicy by the enclave's role", "AccessDeniedException", enclave.put_key_policy,
            KeyId=arn, PolicyName="default", Policy=world.key_policy(world.enclave))


def a_key_lives_through_changes(world, arn, dek, blob):
    enclave, admin = world.client(world.kms["enclave_credentials"]), world.client(world.kms["admin_credentials"])
    decrypt = {"KeyId": arn, "CiphertextBlob": blob, "EncryptionContext": CONTEXT}
    refused("PutKeyPolicy of what is no policy", "MalformedPolicyDocumentException", admin.put_key_policy,
            KeyId=arn, PolicyName="default", Policy="{}")
    policy = world.key_policy(world.enclave, world.other)
    refused("PutKeyPolicy with a role that does not exist", "MalformedPolicyDocumentException", admin.put_key_policy,
            KeyId=arn, PolicyName="default", Policy=policy.replace("role/strongroom-enclave", "role/nobody"))
    admin.put_key_policy(KeyId=arn, PolicyName="default", Policy=policy)
    check("PutKeyPolicy by the admins' role (break-glass) is seen at once", world.says(enclave, arn, policy))
    reply = enclave.decrypt(**decrypt, Recipient=world.recipient(image=OTHER_IMAGE))
    check("Decrypt for the image that it adds", world.open(reply) == dek)

    admin.rotate_key_on_demand(KeyId=arn)
    reply = enclave.decrypt(**decrypt, Recipient=world.recipient())
    check("Decrypt of a blob of before RotateKeyOnDemand", world.open(reply) == dek)
    generate = {"KeyId": arn, "KeySpec": "AES_256", "EncryptionContext": CONTEXT}
    reply = enclave.generate_data_key(**generate, Recipient=world.recipient())
    return policy, world.open(reply), reply["CiphertextBlob"]


def what_was_made_survives_a_restart(world, arn, policy, pairs):
    enclave = world.client(world.kms["enclave_credentials"])
    check("after a restart: the same policy", world.says(enclave, arn, policy))
    for what, dek, blob in pairs:
        reply = enclave.decrypt(KeyId=arn, CiphertextBlob=blob, EncryptionContext=CONTEXT, Recipient=world.recipient())
        check(f"after a restart: Decrypt of a blob of {what} the rotation", world.open(reply) == dek)


def main(programs):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    # Nor what the user of this machine has set up for the AWS tools.
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        world = World(pathlib.Path(programs).resolve(), pathlib.Path(folder))
        with world.serving():
            arn, dek, blob = keys_are_released_to_the_measured_enclave_only(world)
            only_signed_requests_are_answered(world, arn)
            ways_around_attestation_are_closed(world, arn, blob)
            policy, second_dek, second_blob = a_key_lives_through_changes(world, arn, dek, blob)
        with world.serving():
            pairs = [("before", dek, blob), ("after", second_dek, second_blob)]
            what_was_made_survives_a_restart(world, arn, policy, pairs)
    print(f"boto3 {boto3.__version__} and the local KMS: {checks} checks passed in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
