//! The call to KMS: attested, over TLS that ends here, and believed only as far as it goes.
//!
//! The host carries the bytes and lends the credentials. It can cut the connection; it cannot read
//! or answer, because the certificate must end in the measured roots. That is what makes a reply
//! mean anything: a well-formed `CiphertextForRecipient` by itself proves nothing, since anybody
//! can encrypt to this enclave's public key.

pub mod connector;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{BehaviorVersion, Region};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyEncryptionMechanism, RecipientInfo};
use strongroom_shared::wire;

use crate::clock::Clock;
use crate::config::Config;
use crate::platform::Transport;

/// Everything that a call to KMS may take, TLS and all.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What KMS released: the DEK, encrypted to the key in the attestation document.
#[derive(Debug)]
pub struct Released {
    /// `CiphertextForRecipient`: a CMS EnvelopedData.
    pub ciphertext_for_recipient: Vec<u8>,
    /// The DEK as KMS encrypted it under the KEK, where this call generated it.
    pub encrypted_dek: Option<Vec<u8>>,
}

/// Why there is no DEK.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// No TLS connection to the host that the configuration names, or none in time.
    #[error("kms {operation}: not reached: {cause}")]
    Unreachable {
        /// The operation.
        operation: &'static str,
        /// What the connection said.
        cause: String,
    },
    /// KMS said no.
    #[error("kms {operation}: refused with {code}: {message}")]
    Refused {
        /// The operation.
        operation: &'static str,
        /// The name of KMS's exception.
        code: String,
        /// KMS's own words.
        message: String,
    },
    /// KMS answered, and not as an attested call is answered.
    #[error("kms {operation}: reply: {problem}")]
    Reply {
        /// The operation.
        operation: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A client for the one KEK of the measured configuration.
pub struct Kms {
    client: aws_sdk_kms::Client,
    key_arn: String,
    deployment: String,
}

impl Kms {
    /// A client with the host's credentials, which prove nothing.
    pub fn new<T: Transport>(
        config: &Config,
        clock: Clock,
        credentials: &wire::Credentials,
        transport: Arc<T>,
    ) -> Result<Self, rustls::Error> {
        let kms = config.kms();
        let wire::Credentials { access_key_id, secret_access_key, session_token } = credentials;
        let credentials = Credentials::new(
            access_key_id,
            secret_access_key,
            session_token.clone(),
            None,
            "strongroom-host",
        );
        let timeouts = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
        let connector = connector::KmsConnector::new(kms, clock, transport)?;
        let sdk = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(kms.region.clone()))
            .endpoint_url(format!("https://{}", kms.host.to_str()))
            .credentials_provider(credentials)
            .time_source(clock)
            .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .http_client(connector)
            .build();
        Ok(Self {
            client: aws_sdk_kms::Client::from_conf(sdk),
            key_arn: kms.key_arn.clone(),
            deployment: config.deployment().to_owned(),
        })
    }

    /// `Decrypt` with `Recipient`: the DEK that the host stored.
    pub async fn decrypt(
        &self,
        encrypted_dek: Vec<u8>,
        document: Vec<u8>,
    ) -> Result<Released, KmsError> {
        const OPERATION: &str = "Decrypt";
        let output = self
            .client
            .decrypt()
            .key_id(&self.key_arn)
            .ciphertext_blob(Blob::new(encrypted_dek))
            .set_encryption_context(Some(self.context()))
            .recipient(recipient(document))
            .send()
            .await
            .map_err(|error| explain(OPERATION, &error))?;
        let ciphertext_for_recipient = self.check(
            OPERATION,
            output.key_id,
            output.plaintext,
            output.ciphertext_for_recipient,
        )?;
        Ok(Released { ciphertext_for_recipient, encrypted_dek: None })
    }

    /// `GenerateDataKey` with `Recipient`: a new DEK, under a provisioning policy only.
    pub async fn generate(&self, document: Vec<u8>) -> Result<Released, KmsError> {
        const OPERATION: &str = "GenerateDataKey";
        let output = self
            .client
            .generate_data_key()
            .key_id(&self.key_arn)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(self.context()))
            .recipient(recipient(document))
            .send()
            .await
            .map_err(|error| explain(OPERATION, &error))?;
        let problem = "expected a CiphertextBlob";
        let encrypted_dek =
            output.ciphertext_blob.ok_or(KmsError::Reply { operation: OPERATION, problem })?;
        let ciphertext_for_recipient = self.check(
            OPERATION,
            output.key_id,
            output.plaintext,
            output.ciphertext_for_recipient,
        )?;
        Ok(Released { ciphertext_for_recipient, encrypted_dek: Some(encrypted_dek.into_inner()) })
    }

    /// An attested reply comes from our KEK, carries no plaintext, and is encrypted to us.
    fn check(
        &self,
        operation: &'static str,
        key_id: Option<String>,
        plaintext: Option<Blob>,
        ciphertext_for_recipient: Option<Blob>,
    ) -> Result<Vec<u8>, KmsError> {
        let refuse = |problem| KmsError::Reply { operation, problem };
        if key_id.as_deref() != Some(self.key_arn.as_str()) {
            return Err(refuse("expected the KeyId of the measured KEK"));
        }
        if plaintext.is_some_and(|plaintext| !plaintext.as_ref().is_empty()) {
            return Err(refuse("expected no Plaintext: it was released without attestation"));
        }
        match ciphertext_for_recipient {
            Some(ciphertext) if !ciphertext.as_ref().is_empty() => Ok(ciphertext.into_inner()),
            _ => Err(refuse("expected a CiphertextForRecipient")),
        }
    }

    /// The encryption context: which deployment, and what for. It shows in CloudTrail.
    fn context(&self) -> HashMap<String, String> {
        let purpose = ("strongroom:purpose".to_owned(), "dek".to_owned());
        HashMap::from([("strongroom:deployment".to_owned(), self.deployment.clone()), purpose])
    }
}

fn recipient(document: Vec<u8>) -> RecipientInfo {
    RecipientInfo::builder()
        .key_encryption_algorithm(KeyEncryptionMechanism::RsaesOaepSha256)
        .attestation_document(Blob::new(document))
        .build()
}

fn explain<E, R>(operation: &'static str, error: &SdkError<E, R>) -> KmsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let SdkError::ServiceError(refused) = error {
        let refused = refused.err();
        return KmsError::Refused {
            operation,
            code: printable(refused.code().unwrap_or("an unnamed exception")),
            message: printable(refused.message().unwrap_or("no message")),
        };
    }
    let mut cause = String::new();
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        cause = error.to_string(); // the innermost says what happened
        next = error.source();
    }
    KmsError::Unreachable { operation, cause: printable(&cause) }
}

/// At most 300 printable ASCII characters.
fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(300).collect()
}
