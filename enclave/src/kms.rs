//! The calls to KMS: over TLS that ends here, and believed only as far as they go.
//!
//! The host carries the bytes and lends the credentials. It can cut the connection; it cannot read
//! or answer, because the certificate must end in the measured roots. That is what makes a reply
//! mean anything: a well-formed `CiphertextForRecipient` by itself proves nothing, since anybody
//! can encrypt to this enclave's public key.
//!
//! | operation | attested | when |
//! | --- | --- | --- |
//! | `DescribeKey`, `GetKeyPolicy`, `ListGrants` | no | each boot, before anything else |
//! | `Decrypt` | always | a DEK is in store |
//! | `GenerateDataKey` | always | the first boot, under a provisioning policy |
//! | `Encrypt` | cannot be | the change to another KEK |
//!
//! `ReEncrypt` is never called: it takes no attestation document, so a key policy that allows it
//! lets whoever has the credentials carry the DEK to a key of their own.

mod connector;
mod credentials;
mod error;
mod reads;
mod retry;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyEncryptionMechanism, RecipientInfo};
use strongroom_attestation::nsm::NsmError;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::config::{Config, KeyArn};
use crate::platform::Transport;
pub(crate) use credentials::HostCredentials;
use error::explain;
pub(crate) use error::printable;
pub use error::{KmsError, Operation, Refusal};
use retry::Attempts;

/// Everything that one attempt may take, TLS and all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Makes a fresh attestation document with the key that KMS is to encrypt to. Called for each
/// attempt: KMS refuses documents of more than five minutes, and one document is for one request.
pub(crate) type Documents<'a> = &'a (dyn Fn() -> Result<Vec<u8>, NsmError> + Sync);

/// A DEK that KMS generated.
pub(crate) struct Generated {
    /// `CiphertextForRecipient`, a CMS EnvelopedData: the DEK, encrypted to the key in the document.
    pub(crate) ciphertext_for_recipient: Vec<u8>,
    /// The DEK as KMS encrypted it under the KEK.
    pub(crate) encrypted_dek: Vec<u8>,
}

/// A client for the KEKs of the measured configuration, for the calls of one boot.
pub(crate) struct Kms {
    client: aws_sdk_kms::Client,
    deployment: String,
    attempts: Attempts,
}

impl Kms {
    /// A client with the host's credentials, which prove nothing.
    pub(crate) fn new<T: Transport>(
        config: &Config,
        clock: Clock,
        credentials: HostCredentials,
        transport: Arc<T>,
    ) -> Result<Self, rustls::Error> {
        let kms = config.kms();
        let timeouts = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
        let connector = connector::KmsConnector::new(kms, clock, transport)?;
        let sdk = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(kms.region.clone()))
            .endpoint_url(format!("https://{}", kms.host.to_str()))
            .credentials_provider(credentials.into_sdk())
            .time_source(clock)
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            // The SDK's retries would send the same document again; see `retry`.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // It would be a second, shorter timeout, for bodies of a few KiB.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(connector)
            .build();
        Ok(Self {
            client: aws_sdk_kms::Client::from_conf(sdk),
            deployment: config.deployment().to_owned(),
            attempts: Attempts::begin(),
        })
    }

    /// `Decrypt` with `Recipient`: the DEK that the host stored, as `CiphertextForRecipient`.
    pub(crate) async fn decrypt(
        &self,
        key: &KeyArn,
        encrypted_dek: &[u8],
        documents: Documents<'_>,
    ) -> Result<Vec<u8>, KmsError> {
        let operation = Operation::Decrypt;
        let attempt = || async {
            let request = self.client.decrypt().key_id(key.as_str());
            request
                .ciphertext_blob(Blob::new(encrypted_dek))
                .set_encryption_context(Some(self.context()))
                .recipient(recipient(operation, documents)?)
                .send()
                .await
                .map_err(|error| explain(operation, &error))
        };
        let output = self.attempts.run(operation, attempt).await?;
        check_key(operation, key, output.key_id.as_deref())?;
        for_recipient(operation, output.plaintext, output.ciphertext_for_recipient)
    }

    /// `GenerateDataKey` with `Recipient`: a new DEK, under a provisioning policy only.
    pub(crate) async fn generate(
        &self,
        key: &KeyArn,
        documents: Documents<'_>,
    ) -> Result<Generated, KmsError> {
        let operation = Operation::GenerateDataKey;
        let attempt = || async {
            let request = self.client.generate_data_key().key_id(key.as_str());
            request
                .key_spec(DataKeySpec::Aes256)
                .set_encryption_context(Some(self.context()))
                .recipient(recipient(operation, documents)?)
                .send()
                .await
                .map_err(|error| explain(operation, &error))
        };
        let output = self.attempts.run(operation, attempt).await?;
        check_key(operation, key, output.key_id.as_deref())?;
        let ciphertext_for_recipient =
            for_recipient(operation, output.plaintext, output.ciphertext_for_recipient)?;
        let encrypted_dek = ciphertext_blob(operation, output.ciphertext_blob)?;
        Ok(Generated { ciphertext_for_recipient, encrypted_dek })
    }

    /// `Encrypt`, for the change to another KEK. The plaintext is in a request that the host carries
    /// inside of TLS; the SDK's copies of it in this memory are not wiped.
    pub(crate) async fn encrypt(
        &self,
        key: &KeyArn,
        plaintext: &Zeroizing<Vec<u8>>,
    ) -> Result<Vec<u8>, KmsError> {
        let operation = Operation::Encrypt;
        let attempt = || async {
            let request = self.client.encrypt().key_id(key.as_str());
            request
                .plaintext(Blob::new(plaintext.as_slice()))
                .set_encryption_context(Some(self.context()))
                .send()
                .await
                .map_err(|error| explain(operation, &error))
        };
        let output = self.attempts.run(operation, attempt).await?;
        check_key(operation, key, output.key_id.as_deref())?;
        ciphertext_blob(operation, output.ciphertext_blob)
    }

    /// The encryption context: which deployment, and what for. It shows in CloudTrail.
    fn context(&self) -> HashMap<String, String> {
        let purpose = ("strongroom:purpose".to_owned(), "dek".to_owned());
        HashMap::from([("strongroom:deployment".to_owned(), self.deployment.clone()), purpose])
    }
}

fn recipient(operation: Operation, documents: Documents<'_>) -> Result<RecipientInfo, KmsError> {
    let document = documents().map_err(|source| KmsError::Document { operation, source })?;
    Ok(RecipientInfo::builder()
        .key_encryption_algorithm(KeyEncryptionMechanism::RsaesOaepSha256)
        .attestation_document(Blob::new(document))
        .build())
}

/// A reply is about the key that was asked.
fn check_key(operation: Operation, key: &KeyArn, found: Option<&str>) -> Result<(), KmsError> {
    if found == Some(key.as_str()) {
        return Ok(());
    }
    Err(KmsError::Reply { operation, problem: "expected the KeyId of the measured KEK" })
}

/// An attested reply carries no plaintext, and is encrypted to us.
fn for_recipient(
    operation: Operation,
    plaintext: Option<Blob>,
    ciphertext_for_recipient: Option<Blob>,
) -> Result<Vec<u8>, KmsError> {
    if plaintext.is_some_and(|plaintext| !plaintext.as_ref().is_empty()) {
        let problem = "expected no Plaintext: it was released without attestation";
        return Err(KmsError::Reply { operation, problem });
    }
    let problem = "expected a CiphertextForRecipient";
    ciphertext_for_recipient
        .map(Blob::into_inner)
        .filter(|ciphertext| !ciphertext.is_empty())
        .ok_or(KmsError::Reply { operation, problem })
}

fn ciphertext_blob(operation: Operation, blob: Option<Blob>) -> Result<Vec<u8>, KmsError> {
    let problem = "expected a CiphertextBlob";
    blob.map(Blob::into_inner)
        .filter(|blob| !blob.is_empty())
        .ok_or(KmsError::Reply { operation, problem })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use strongroom_shared::problem::Code;

    use super::*;
    use crate::boot::BootError;

    /// Without a document there is no call, and the NSM is what failed.
    #[test]
    fn nothing_is_asked_without_a_document() {
        let error =
            recipient(Operation::Decrypt, &|| Err(NsmError::NoEntropy)).map(|_| ()).unwrap_err();
        assert!(matches!(error, KmsError::Document { source: NsmError::NoEntropy, .. }));
        assert_eq!(error.refusal(), None);
        assert_eq!(BootError::Kms(error).code(), Code::BootNsmFailed);
    }
}
