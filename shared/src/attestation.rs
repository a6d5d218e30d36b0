//! What an attestation document of Strongroom binds.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::encoding::Base64;
use crate::id::{BootId, DekId};
use crate::intent::V1;
use crate::key::PublicKey;

/// The domain of `user_data`.
const DOMAIN: &str = "strongroom-binding-v1";

/// What belongs to one life of an enclave. `user_data` of its documents is
/// SHA-256(`"strongroom-binding-v1\0"` ‖ the exact bytes of this as JSON).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The format version.
    pub version: V1,
    /// This life of the enclave.
    pub boot_id: BootId,
    /// The key that signs receipts and address statements in this life.
    pub receipt_key: PublicKey,
    /// The policy in force.
    pub policy: Digest,
    /// The measured configuration.
    pub configuration: Digest,
    /// The DEK that was unwrapped.
    pub dek_id: DekId,
}

impl Binding {
    /// `user_data` of a document that binds these exact bytes.
    pub fn user_data(binding: &[u8]) -> Digest {
        Digest::of_domain(DOMAIN, binding)
    }
}

/// `GET /v1/attestation`: the document, and the exact bytes that it binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationReply {
    /// The COSE_Sign1 document.
    pub document: Base64,
    /// The exact bytes of the [`Binding`] as JSON.
    pub binding: Base64,
}
