//! What KMS and the way to it can say, as types.

use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use strongroom_attestation::nsm::NsmError;

/// The most characters of KMS's own words that are kept.
const MAX_TEXT: usize = 300;

/// The operations that the enclave calls; see [`super`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `DescribeKey`
    DescribeKey,
    /// `GetKeyPolicy`
    GetKeyPolicy,
    /// `ListGrants`
    ListGrants,
    /// `Decrypt`
    Decrypt,
    /// `GenerateDataKey`
    GenerateDataKey,
    /// `Encrypt`
    Encrypt,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f) // the names of the variants are KMS's own
    }
}

/// Why a call to KMS gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// The host's credentials fit into no request. KMS was not asked.
    #[error("kms: credentials: {field}: expected {expected}")]
    Credentials {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// No TLS connection to the host that the configuration names, or no answer in time.
    #[error("kms {operation}: not reached: {cause}")]
    Unreachable {
        /// The operation.
        operation: Operation,
        /// What the connection said.
        cause: String,
    },
    /// KMS said no.
    #[error("kms {operation}: refused with {code}: {message}")]
    Refused {
        /// The operation.
        operation: Operation,
        /// What that means.
        refusal: Refusal,
        /// The name of KMS's exception.
        code: String,
        /// KMS's own words.
        message: String,
    },
    /// KMS answered, and not as such a call is answered.
    #[error("kms {operation}: reply: {problem}")]
    Reply {
        /// The operation.
        operation: Operation,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no attestation document to ask with.
    #[error("kms {operation}: attestation document: {source}")]
    Document {
        /// The operation.
        operation: Operation,
        /// What the NSM said.
        source: NsmError,
    },
}

impl KmsError {
    /// What KMS's refusal means, where it was one.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(*refusal),
            Self::Credentials { .. }
            | Self::Unreachable { .. }
            | Self::Reply { .. }
            | Self::Document { .. } => None,
        }
    }
}

/// What a refusal of KMS means (KMS API Reference: the errors of each operation, and Common Errors).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key policy does not allow it: to these measurements, or to this role.
    AccessDenied,
    /// Too many requests; the only one after which the call is made again.
    Throttled,
    /// The host's credentials are unknown, have expired, or signed wrongly.
    CredentialsRefused,
    /// There is no such key.
    KeyNotFound,
    /// The key is disabled.
    KeyDisabled,
    /// The key is in a state in which it cannot be used, pending deletion for example.
    KeyState,
    /// The key is for another use.
    KeyUsage,
    /// The key cannot be used now.
    KeyUnavailable,
    /// The ciphertext was altered, or has another encryption context.
    InvalidCiphertext,
    /// The ciphertext is of another key.
    IncorrectKey,
    /// The request, or the attestation document in it, is not valid.
    RequestRefused,
    /// A quota of the account.
    QuotaExceeded,
    /// A fault of KMS, or of what it depends on.
    Internal,
    /// An exception that this enclave does not know.
    Unknown,
}

impl Refusal {
    /// By the name of the exception; where there is none or an unknown one, by the HTTP status.
    fn of(code: Option<&str>, status: u16) -> Self {
        match code.unwrap_or_default() {
            "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "OptInRequired" => {
                Self::AccessDenied
            }
            "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown" => Self::Throttled,
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired" => Self::CredentialsRefused,
            "NotFoundException" | "InvalidArnException" => Self::KeyNotFound,
            "DisabledException" => Self::KeyDisabled,
            "KMSInvalidStateException" => Self::KeyState,
            "InvalidKeyUsageException" => Self::KeyUsage,
            "KeyUnavailableException" => Self::KeyUnavailable,
            "InvalidCiphertextException" => Self::InvalidCiphertext,
            "IncorrectKeyException" => Self::IncorrectKey,
            "ValidationException"
            | "ValidationError"
            | "SerializationException"
            | "UnknownOperationException"
            | "MalformedHttpRequestException"
            | "RequestEntityTooLargeException"
            | "InvalidGrantTokenException"
            | "InvalidMarkerException"
            | "DryRunOperationException" => Self::RequestRefused,
            "LimitExceededException" => Self::QuotaExceeded,
            "KMSInternalException"
            | "InternalFailure"
            | "InternalServerError"
            | "InternalServiceException"
            | "DependencyTimeoutException"
            | "RequestTimeoutException"
            | "RequestAbortedException"
            | "ServiceUnavailable"
            | "ServiceUnavailableException" => Self::Internal,
            _ => match status {
                429 => Self::Throttled,
                500.. => Self::Internal,
                _ => Self::Unknown,
            },
        }
    }
}

/// Says what a failed call of the SDK was.
pub(super) fn explain<E>(operation: Operation, error: &SdkError<E, HttpResponse>) -> KmsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let unreadable = KmsError::Reply { operation, problem: "expected the JSON of this operation" };
    match error {
        // Success that does not parse is an error of the service to the SDK, too.
        SdkError::ServiceError(refused) if refused.raw().status().is_success() => unreadable,
        SdkError::ResponseError(_) => unreadable,
        SdkError::ServiceError(refused) => {
            // The SDK takes the message from `message` and from `Message`: KMS writes both.
            let (error, status) = (refused.err(), refused.raw().status().as_u16());
            KmsError::Refused {
                operation,
                refusal: Refusal::of(error.code(), status),
                code: printable(error.code().unwrap_or("an unnamed exception"), MAX_TEXT),
                message: printable(error.message().unwrap_or("no message"), MAX_TEXT),
            }
        }
        _ => {
            let mut cause = String::new();
            let mut next: Option<&dyn std::error::Error> = Some(error);
            while let Some(error) = next {
                cause = error.to_string(); // the innermost says what happened
                next = error.source();
            }
            KmsError::Unreachable { operation, cause: printable(&cause, MAX_TEXT) }
        }
    }
}

/// The printable ASCII characters of a text, at most so many of them.
pub(crate) fn printable(text: &str, most: usize) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(most).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_sdk_kms::operation::decrypt::DecryptError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    fn refused(status: u16, metadata: ErrorMetadata) -> KmsError {
        let response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(""));
        let error = SdkError::service_error(DecryptError::generic(metadata), response);
        explain(Operation::Decrypt, &error)
    }

    #[test]
    fn each_exception_has_its_meaning() {
        for (code, expected) in [
            ("AccessDeniedException", Refusal::AccessDenied),
            ("ThrottlingException", Refusal::Throttled),
            ("Throttling", Refusal::Throttled),
            ("TooManyRequestsException", Refusal::Throttled),
            ("RequestLimitExceeded", Refusal::Throttled),
            ("UnrecognizedClientException", Refusal::CredentialsRefused),
            ("InvalidSignatureException", Refusal::CredentialsRefused),
            ("IncompleteSignature", Refusal::CredentialsRefused),
            ("MissingAuthenticationToken", Refusal::CredentialsRefused),
            ("ExpiredTokenException", Refusal::CredentialsRefused),
            ("NotFoundException", Refusal::KeyNotFound),
            ("DisabledException", Refusal::KeyDisabled),
            ("KMSInvalidStateException", Refusal::KeyState),
            ("InvalidKeyUsageException", Refusal::KeyUsage),
            ("KeyUnavailableException", Refusal::KeyUnavailable),
            ("InvalidCiphertextException", Refusal::InvalidCiphertext),
            ("IncorrectKeyException", Refusal::IncorrectKey),
            ("ValidationException", Refusal::RequestRefused),
            ("LimitExceededException", Refusal::QuotaExceeded),
            ("KMSInternalException", Refusal::Internal),
            ("DependencyTimeoutException", Refusal::Internal),
            ("SomethingNewException", Refusal::Unknown),
        ] {
            let error = refused(400, ErrorMetadata::builder().code(code).build());
            assert_eq!(error.refusal(), Some(expected), "{code}");
            assert!(error.to_string().contains(code), "{error}");
        }
    }

    #[test]
    fn without_a_name_the_status_says_what_it_was() {
        for (status, expected) in
            [(429, Refusal::Throttled), (503, Refusal::Internal), (400, Refusal::Unknown)]
        {
            let error = refused(status, ErrorMetadata::builder().build());
            assert_eq!(error.refusal(), Some(expected), "{status}");
        }
    }

    #[test]
    fn its_words_are_bounded_and_printable() {
        let message = format!("a\u{1b}[31m\n\u{e9}b{}", "c".repeat(1_000));
        let metadata = ErrorMetadata::builder().code("X\nY").message(message).build();
        let KmsError::Refused { code, message, .. } = refused(400, metadata) else {
            panic!("expected a refusal");
        };
        assert_eq!(code, "XY");
        assert!(message.starts_with("a[31mbccc"), "{message}");
        assert_eq!(message.len(), MAX_TEXT);
    }
}
