//! The local KMS, asked as an enclave asks it: documents of a mock NSM, key policies, sealed replies.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use strongroom_attestation::{
    UnixTime,
    cms::RecipientKey,
    measure::{Pcr, extend_from_zero, measurement},
    nsm::{AttestRequest, NsmClient},
};
use strongroom_mock::{
    kms::{self, LocalKms},
    nsm::{MockNsm, image_measurements},
    pki::MockPki,
};

const IMAGE: &str = "enclave-image";
const CONFIGURATION: &[u8] = b"configuration";

/// A KMS whose key is released to `IMAGE` with `CONFIGURATION` only, and an enclave that is both.
struct World {
    dir: tempfile::TempDir,
    pki: MockPki,
    kms: LocalKms,
    arn: String,
    nsm: MockNsm,
    key: RecipientKey,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = MockPki::ephemeral().unwrap();
        let arn = kms::init(dir.path(), "eu-central-1", None).unwrap().key_arn.to_string();
        let kms = LocalKms::open(dir.path(), pki.trust_anchor().unwrap()).unwrap();
        let nsm = started(MockNsm::new(pki.clone(), IMAGE).unwrap());
        let world = Self { dir, pki, kms, arn, nsm, key: RecipientKey::generate().unwrap() };
        let [pcr0, ..] = image_measurements(IMAGE);
        world.set_policy(&[attested(pcr0), open(&["kms:Encrypt", "kms:DescribeKey"])]);
        world
    }

    fn set_policy(&self, statements: &[Value]) {
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        kms::set_policy(self.dir.path(), &policy).unwrap();
    }

    fn document(&self, nsm: &MockNsm) -> Vec<u8> {
        let public_key = Some(self.key.public_key_der().to_vec());
        let request = AttestRequest { public_key, ..AttestRequest::default() };
        NsmClient::new(nsm).attest(request).unwrap()
    }

    fn call(&self, operation: &str, request: &Value) -> Result<Value, (String, String)> {
        let target = format!("TrentService.{operation}");
        let reply = self.kms.handle(&target, request.to_string().as_bytes(), now());
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        if reply.status == 200 {
            return Ok(body);
        }
        assert_eq!(reply.status, 400);
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let message = text("Message").or_else(|| text("message")).unwrap();
        Err((text("__type").unwrap(), message))
    }

    fn generate(&self, document: &[u8]) -> Result<Value, (String, String)> {
        self.call(
            "GenerateDataKey",
            &json!({
                "KeyId": self.arn, "KeySpec": "AES_256",
                "EncryptionContext": {"purpose": "dek"}, "Recipient": recipient(document)
            }),
        )
    }

    fn decrypt(
        &self,
        blob: &Value,
        purpose: &str,
        nsm: &MockNsm,
    ) -> Result<Value, (String, String)> {
        self.call(
            "Decrypt",
            &json!({
                "KeyId": self.arn, "CiphertextBlob": blob,
                "EncryptionContext": {"purpose": purpose}, "Recipient": recipient(&self.document(nsm))
            }),
        )
    }

    /// What an attested reply carries, after a look that it carries it only sealed.
    fn open(&self, reply: &Value) -> Vec<u8> {
        assert!(reply.get("Plaintext").is_none(), "no plaintext in an attested reply");
        assert_eq!(reply.get("KeyId").unwrap(), &self.arn);
        let sealed = bytes(reply.get("CiphertextForRecipient").unwrap());
        self.key.open(&sealed).unwrap().to_vec()
    }
}

fn attested(pcr0: Pcr) -> Value {
    json!({
        "Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Condition": {"StringEqualsIgnoreCase": {
            "kms:RecipientAttestation:ImageSha384": pcr0.to_string(),
            "kms:RecipientAttestation:PCR16": extend_from_zero(CONFIGURATION).to_string(),
        }}
    })
}

fn open(actions: &[&str]) -> Value {
    json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*", "Action": actions})
}

/// An enclave that has measured its configuration.
fn started(nsm: MockNsm) -> MockNsm {
    NsmClient::new(&nsm).extend_and_lock(16, &measurement(CONFIGURATION)).unwrap();
    nsm
}

fn recipient(document: &[u8]) -> Value {
    json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": STANDARD.encode(document)
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn now() -> UnixTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    UnixTime::since_unix_epoch(now)
}

fn kind(result: Result<Value, (String, String)>) -> String {
    result.unwrap_err().0
}

#[test]
fn a_data_key_is_generated_sealed_and_decrypted_again() {
    let world = World::new();
    let reply = world.generate(&world.document(&world.nsm)).unwrap();
    let dek = world.open(&reply);
    assert_eq!(dek.len(), 32);
    let blob = reply.get("CiphertextBlob").unwrap();
    assert!(!bytes(blob).windows(32).any(|window| window == dek));

    let again = world.decrypt(blob, "dek", &world.nsm).unwrap();
    assert_eq!(world.open(&again), dek);
    assert_eq!(again.get("EncryptionAlgorithm").unwrap(), "SYMMETRIC_DEFAULT");
}

#[test]
fn another_image_configuration_or_none_is_refused() {
    let world = World::new();
    let reply = world.generate(&world.document(&world.nsm)).unwrap();
    let blob = reply.get("CiphertextBlob").unwrap();

    let other_image = started(MockNsm::new(world.pki.clone(), "other-image").unwrap());
    let unmeasured = MockNsm::new(world.pki.clone(), IMAGE).unwrap();
    for nsm in [&other_image, &unmeasured] {
        assert_eq!(kind(world.generate(&world.document(nsm))), "AccessDeniedException");
        assert_eq!(kind(world.decrypt(blob, "dek", nsm)), "AccessDeniedException");
    }

    let unattested = json!({"CiphertextBlob": blob, "EncryptionContext": {"purpose": "dek"}});
    let (kind, message) = world.call("Decrypt", &unattested).unwrap_err();
    assert_eq!(kind, "AccessDeniedException");
    let tail = "because no resource-based policy allows the kms:Decrypt action";
    assert!(message.ends_with(tail) && message.contains(&world.arn), "{message}");
}

#[test]
fn an_explicit_deny_is_said_to_be_one() {
    let world = World::new();
    let mut deny = open(&["kms:*"]);
    *deny.get_mut("Effect").unwrap() = json!("Deny");
    world.set_policy(&[open(&["kms:*"]), deny]);
    let (kind, message) = world.generate(&world.document(&world.nsm)).unwrap_err();
    assert_eq!(kind, "AccessDeniedException");
    assert!(message.ends_with("with an explicit deny in a resource-based policy"), "{message}");
}

#[test]
fn a_first_policy_lets_nobody_use_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let arn = kms::init(dir.path(), "eu-central-1", None).unwrap().key_arn;
    let pki = MockPki::ephemeral().unwrap();
    let kms = LocalKms::open(dir.path(), pki.trust_anchor().unwrap()).unwrap();
    let request = json!({"KeyId": arn, "KeySpec": "AES_256", "Plaintext": "AA=="}).to_string();
    for (operation, status) in [
        ("DescribeKey", 200),
        ("GetKeyPolicy", 200),
        ("ListGrants", 200),
        ("GenerateDataKey", 400),
        ("Encrypt", 400),
    ] {
        let reply = kms.handle(&format!("TrentService.{operation}"), request.as_bytes(), now());
        assert_eq!(reply.status, status, "{operation}");
    }
}

#[test]
fn a_document_that_was_tampered_with_is_refused() {
    let world = World::new();
    let document = world.document(&world.nsm);
    for index in [100, document.len() / 2, document.len() - 1] {
        let mut tampered = document.clone();
        *tampered.get_mut(index).unwrap() ^= 1;
        assert_eq!(kind(world.generate(&tampered)), "ValidationException", "byte {index}");
    }
    assert_eq!(kind(world.generate(b"")), "ValidationException");
}

#[test]
fn a_document_of_another_pki_is_refused() {
    let world = World::new();
    let foreign = MockNsm::new(MockPki::ephemeral().unwrap(), IMAGE).unwrap();
    assert_eq!(kind(world.generate(&world.document(&started(foreign)))), "ValidationException");
}

#[test]
fn a_document_older_than_five_minutes_is_refused() {
    let world = World::new();
    let at_age = |seconds| {
        let clock = move || SystemTime::now() - Duration::from_secs(seconds);
        let nsm = started(MockNsm::with_clock(world.pki.clone(), IMAGE, clock).unwrap());
        world.generate(&world.document(&nsm))
    };
    assert!(at_age(290).is_ok());
    let (kind, message) = at_age(302).unwrap_err();
    assert_eq!(kind, "ValidationException");
    assert!(message.contains("timestamp"), "{message}");
}

#[test]
fn a_document_without_a_public_key_is_refused() {
    let world = World::new();
    let document = NsmClient::new(&world.nsm).attest(AttestRequest::default()).unwrap();
    assert_eq!(kind(world.generate(&document)), "ValidationException");
}

#[test]
fn another_encryption_context_or_blob_is_refused() {
    let world = World::new();
    let reply = world.generate(&world.document(&world.nsm)).unwrap();
    let blob = reply.get("CiphertextBlob").unwrap();
    assert_eq!(kind(world.decrypt(blob, "other", &world.nsm)), "InvalidCiphertextException");

    let raw = bytes(blob);
    for index in 0..raw.len() {
        let mut tampered = raw.clone();
        *tampered.get_mut(index).unwrap() ^= 1;
        let tampered = json!(STANDARD.encode(tampered));
        let kind = kind(world.decrypt(&tampered, "dek", &world.nsm));
        assert_eq!(kind, "InvalidCiphertextException", "byte {index}");
    }
    let truncated = json!(STANDARD.encode(raw.get(..20).unwrap()));
    assert_eq!(kind(world.decrypt(&truncated, "dek", &world.nsm)), "InvalidCiphertextException");
}

/// Why the `KeyId` of a reply does not save a restart: who may `Encrypt` can make a blob that opens.
#[test]
fn what_was_encrypted_outside_opens_inside() {
    let world = World::new();
    let encrypt = json!({
        "KeyId": world.arn, "Plaintext": STANDARD.encode([7; 32]),
        "EncryptionContext": {"purpose": "dek"}
    });
    let reply = world.call("Encrypt", &encrypt).unwrap();
    assert!(reply.get("Plaintext").is_none());
    let blob = reply.get("CiphertextBlob").unwrap();
    assert_eq!(world.open(&world.decrypt(blob, "dek", &world.nsm).unwrap()), [7; 32]);
}

#[test]
fn an_unattested_caller_gets_plaintext_only_when_the_policy_has_no_condition() {
    let world = World::new();
    let request = json!({"KeyId": world.arn, "NumberOfBytes": 24});
    assert_eq!(kind(world.call("GenerateDataKey", &request)), "AccessDeniedException");
    world.set_policy(&[open(&["kms:GenerateDataKey"])]);
    let reply = world.call("GenerateDataKey", &request).unwrap();
    assert_eq!(bytes(reply.get("Plaintext").unwrap()).len(), 24);
    assert!(reply.get("CiphertextForRecipient").is_none());
    // The same permission, attested: sealed all the same.
    world.open(&world.generate(&world.document(&world.nsm)).unwrap());
}

#[test]
fn requests_that_make_no_sense_have_the_errors_of_aws() {
    let world = World::new();
    let unknown = json!({"KeyId": "alias/none", "KeySpec": "AES_256"});
    assert_eq!(kind(world.call("GenerateDataKey", &unknown)), "NotFoundException");
    let no_length = json!({"KeyId": world.arn});
    assert_eq!(kind(world.call("GenerateDataKey", &no_length)), "ValidationException");
    assert_eq!(kind(world.call("GenerateDataKey", &json!([]))), "SerializationException");
    assert_eq!(kind(world.call("ScheduleKeyDeletion", &no_length)), "UnknownOperationException");
    let mut algorithm = recipient(&world.document(&world.nsm));
    *algorithm.get_mut("KeyEncryptionAlgorithm").unwrap() = json!("RSAES_OAEP_SHA_1");
    let request = json!({"KeyId": world.arn, "KeySpec": "AES_256", "Recipient": algorithm});
    assert_eq!(kind(world.call("GenerateDataKey", &request)), "ValidationException");
}

#[test]
fn a_key_is_described_and_its_policy_is_given_as_it_was_set() {
    let world = World::new();
    let id = world.arn.rsplit('/').next().unwrap().to_owned();
    let reply = world.call("DescribeKey", &json!({"KeyId": id})).unwrap();
    assert_eq!(reply.pointer("/KeyMetadata/Arn").unwrap(), &world.arn);

    let policy = json!({"Statement": open(&["kms:GetKeyPolicy"])}).to_string() + "  ";
    kms::set_policy(world.dir.path(), &policy).unwrap();
    let reply = world.call("GetKeyPolicy", &json!({"KeyId": world.arn})).unwrap();
    assert_eq!(reply.get("Policy").unwrap(), &policy);
}
