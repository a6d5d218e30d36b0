//! `Encrypt`, `Decrypt`, `ReEncrypt`, `GenerateDataKey`, `GenerateRandom`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    super::{
        blob::{self, Blob, EncryptionContext, MAX_BLOB_BYTES},
        error::ApiError,
        object::{Object, nullable},
        state::{Key, State},
    },
    Access, Call, SYMMETRIC_DEFAULT, enabled, find, no_dry_run,
    recipient::{Bytes, RecipientInfo, reveal},
    validation,
};

/// The most bytes that `Encrypt` takes.
const MAX_PLAINTEXT_BYTES: usize = 4_096;
/// The most bytes of a data key, and of `GenerateRandom`.
const MAX_RANDOM_BYTES: usize = 1_024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Encrypt {
    key_id: String,
    plaintext: Bytes,
    #[serde(default, deserialize_with = "nullable")]
    encryption_context: EncryptionContext,
    encryption_algorithm: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decrypt {
    key_id: Option<String>,
    ciphertext_blob: Bytes,
    #[serde(default, deserialize_with = "nullable")]
    encryption_context: EncryptionContext,
    encryption_algorithm: Option<String>,
    recipient: Option<Object<RecipientInfo>>,
    #[serde(default, deserialize_with = "nullable")]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReEncrypt {
    ciphertext_blob: Bytes,
    source_key_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    source_encryption_context: EncryptionContext,
    source_encryption_algorithm: Option<String>,
    destination_key_id: String,
    #[serde(default, deserialize_with = "nullable")]
    destination_encryption_context: EncryptionContext,
    destination_encryption_algorithm: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateDataKey {
    key_id: String,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    #[serde(default, deserialize_with = "nullable")]
    encryption_context: EncryptionContext,
    recipient: Option<Object<RecipientInfo>>,
    #[serde(default, deserialize_with = "nullable")]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GenerateRandom {
    number_of_bytes: Option<usize>,
    custom_key_store_id: Option<String>,
    recipient: Option<Object<RecipientInfo>>,
}

impl Call<'_> {
    /// `Encrypt` has no `Recipient`; an unknown member of that name is ignored as by the real KMS.
    pub(super) fn encrypt(&self, request: &Encrypt) -> Result<Value, ApiError> {
        symmetric(request.encryption_algorithm.as_deref())?;
        let Encrypt { key_id, plaintext, encryption_context: context, .. } = request;
        if !(1..=MAX_PLAINTEXT_BYTES).contains(&plaintext.0.len()) {
            return validation("plaintext: expected 1 to 4096 bytes");
        }
        let state = self.state()?;
        let key = find(&state, key_id, self.caller)?;
        self.authorize_access(key, &Access { action: self.action, recipient: None, context })?;
        enabled(key)?;
        no_dry_run(request.dry_run)?;
        let blob = blob::seal(key, context, &plaintext.0)?;
        Ok(json!({
            "CiphertextBlob": STANDARD.encode(blob),
            "EncryptionAlgorithm": SYMMETRIC_DEFAULT,
            "KeyId": key.arn,
        }))
    }

    pub(super) fn decrypt(&self, request: &Decrypt) -> Result<Value, ApiError> {
        symmetric(request.encryption_algorithm.as_deref())?;
        let Decrypt { key_id, ciphertext_blob, encryption_context: context, .. } = request;
        let recipient = self.recipient(request.recipient.as_ref())?;
        let recipient = recipient.as_ref();
        let state = self.state()?;
        let access = Access { action: self.action, recipient, context };
        let (blob, key) = self.source(&state, ciphertext_blob, key_id.as_deref(), &access)?;
        let plaintext = blob.open(key, context)?;
        no_dry_run(request.dry_run)?;
        let mut reply = json!({"EncryptionAlgorithm": SYMMETRIC_DEFAULT, "KeyId": key.arn});
        reveal(&mut reply, &plaintext, recipient)?;
        Ok(reply)
    }

    /// Two permissions: one of the key that decrypts, one of the key that encrypts. No `Recipient`.
    pub(super) fn re_encrypt(&self, request: &ReEncrypt) -> Result<Value, ApiError> {
        symmetric(request.source_encryption_algorithm.as_deref())?;
        symmetric(request.destination_encryption_algorithm.as_deref())?;
        let state = self.state()?;
        let named = request.source_key_id.as_deref();
        let context = &request.source_encryption_context;
        let access = Access { action: "kms:ReEncryptFrom", recipient: None, context };
        let (blob, from) = self.source(&state, &request.ciphertext_blob, named, &access)?;
        let to = find(&state, &request.destination_key_id, self.caller)?;
        let context = &request.destination_encryption_context;
        let access = Access { action: "kms:ReEncryptTo", recipient: None, context };
        self.authorize_access(to, &access)?;
        enabled(to)?;
        let plaintext = blob.open(from, &request.source_encryption_context)?;
        no_dry_run(request.dry_run)?;
        let blob = blob::seal(to, &request.destination_encryption_context, &plaintext)?;
        Ok(json!({
            "CiphertextBlob": STANDARD.encode(blob),
            "SourceKeyId": from.arn,
            "KeyId": to.arn,
            "SourceEncryptionAlgorithm": SYMMETRIC_DEFAULT,
            "DestinationEncryptionAlgorithm": SYMMETRIC_DEFAULT,
        }))
    }

    pub(super) fn generate_data_key(&self, request: &GenerateDataKey) -> Result<Value, ApiError> {
        let length = data_key_length(request.key_spec.as_deref(), request.number_of_bytes)?;
        let context = &request.encryption_context;
        let recipient = self.recipient(request.recipient.as_ref())?;
        let recipient = recipient.as_ref();
        let state = self.state()?;
        let key = find(&state, &request.key_id, self.caller)?;
        self.authorize_access(key, &Access { action: self.action, recipient, context })?;
        enabled(key)?;
        no_dry_run(request.dry_run)?;
        let data_key = random(length)?;
        let blob = blob::seal(key, context, &data_key)?;
        let mut reply = json!({"CiphertextBlob": STANDARD.encode(blob), "KeyId": key.arn});
        reveal(&mut reply, &data_key, recipient)?;
        Ok(reply)
    }

    /// Of no key: any caller may.
    pub(super) fn generate_random(&self, request: &GenerateRandom) -> Result<Value, ApiError> {
        if request.custom_key_store_id.is_some() {
            return Err(ApiError::Unsupported("the local kms has no custom key stores"));
        }
        let Some(length @ 1..=MAX_RANDOM_BYTES) = request.number_of_bytes else {
            return validation("number of bytes: expected 1 to 1024");
        };
        let recipient = self.recipient(request.recipient.as_ref())?;
        let mut reply = json!({});
        reveal(&mut reply, &random(length)?, recipient.as_ref())?;
        Ok(reply)
    }

    /// A ciphertext, and its key, which the caller may use so and which can be used.
    ///
    /// What a ciphertext is of learns only who may use the key that is named. When none is, the ciphertext
    /// says which: whether that key exists learns only who may use it.
    fn source<'s>(
        &self,
        state: &'s State,
        blob: &'s Bytes,
        named: Option<&str>,
        access: &Access<'_>,
    ) -> Result<(Blob<'s>, &'s Key), ApiError> {
        if !(1..=MAX_BLOB_BYTES).contains(&blob.0.len()) {
            return validation("ciphertext blob: expected 1 to 6144 bytes");
        }
        let blob = Blob::parse(&blob.0).ok_or(ApiError::InvalidCiphertext);
        let Some(named) = named else {
            let blob = blob?;
            let key = state.key(blob.arn, "").ok_or(ApiError::CiphertextDenied)?;
            self.authorize_access(key, access).map_err(|_| ApiError::CiphertextDenied)?;
            enabled(key)?;
            return Ok((blob, key));
        };
        let key = find(state, named, self.caller)?;
        self.authorize_access(key, access)?;
        enabled(key)?;
        let blob = blob?;
        if blob.arn == key.arn.as_str() { Ok((blob, key)) } else { Err(ApiError::IncorrectKey) }
    }
}

fn random(length: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(bytes)
}

fn data_key_length(spec: Option<&str>, bytes: Option<usize>) -> Result<usize, ApiError> {
    match (spec, bytes) {
        (Some("AES_256"), None) => Ok(32),
        (Some("AES_128"), None) => Ok(16),
        (None, Some(length @ 1..=MAX_RANDOM_BYTES)) => Ok(length),
        _ => validation("expected either a key spec of AES_256 or AES_128, or 1 to 1024 bytes"),
    }
}

fn symmetric(algorithm: Option<&str>) -> Result<(), ApiError> {
    match algorithm {
        None | Some(SYMMETRIC_DEFAULT) => Ok(()),
        Some(_) => Err(ApiError::Unsupported("encryption algorithm: expected SYMMETRIC_DEFAULT")),
    }
}
