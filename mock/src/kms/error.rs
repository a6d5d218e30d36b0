//! Errors as the real KMS returns them: HTTP 400, a type, a message.

use serde_json::json;
use thiserror::Error;

use super::{KmsError, Reply, state::KeyArn};

/// A request is refused. The messages are ours, and never hold what the caller sent.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    #[error(
        "User: arn:aws:iam::{}:role/unverified is not authorized to perform: {action} on resource: \
         {arn} {}",
        arn.account(),
        if *explicit {
            "with an explicit deny in a resource-based policy".to_owned()
        } else {
            format!("because no resource-based policy allows the {action} action")
        }
    )]
    AccessDenied { action: &'static str, arn: KeyArn, explicit: bool },
    /// Also for a wrong encryption context; the real message is empty.
    #[error("the ciphertext is not of this key and encryption context")]
    InvalidCiphertext,
    #[error("the key id names another key than the ciphertext")]
    IncorrectKey,
    #[error("the key does not exist")]
    NotFound,
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    Unsupported(&'static str),
    #[error("the operation is unknown to the local kms")]
    UnknownOperation,
    #[error("the body is not the json of this operation")]
    Serialization,
    #[error("the local kms failed: {0}")]
    Internal(#[from] KmsError),
    #[error("the local kms failed: cryptography")]
    Crypto,
}

impl ApiError {
    /// The type that the SDKs match on.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::AccessDenied { .. } => "AccessDeniedException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::NotFound => "NotFoundException",
            Self::Validation(_) => "ValidationException",
            Self::Unsupported(_) => "UnsupportedOperationException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Serialization => "SerializationException",
            Self::Internal(_) | Self::Crypto => "KMSInternalException",
        }
    }

    /// As the real KMS: some types spell `message`, most of them `Message`.
    pub(super) fn reply(&self) -> Reply {
        let body = match self {
            Self::InvalidCiphertext | Self::IncorrectKey | Self::NotFound | Self::Validation(_) => {
                json!({"__type": self.kind(), "message": self.to_string()})
            }
            // What went wrong inside is for the log, not for the caller.
            Self::Internal(_) | Self::Crypto => {
                json!({"__type": self.kind(), "Message": "internal failure"})
            }
            _ => json!({"__type": self.kind(), "Message": self.to_string()}),
        };
        let status = match self {
            Self::Internal(_) | Self::Crypto => 500,
            _ => 400,
        };
        Reply { status, body: body.to_string().into_bytes() }
    }
}

impl From<aws_lc_rs::error::Unspecified> for ApiError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}
