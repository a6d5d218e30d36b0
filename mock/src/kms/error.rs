//! Errors as the real KMS returns them: HTTP 400, a type, a message.

use serde_json::json;
use thiserror::Error;

use super::{
    CONTENT_TYPE, KmsError, PolicyError, Reply, sigv4::AuthenticationError, state::KeyArn,
};

/// A request is refused. The messages never hold what the caller sent.
#[derive(Debug, Error)]
pub(super) enum ApiError {
    /// Another method or path than `POST /`.
    #[error("expected POST /")]
    NotServed,
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error(
        "User: {caller} is not authorized to perform: {action} on resource: {resource} {}",
        if *explicit {
            "with an explicit deny in a resource-based policy".to_owned()
        } else {
            format!("because no resource-based policy allows the {action} action")
        }
    )]
    AccessDenied { caller: String, action: &'static str, resource: String, explicit: bool },
    /// Of a ciphertext that says by itself which key it needs.
    #[error(
        "The ciphertext refers to a customer master key that does not exist, does not exist in this \
         region, or you are not allowed to access."
    )]
    CiphertextDenied,
    /// Also for a wrong encryption context. The text is for the log: the real one has none.
    #[error("the ciphertext is not of this key and encryption context")]
    InvalidCiphertext,
    #[error("the key id names another key than the ciphertext")]
    IncorrectKey,
    #[error("the key does not exist")]
    NotFound,
    /// Something of a key.
    #[error("{0}")]
    NoSuch(&'static str),
    #[error("{0} is disabled.")]
    Disabled(KeyArn),
    #[error("{0} is pending deletion.")]
    PendingDeletion(KeyArn),
    #[error("{0} is not pending deletion.")]
    NotPendingDeletion(KeyArn),
    #[error("{0}")]
    MalformedPolicy(String),
    #[error("{0}")]
    LimitExceeded(String),
    #[error("{0}")]
    InvalidArn(&'static str),
    #[error("marker: expected one that the last answer gave")]
    InvalidMarker,
    #[error("The request would have succeeded, but the DryRun option is set.")]
    DryRun,
    #[error("{0}")]
    Validation(String),
    #[error("{0}")]
    Unsupported(&'static str),
    #[error("content type: expected {CONTENT_TYPE}")]
    ContentType,
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
            Self::NotServed | Self::ContentType | Self::UnknownOperation => {
                "UnknownOperationException"
            }
            Self::Authentication(error) => error.kind(),
            Self::AccessDenied { .. } | Self::CiphertextDenied => "AccessDeniedException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::NotFound | Self::NoSuch(_) => "NotFoundException",
            Self::Disabled(_) => "DisabledException",
            Self::PendingDeletion(_) | Self::NotPendingDeletion(_) => "KMSInvalidStateException",
            Self::MalformedPolicy(_) => "MalformedPolicyDocumentException",
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::InvalidArn(_) => "InvalidArnException",
            Self::InvalidMarker => "InvalidMarkerException",
            Self::DryRun => "DryRunOperationException",
            Self::Validation(_) => "ValidationException",
            Self::Unsupported(_) => "UnsupportedOperationException",
            Self::Serialization => "SerializationException",
            Self::Internal(_) | Self::Crypto => "KMSInternalException",
        }
    }

    /// In the words of AWS.
    pub(super) fn invalid_principals() -> Self {
        let message = "Policy contains a statement with one or more invalid principals.";
        Self::MalformedPolicy(message.to_owned())
    }

    /// As the real KMS: some types spell `message`, most of them `Message`.
    pub(super) fn reply(&self) -> Reply {
        let body = match self {
            // The real one says no more either.
            Self::InvalidCiphertext => json!({"__type": self.kind()}),
            Self::Authentication(_)
            | Self::IncorrectKey
            | Self::NotFound
            | Self::NoSuch(_)
            | Self::Disabled(_)
            | Self::PendingDeletion(_)
            | Self::NotPendingDeletion(_)
            | Self::MalformedPolicy(_)
            | Self::LimitExceeded(_)
            | Self::InvalidArn(_)
            | Self::InvalidMarker
            | Self::DryRun
            | Self::Validation(_) => {
                json!({"__type": self.kind(), "message": self.to_string()})
            }
            // What went wrong inside is for the log, not for the caller.
            Self::Internal(_) | Self::Crypto => {
                json!({"__type": self.kind(), "Message": "internal failure"})
            }
            _ => json!({"__type": self.kind(), "Message": self.to_string()}),
        };
        let status = match self {
            Self::NotServed => 404,
            Self::DryRun => 412,
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

impl From<PolicyError> for ApiError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::TooLarge { .. } => Self::LimitExceeded(error.to_string()),
            PolicyError::Principal { .. } => Self::invalid_principals(),
            _ => Self::MalformedPolicy(error.to_string()),
        }
    }
}
