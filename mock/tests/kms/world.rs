//! A KMS, an enclave that its key is released to, and three roles that call.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use strongroom_attestation::{
    UnixTime,
    cms::RecipientKey,
    key_policy::{Changes, Hole, KeyPolicySpec, Measurements, Releases, RoleArn, Rules, lint},
    measure::measurement,
    nsm::{AttestRequest, NsmClient},
};
use strongroom_mock::{
    kms::{
        self, LocalKms, Reply,
        client::Client,
        identity::{self, Validity},
    },
    nsm::{MockNsm, image_measurements},
    pki::MockPki,
};

pub(crate) const IMAGE: &str = "enclave-image";
pub(crate) const CONFIGURATION: &[u8] = b"configuration";
pub(crate) const POLICY: &[u8] = b"signing policy";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const DAY: u64 = 24 * 60 * 60;

/// A role with its credentials.
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) client: Client,
}

/// What a request got instead of an answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) kind: String,
    /// Empty when there is none.
    pub(crate) message: String,
}

pub(crate) type Answer = Result<Value, Refusal>;

/// A KMS whose key is released to the enclave's role with `IMAGE`, `CONFIGURATION` and `POLICY` only,
/// and an enclave that is all three. The admin manages the key, and may change its policy.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) pki: MockPki,
    pub(crate) kms: LocalKms,
    pub(crate) arn: String,
    pub(crate) nsm: MockNsm,
    pub(crate) key: RecipientKey,
    pub(crate) enclave: Role,
    pub(crate) admin: Role,
    /// Root on the host has the enclave's credentials too; this is somebody else of the account.
    pub(crate) attacker: Role,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = MockPki::ephemeral().unwrap();
        let made = kms::init(dir.path(), "eu-central-1", None).unwrap();
        let temporary = Validity::Temporary { expires_in: None };
        let attacker = identity::add_role(dir.path(), "attacker", temporary).unwrap();
        let kms = LocalKms::open(dir.path(), pki.trust_anchor().unwrap()).unwrap();
        let nsm = started(MockNsm::new(pki.clone(), IMAGE).unwrap());
        let role = |arn: String| Role { client: Client::new(dir.path(), &arn).unwrap(), arn };
        let enclave = role(made.enclave_role);
        let admin = role(made.admin_role);
        let attacker = role(attacker.arn);
        let arn = made.key_arn.to_string();
        let key = RecipientKey::generate().unwrap();
        let world = Self { dir, pki, kms, arn, nsm, key, enclave, admin, attacker };
        world.set_policy(&world.sound_policy());
        world
    }

    /// What Strongroom's generator of key policies writes, statement by statement.
    pub(crate) fn sound_policy(&self) -> Vec<Value> {
        let role = |role: &Role| RoleArn::parse(&role.arn).unwrap();
        let spec = KeyPolicySpec {
            releases: vec![released(IMAGE).into()],
            enclave_roles: vec![role(&self.enclave)],
            admin_roles: vec![role(&self.admin)],
            changes: Changes::BreakGlass,
        };
        let policy: Value = serde_json::from_str(&spec.to_json().unwrap()).unwrap();
        policy.get("Statement").unwrap().as_array().unwrap().clone()
    }

    /// What Strongroom's linter finds in the sound policy with these statements.
    pub(crate) fn holes(&self, more: &[Value], changes: Changes) -> Vec<Hole> {
        let text = policy(&[self.sound_policy(), more.to_vec()].concat());
        let releases = [released(IMAGE)];
        let releases = Releases::Exactly(&releases);
        let admins = [RoleArn::parse(&self.admin.arn).unwrap()];
        let rules = Rules { releases, changes, kek_change: false, admins: Some(&admins) };
        let findings = lint(&text, &rules);
        findings.into_iter().map(|finding| finding.hole).collect()
    }

    /// As an administrator at the disk, who sees no lockout check.
    pub(crate) fn set_policy(&self, statements: &[Value]) {
        kms::set_policy(self.dir.path(), &policy(statements)).unwrap();
    }

    /// The sound policy, and these statements.
    pub(crate) fn add_to_policy(&self, statements: &[Value]) {
        self.set_policy(&[self.sound_policy(), statements.to_vec()].concat());
    }

    pub(crate) fn ask(&self, role: &Role, operation: &str, request: &Value) -> Answer {
        self.ask_at(role, operation, request, now())
    }

    pub(crate) fn ask_at(&self, role: &Role, operation: &str, request: &Value, at: u64) -> Answer {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        answer(&role.client.ask(&self.kms, operation, request, at).unwrap())
    }

    /// The body of a refusal, as it is.
    pub(crate) fn refusal(&self, role: &Role, operation: &str, request: &Value) -> Value {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now()));
        let reply = role.client.ask(&self.kms, operation, request, at).unwrap();
        assert_ne!(reply.status, 200);
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// The key's, asked by the admin.
    pub(crate) fn describe(&self) -> Value {
        let reply = self.ask(&self.admin, "DescribeKey", &json!({"KeyId": self.arn})).unwrap();
        reply.get("KeyMetadata").unwrap().clone()
    }

    pub(crate) fn document(&self, nsm: &MockNsm) -> Vec<u8> {
        let public_key = Some(self.key.public_key_der().to_vec());
        let request = AttestRequest { public_key, ..AttestRequest::default() };
        NsmClient::new(nsm).attest(request).unwrap()
    }

    pub(crate) fn generate(&self, document: &[u8]) -> Answer {
        let request = json!({
            "KeyId": self.arn, "KeySpec": "AES_256",
            "EncryptionContext": {"purpose": "dek"}, "Recipient": recipient(document)
        });
        self.ask(&self.enclave, "GenerateDataKey", &request)
    }

    /// A DEK of the enclave: in the clear, and as the blob that the host stores.
    pub(crate) fn dek(&self) -> (Vec<u8>, Value) {
        let reply = self.generate(&self.document(&self.nsm)).unwrap();
        (self.open(&reply), reply.get("CiphertextBlob").unwrap().clone())
    }

    pub(crate) fn decrypt(&self, blob: &Value, purpose: &str, nsm: &MockNsm) -> Answer {
        let request = json!({
            "KeyId": self.arn, "CiphertextBlob": blob,
            "EncryptionContext": {"purpose": purpose}, "Recipient": recipient(&self.document(nsm))
        });
        self.ask(&self.enclave, "Decrypt", &request)
    }

    /// What anybody tries who has a blob and no enclave.
    pub(crate) fn decrypt_unattested(&self, role: &Role, blob: &Value) -> Answer {
        let request = json!({"CiphertextBlob": blob, "EncryptionContext": {"purpose": "dek"}});
        self.ask(role, "Decrypt", &request)
    }

    /// What an attested reply carries, of this key.
    pub(crate) fn open(&self, reply: &Value) -> Vec<u8> {
        assert_eq!(reply.get("KeyId").unwrap(), &self.arn);
        self.unseal(reply)
    }

    /// What an attested reply carries, after a look that it carries it only sealed.
    pub(crate) fn unseal(&self, reply: &Value) -> Vec<u8> {
        let nothing = [None, Some(&Value::Null), Some(&json!(""))];
        assert!(nothing.contains(&reply.get("Plaintext")), "no plaintext in an attested reply");
        let sealed = bytes(reply.get("CiphertextForRecipient").unwrap());
        self.key.open(&sealed).unwrap().to_vec()
    }
}

/// A reply as what it says.
pub(crate) fn answer(reply: &Reply) -> Answer {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    if reply.status == 200 {
        return Ok(body);
    }
    let text = |name| body.get(name).and_then(Value::as_str).map(str::to_owned);
    Err(Refusal {
        status: reply.status,
        kind: text("__type").unwrap(),
        message: text("Message").or_else(|| text("message")).unwrap_or_default(),
    })
}

pub(crate) fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn released(image: &str) -> Measurements {
    let [pcr0, ..] = image_measurements(image);
    Measurements::of(pcr0, CONFIGURATION, POLICY)
}

/// `Decrypt` and `GenerateDataKey` for an image with configuration and policy.
pub(crate) fn attested(role: &Role, image: &str, operator: &str) -> Value {
    let mut statement = allow(&role.arn, &["kms:Decrypt", "kms:GenerateDataKey"]);
    let Measurements { pcr0, pcr16, pcr17 } = released(image);
    let keys = json!({
        "kms:RecipientAttestation:ImageSha384": pcr0,
        "kms:RecipientAttestation:PCR16": pcr16,
        "kms:RecipientAttestation:PCR17": pcr17,
    });
    statement.as_object_mut().unwrap().insert("Condition".to_owned(), json!({operator: keys}));
    statement
}

pub(crate) fn allow(principal: &str, actions: &[&str]) -> Value {
    json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions, "Resource": "*"})
}

pub(crate) fn deny(principal: &str, actions: &[&str]) -> Value {
    json!({"Effect": "Deny", "Principal": {"AWS": principal}, "Action": actions, "Resource": "*"})
}

/// An enclave that has measured its configuration and its policy.
pub(crate) fn started(nsm: MockNsm) -> MockNsm {
    started_with(nsm, [CONFIGURATION, POLICY])
}

/// The same, of these contents.
pub(crate) fn started_with(nsm: MockNsm, [configuration, policy]: [&[u8]; 2]) -> MockNsm {
    for (register, content) in [(16, configuration), (17, policy)] {
        NsmClient::new(&nsm).extend_and_lock(register, &measurement(content)).unwrap();
    }
    nsm
}

pub(crate) fn recipient(document: &[u8]) -> Value {
    json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": STANDARD.encode(document)
    })
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn kind(answer: Answer) -> String {
    answer.unwrap_err().kind
}
