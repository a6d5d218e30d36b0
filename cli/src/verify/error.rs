//! Why something was not proven, and at which step that was seen.

use strongroom_attestation::document::ParseError;
use strongroom_attestation::expect::ExpectationError;
use strongroom_attestation::verify as chain;
use strongroom_attestation::verify::{ChainError, TrustAnchorError};
use strongroom_shared::dsse::EnvelopeError;
use strongroom_shared::id::{BootId, WalletId};
use strongroom_shared::json::JsonError;

/// Why something was not proven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Document(#[from] ParseError),
    #[error(transparent)]
    Chain(#[from] chain::VerifyError),
    #[error(transparent)]
    Expectation(#[from] ExpectationError),
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The input is no document in any spelling.
    #[error(
        "input: expected a document as raw cbor, base64, hex, or the json of `attestation fetch`"
    )]
    Input,
    /// The document binds other bytes.
    #[error(
        "binding: expected the bytes whose digest is the user data of the document, found others"
    )]
    OtherBinding,
    /// The document binds bytes that are no binding.
    #[error(transparent)]
    Binding(JsonError),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Not a root certificate.
    #[error(transparent)]
    Root(#[from] TrustAnchorError),
    /// Under AWS's root every enclave of everybody has a genuine document.
    #[error(
        "--pcr: expected at least --pcr 0=HEX, because aws signs documents for everybody's images"
    )]
    AnyImage,
    /// No signature of the receipt key.
    #[error(
        "{document}: expected a signature of the attested receipt key, found none that verifies"
    )]
    NotSigned { document: &'static str },
    /// Signed by the receipt key, and yet about another life of an enclave.
    #[error("{document}: boot_id: expected {expected}, found {found}")]
    Boot { document: &'static str, expected: BootId, found: BootId },
    /// A statement about another wallet.
    #[error("address statement: wallet: expected {expected}, found {found}")]
    Wallet { expected: WalletId, found: WalletId },
    /// The addresses of the reply are not those of the statement.
    #[error("addresses: expected exactly the {signed} that the enclave signed, found others")]
    Addresses { signed: usize },
    /// True, and not what was asked for.
    #[error("addresses: expected the paths that were asked for, found others")]
    Paths,
    /// The body does not say the place that the receipt says.
    #[error("receipt: sequence: expected {body} as in the body, found {receipt}")]
    Sequence { body: u64, receipt: u64 },
    /// The body is not in the group of the head.
    #[error("receipt: proof: expected it to lead from the body to the signed root")]
    Proof,
    /// The receipt is about something else than the reply that it came with.
    #[error("receipt: {field}: expected what the reply says, found another")]
    Reply { field: &'static str },
}

impl VerifyError {
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Boot { .. } | Self::NotSigned { .. } => Some(
                "the receipt key changes with each boot: the attestation must be of the same boot",
            ),
            Self::AnyImage => Some(
                "they are those that your build printed; a development environment has another --root: DIR/mock/nsm/root.pem",
            ),
            Self::Chain(chain::VerifyError::Chain(ChainError::WrongRoot)) => {
                Some("a development environment has another --root: DIR/mock/nsm/root.pem")
            }
            Self::Chain(chain::VerifyError::Chain(ChainError::Validity { .. })) => Some(
                "certificates live for hours: judge a document from the past as of its time, with --at",
            ),
            _ => None,
        }
    }

    /// The step of the verification of an attestation that failed, where it is one of them.
    pub(crate) fn step(&self) -> Option<Step> {
        match self {
            Self::Document(error) => Some(Step::Document(error.step())),
            Self::Chain(error) => Some(Step::Document(error.step())),
            Self::Expectation(error) => Some(Step::Document(error.step())),
            Self::OtherBinding | Self::Binding(_) => Some(Step::Binding),
            _ => None,
        }
    }

    /// Whether the arguments are wrong, and nothing was judged.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Root(_))
    }
}

/// A step of the verification of an attestation. Displayed as `step 16, binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Of the document.
    Document(chain::Step),
    /// After all of those: the bytes that the document binds.
    Binding,
}

impl Step {
    /// Its number, from 1.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Document(step) => step.number(),
            Self::Binding => 16,
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document(step) => step.fmt(f),
            Self::Binding => write!(f, "step {}, binding", self.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_binding_comes_after_the_document() {
        let last = Step::Document(*chain::Step::ALL.last().unwrap());
        assert_eq!(Step::Binding.number(), last.number() + 1);
        assert_eq!(Step::Binding.to_string(), "step 16, binding");
        assert_eq!(VerifyError::OtherBinding.step(), Some(Step::Binding));
        assert_eq!(VerifyError::AnyImage.step(), None);
    }
}
