//! The operations: JSON in, decision of the key policy, JSON out.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::UnixTime;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    LocalKms,
    attested::{RSAES_OAEP_SHA_256, Recipient},
    blob::{self, Blob, EncryptionContext, MAX_BLOB_BYTES},
    cms,
    error::ApiError,
    policy::{AccessRequest, Decision},
    state::{Key, State},
};

const SYMMETRIC_DEFAULT: &str = "SYMMETRIC_DEFAULT";
/// The most bytes that `Encrypt` takes.
const MAX_PLAINTEXT_BYTES: usize = 4_096;
/// The most bytes of a data key.
const MAX_DATA_KEY_BYTES: usize = 1_024;

/// The action of a target, in the words of key policies; `None` for one that is not served here.
pub(super) fn name(target: &str) -> Option<&'static str> {
    match target.strip_prefix("TrentService.")? {
        "Encrypt" => Some("kms:Encrypt"),
        "Decrypt" => Some("kms:Decrypt"),
        "GenerateDataKey" => Some("kms:GenerateDataKey"),
        "DescribeKey" => Some("kms:DescribeKey"),
        "GetKeyPolicy" => Some("kms:GetKeyPolicy"),
        "ListGrants" => Some("kms:ListGrants"),
        _ => None,
    }
}

/// Answers one request.
pub(super) fn answer(
    kms: &LocalKms,
    target: &str,
    body: &[u8],
    now: UnixTime,
) -> Result<Value, ApiError> {
    let action = name(target).ok_or(ApiError::UnknownOperation)?;
    let state = State::load(&kms.dir)?;
    let call = Call { kms, state: &state, action, now };
    match action {
        "kms:Encrypt" => call.encrypt(parse(body)?),
        "kms:Decrypt" => call.decrypt(parse(body)?),
        "kms:GenerateDataKey" => call.generate_data_key(parse(body)?),
        "kms:DescribeKey" => call.describe_key(&parse::<OfKey>(body)?),
        "kms:GetKeyPolicy" => call.get_key_policy(&parse::<OfKey>(body)?),
        "kms:ListGrants" => call.list_grants(&parse::<OfKey>(body)?),
        _ => Err(ApiError::UnknownOperation),
    }
}

/// Bytes, in base64 on the wire.
struct Bytes(Zeroizing<Vec<u8>>);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecipientInfo {
    key_encryption_algorithm: Option<String>,
    attestation_document: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfKey {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypt {
    key_id: String,
    plaintext: Bytes,
    #[serde(default)]
    encryption_context: EncryptionContext,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypt {
    key_id: Option<String>,
    ciphertext_blob: Bytes,
    #[serde(default)]
    encryption_context: EncryptionContext,
    encryption_algorithm: Option<String>,
    recipient: Option<RecipientInfo>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateDataKey {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default)]
    encryption_context: EncryptionContext,
    recipient: Option<RecipientInfo>,
    #[serde(default)]
    dry_run: bool,
}

/// What all operations need.
struct Call<'a> {
    kms: &'a LocalKms,
    state: &'a State,
    action: &'static str,
    now: UnixTime,
}

impl Call<'_> {
    /// `Encrypt` has no `Recipient`; an unknown member of that name is ignored as by the real KMS.
    fn encrypt(&self, request: Encrypt) -> Result<Value, ApiError> {
        let Encrypt { key_id, plaintext, encryption_context, encryption_algorithm, dry_run } =
            request;
        no_dry_run(dry_run)?;
        symmetric(encryption_algorithm.as_deref())?;
        if !(1..=MAX_PLAINTEXT_BYTES).contains(&plaintext.0.len()) {
            return Err(ApiError::Validation("plaintext: expected 1 to 4096 bytes".to_owned()));
        }
        let key = self.key(&key_id)?;
        self.authorize(key, None)?;
        let blob = blob::seal(key, &encryption_context, &plaintext.0)?;
        Ok(json!({
            "CiphertextBlob": STANDARD.encode(blob),
            "EncryptionAlgorithm": SYMMETRIC_DEFAULT,
            "KeyId": key.arn,
        }))
    }

    fn decrypt(&self, request: Decrypt) -> Result<Value, ApiError> {
        let Decrypt { key_id, ciphertext_blob, encryption_context, .. } = &request;
        no_dry_run(request.dry_run)?;
        symmetric(request.encryption_algorithm.as_deref())?;
        let recipient = self.recipient(request.recipient.as_ref())?;

        // The blob says which key it needs; a key that is named must be the same.
        let blob = Some(&ciphertext_blob.0).filter(|blob| blob.len() <= MAX_BLOB_BYTES);
        let blob = blob.and_then(|blob| Blob::parse(blob)).ok_or(ApiError::InvalidCiphertext)?;
        let key = self.state.key(blob.arn).ok_or(ApiError::InvalidCiphertext)?;
        if let Some(named) = key_id
            && self.key(named)?.arn != key.arn
        {
            return Err(ApiError::IncorrectKey);
        }
        self.authorize(key, recipient.as_ref())?;

        let plaintext = blob.open(key, encryption_context)?;
        let mut reply = json!({"EncryptionAlgorithm": SYMMETRIC_DEFAULT, "KeyId": key.arn});
        reveal(&mut reply, &plaintext, recipient.as_ref())?;
        Ok(reply)
    }

    fn generate_data_key(&self, request: GenerateDataKey) -> Result<Value, ApiError> {
        no_dry_run(request.dry_run)?;
        let length = data_key_length(request.key_spec.as_deref(), request.number_of_bytes)?;
        let recipient = self.recipient(request.recipient.as_ref())?;
        let key = self.key(&request.key_id)?;
        self.authorize(key, recipient.as_ref())?;

        let mut data_key = Zeroizing::new(vec![0; length]);
        aws_lc_rs::rand::fill(&mut data_key)?;
        let blob = blob::seal(key, &request.encryption_context, &data_key)?;
        let mut reply = json!({"CiphertextBlob": STANDARD.encode(blob), "KeyId": key.arn});
        reveal(&mut reply, &data_key, recipient.as_ref())?;
        Ok(reply)
    }

    fn describe_key(&self, request: &OfKey) -> Result<Value, ApiError> {
        let key = self.key(&request.key_id)?;
        self.authorize(key, None)?;
        Ok(json!({"KeyMetadata": {
            "AWSAccountId": key.arn.account(),
            "Arn": key.arn,
            "CreationDate": key.created_at,
            "CustomerMasterKeySpec": SYMMETRIC_DEFAULT,
            "Description": "",
            "Enabled": true,
            "EncryptionAlgorithms": [SYMMETRIC_DEFAULT],
            "KeyId": key.arn.key_id(),
            "KeyManager": "CUSTOMER",
            "KeySpec": SYMMETRIC_DEFAULT,
            "KeyState": "Enabled",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "MultiRegion": false,
            "Origin": "AWS_KMS",
        }}))
    }

    fn get_key_policy(&self, request: &OfKey) -> Result<Value, ApiError> {
        let key = self.key(&request.key_id)?;
        self.authorize(key, None)?;
        Ok(json!({"Policy": key.policy_text, "PolicyName": "default"}))
    }

    fn list_grants(&self, request: &OfKey) -> Result<Value, ApiError> {
        let key = self.key(&request.key_id)?;
        self.authorize(key, None)?;
        Ok(json!({"Grants": [], "Truncated": false}))
    }

    fn key(&self, id: &str) -> Result<&Key, ApiError> {
        self.state.key(id).ok_or(ApiError::NotFound)
    }

    fn recipient(&self, info: Option<&RecipientInfo>) -> Result<Option<Recipient>, ApiError> {
        let Some(RecipientInfo { key_encryption_algorithm, attestation_document }) = info else {
            return Ok(None);
        };
        if key_encryption_algorithm.as_deref() != Some(RSAES_OAEP_SHA_256) {
            let expected = "recipient: expected the key encryption algorithm RSAES_OAEP_SHA_256";
            return Err(ApiError::Validation(expected.to_owned()));
        }
        let Some(document) = attestation_document else {
            let expected = "recipient: expected an attestation document";
            return Err(ApiError::Validation(expected.to_owned()));
        };
        Recipient::verify(&document.0, &self.kms.anchor, self.now).map(Some)
    }

    /// Asks the key policy.
    fn authorize(&self, key: &Key, recipient: Option<&Recipient>) -> Result<(), ApiError> {
        let decision = key.policy.decide(&AccessRequest {
            action: self.action,
            resource: key.arn.as_str(),
            registers: recipient.map(Recipient::registers),
        });
        let explicit = match decision {
            Decision::Allowed => return Ok(()),
            Decision::ExplicitlyDenied => true,
            Decision::NotAllowed => false,
        };
        Err(ApiError::AccessDenied { action: self.action, arn: key.arn.clone(), explicit })
    }
}

/// Adds `plaintext` to a reply: to an attested caller only as `CiphertextForRecipient`.
fn reveal(
    reply: &mut Value,
    plaintext: &[u8],
    recipient: Option<&Recipient>,
) -> Result<(), ApiError> {
    let (member, bytes) = match recipient {
        Some(recipient) => {
            let sealed = cms::seal(recipient.public_key_der(), plaintext);
            ("CiphertextForRecipient", sealed.map_err(|e| ApiError::Validation(e.to_string()))?)
        }
        None => ("Plaintext", plaintext.to_vec()),
    };
    if let Value::Object(members) = reply {
        members.insert(member.to_owned(), STANDARD.encode(Zeroizing::new(bytes)).into());
    }
    Ok(())
}

fn data_key_length(spec: Option<&str>, bytes: Option<usize>) -> Result<usize, ApiError> {
    match (spec, bytes) {
        (Some("AES_256"), None) => Ok(32),
        (Some("AES_128"), None) => Ok(16),
        (None, Some(length @ 1..=MAX_DATA_KEY_BYTES)) => Ok(length),
        _ => Err(ApiError::Validation(
            "expected either a key spec of AES_256 or AES_128, or 1 to 1024 bytes".to_owned(),
        )),
    }
}

fn symmetric(algorithm: Option<&str>) -> Result<(), ApiError> {
    match algorithm {
        None | Some(SYMMETRIC_DEFAULT) => Ok(()),
        Some(_) => Err(ApiError::Unsupported("encryption algorithm: expected SYMMETRIC_DEFAULT")),
    }
}

fn no_dry_run(dry_run: bool) -> Result<(), ApiError> {
    if dry_run { Err(ApiError::Unsupported("the local kms has no dry run")) } else { Ok(()) }
}

/// Unknown members are ignored, as by the real KMS.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|_| ApiError::Serialization)
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(text.as_bytes());
        bytes.map(Zeroizing::new).map(Self).map_err(|_| serde::de::Error::custom("not base64"))
    }
}
