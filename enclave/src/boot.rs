//! The boot, in phases that are types: there is no signing before the last one.
//!
//! [`Measured`] → [`PolicyLocked`] → [`Enclave`](crate::enclave::Enclave), in the order that the
//! measurements need: the configuration into PCR16, the policy into PCR17, both locked, and only
//! then a document for KMS. So what KMS releases the DEK to is *image + configuration + policy*; and
//! before it is asked, the KEK and its key policy are looked at, so that it is nothing else.

mod dek;
mod kek;
mod kek_change;
mod measured;
mod policy;

use strongroom_attestation::cms::{CmsError, RecipientKeyError};
use strongroom_attestation::nsm::NsmError;
use strongroom_policy::PolicyError;
use strongroom_shared::dsse::EnvelopeError;
use strongroom_shared::id::DekId;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::time::UtcSeconds;

use crate::audit::{AuditError, ReceiptKeyError};
use crate::clock::ClockError;
use crate::config::ConfigError;
use crate::entropy::EntropyError;
use crate::kms::KmsError;

pub use kek::{KekError, Which};
pub use measured::Measured;
pub(crate) use policy::Life;
pub use policy::PolicyLocked;

/// The register that the configuration is extended into.
pub const CONFIGURATION_PCR: u16 = 16;
/// The register that the policy is extended into.
pub const POLICY_PCR: u16 = 17;

/// Which step of the boot failed, and why.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The measured configuration.
    #[error("boot: {0}")]
    Configuration(#[from] ConfigError),
    /// The key that KMS is to encrypt to.
    #[error("boot: recipient key: {0}")]
    RecipientKey(#[from] RecipientKeyError),
    /// The NSM.
    #[error("boot: {0}")]
    Nsm(#[from] NsmError),
    /// The NSM's own document, which the time is taken from.
    #[error("boot: {0}")]
    Time(#[from] ClockError),
    /// The policy's envelope.
    #[error("boot: policy: {0}")]
    PolicyEnvelope(#[from] EnvelopeError),
    /// The policy's signatures.
    #[error("boot: policy: expected {need} policy admins' signatures, found {have}")]
    PolicyQuorum {
        /// How many the configuration asks for.
        need: usize,
        /// How many verify.
        have: usize,
    },
    /// The policy itself.
    #[error("boot: {0}")]
    Policy(#[from] PolicyError),
    /// Keys of admins do not sign intents, nor the other way round.
    #[error("boot: policy: principals: expected keys that are no policy admin's")]
    KeyCrosses,
    /// The policy is too old.
    #[error("boot: policy: not_after: expected a time after {now}, found {not_after}")]
    PolicyExpired {
        /// The end of its life.
        not_after: UtcSeconds,
        /// The trusted time.
        now: UtcSeconds,
    },
    /// Another policy is in PCR17 for the rest of this life.
    #[error("boot: policy: another one is locked into PCR17; restart the enclave to change it")]
    PolicyLocked,
    /// A change to another KEK needs `Encrypt` on it, and then only `dek_ids` tell the DEK.
    #[error(
        "boot: policy: expected one that lists its dek_ids, found a provisioning one, while the \
         configuration has kms.previous_key_arn: whoever may encrypt under the kek could bring a \
         DEK of their own"
    )]
    KekChangeWhileProvisioning,
    /// TLS.
    #[error("boot: tls: {0}")]
    Tls(#[from] rustls::Error),
    /// KMS.
    #[error("boot: {0}")]
    Kms(#[from] KmsError),
    /// The KEK or its key policy.
    #[error("boot: {0}")]
    Kek(#[from] KekError),
    /// What KMS released does not open.
    #[error("boot: CiphertextForRecipient: {0}")]
    Recipient(#[from] CmsError),
    /// What KMS released is not a DEK.
    #[error("boot: the released DEK: expected 32 bytes")]
    DekLength,
    /// The host has no DEK in store, and the policy does not let this enclave make one.
    #[error("boot: no encrypted DEK in store, and the policy is not provisioning")]
    DekMissing,
    /// A DEK that the policy does not know.
    #[error("boot: the policy does not list the DEK {0}")]
    DekNotListed(DekId),
    /// What KMS encrypted under the new KEK is another DEK.
    #[error("boot: the DEK under the new kek: expected {expected}, found {found}")]
    DekNotMoved {
        /// The DEK that was sent.
        expected: DekId,
        /// The DEK that came back.
        found: DekId,
    },
    /// The randomness.
    #[error("boot: {0}")]
    Entropy(#[from] EntropyError),
    /// The receipt key.
    #[error("boot: {0}")]
    ReceiptKey(#[from] ReceiptKeyError),
    /// The first receipt.
    #[error("boot: {0}")]
    Audit(#[from] AuditError),
}

impl BootError {
    /// The stable code of the cause.
    pub fn code(&self) -> Code {
        match self {
            Self::Configuration(_)
            | Self::RecipientKey(_)
            | Self::Tls(_)
            | Self::ReceiptKey(_)
            | Self::Audit(_) => Code::InternalFault,
            Self::Nsm(_)
            | Self::Time(_)
            | Self::Entropy(_)
            | Self::Kms(KmsError::Document { .. }) => Code::BootNsmFailed,
            Self::PolicyEnvelope(_)
            | Self::PolicyQuorum { .. }
            | Self::Policy(_)
            | Self::KeyCrosses
            | Self::KekChangeWhileProvisioning
            | Self::PolicyExpired { .. } => Code::BootPolicyRefused,
            Self::PolicyLocked => Code::BootPolicyLocked,
            Self::Kms(KmsError::Credentials { .. }) => Code::MalformedRequest,
            Self::Kms(KmsError::Unreachable { .. }) => Code::BootKmsUnreachable,
            Self::Kms(KmsError::Refused { .. }) => Code::BootKmsRefused,
            Self::Kms(KmsError::Reply { .. })
            | Self::Recipient(_)
            | Self::DekLength
            | Self::DekNotMoved { .. } => Code::BootKmsReplyRefused,
            Self::Kek(_) => Code::BootKeyRefused,
            Self::DekMissing => Code::BootDekMissing,
            Self::DekNotListed(_) => Code::BootDekNotListed,
        }
    }

    /// What the host is told, and what an operator reads.
    pub fn problem(&self) -> Problem {
        Problem::new(self.code(), self.to_string())
    }
}
