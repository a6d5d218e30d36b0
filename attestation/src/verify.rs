//! [`UnverifiedDocument`] → [`VerifiedDocument`]: certificates and signature, under a pinned root, at a
//! given time.
//!
//! The steps are those of AWS's attestation process, in its order ([`Step`]):
//!
//! | step | what | AP | where |
//! | --- | --- | --- | --- |
//! | 1 | at most 17,408 bytes; COSE_Sign1, untagged or with tag 18; nothing after it; a signature of 96 bytes | 3.1, 3.2.1 | [`crate::document`] |
//! | 2 | the protected header is exactly `{alg: ES384}`, the unprotected one empty | 3.1 | [`crate::document`] |
//! | 3 | the payload: members, types, bounds | 3.2.2 | [`crate::document`] |
//! | 4 | the first entry of the bundle *is* the pinned root, byte for byte | 3.2.3 | here |
//! | 5 | X.509, and each certificate issued under the name of the one before it in the bundle | 3.2.3 | here |
//! | 6 | every certificate is valid at the given time, the root too | 3.2.3.1 | here |
//! | 7 | basic constraints of each, and path lengths | 3.2.3.2 | here |
//! | 8 | key usage of each; the key of the leaf is on P-384 | 3.2.3.3, 3.1 | here |
//! | 9 | the signatures of the chain, over exactly these certificates (`rustls-webpki`; RFC 5280, section 6) | 3.2.4 | here |
//! | 10 | the COSE signature, ES384, with the key of the leaf | 3.2.1 | here |
//! | 11 to 15 | what the caller asks for: no debug image, PCRs, module id, nonce, user data, public key, age | 2.2.2 | [`crate::expect`] |
//!
//! Where AP leaves room: null stands for an absent optional member, since genuine documents have it
//! (AP 3.2.2.1 says no); members that AP does not know are passed over, save `nitrotpm_pcrs`, since those
//! documents of instances are signed under the same root; maps and arrays may have definite or
//! indefinite length, strings may not be in chunks.
//!
//! An ECDSA signature can be rewritten to another that verifies (r, n − s), and the tag comes and goes,
//! so a document proves what it says, but its bytes and their hash identify nothing. A nonce does.
//!
//! Revocation lists are not fetched: a leaf certificate lives for three hours.

mod chain;
mod root;
mod step;

use std::collections::BTreeMap;

use rustls_pki_types::UnixTime;
use thiserror::Error;

use crate::{
    cose::{Es384PublicKey, Sha2},
    document::{Payload, UnverifiedDocument},
    measure::Pcr,
};
pub use chain::{ChainError, Position};
pub use root::{AWS_ROOT_G1_SHA256, TrustAnchor, TrustAnchorError};
pub use step::Step;

/// A document is not what the PKI signed.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// Steps 4 to 9 failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Step 10 failed: the certificates are good, the signature of the document is not.
    #[error("document: its signature does not verify with the key of its certificate")]
    Signature,
}

impl VerifyError {
    /// The step that failed.
    pub fn step(&self) -> Step {
        match self {
            Self::Chain(error) => error.step(),
            Self::Signature => Step::Signature,
        }
    }
}

/// A document that the pinned PKI signed, for an enclave of which it says the truth.
///
/// Which enclave that is, and whether it is fresh, is for [`VerifiedDocument::check`].
pub struct VerifiedDocument {
    payload: Payload,
}

impl UnverifiedDocument {
    /// Verifies the document under `anchor`, with certificates as of `at`.
    ///
    /// # Errors
    /// The first step that fails; see the [module](self) for their order.
    pub fn verify(
        self,
        anchor: &TrustAnchor,
        at: UnixTime,
    ) -> Result<VerifiedDocument, VerifyError> {
        let Self { cose, payload } = self;
        // Steps 4 to 9.
        let point = chain::verify(&payload.certificate, &payload.cabundle, anchor, at)?;
        // Step 10.
        let key = Es384PublicKey::from_point(point);
        match cose.verify_signature::<Sha2>(&key) {
            Ok(true) => Ok(VerifiedDocument { payload }),
            Ok(false) | Err(_) => Err(VerifyError::Signature),
        }
    }
}

impl VerifiedDocument {
    /// The NSM that issued the document, for example `i-07e25f3bada361dec-enc0181d3dff86da785`.
    pub fn module_id(&self) -> &str {
        &self.payload.module_id
    }

    /// When it was made: milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> u64 {
        self.payload.timestamp_ms
    }

    /// One register; `None` when the document does not name it.
    ///
    /// A document names the registers 0 to 15 and those that are locked or were extended.
    pub fn pcr(&self, index: u16) -> Option<Pcr> {
        self.payload.pcrs.get(&index).copied()
    }

    /// All registers that the document names.
    pub fn pcrs(&self) -> &BTreeMap<u16, Pcr> {
        &self.payload.pcrs
    }

    /// The public key that the enclave asked to have in the document.
    pub fn public_key(&self) -> Option<&[u8]> {
        self.payload.public_key.as_deref()
    }

    /// The user data that the enclave asked to have in the document.
    pub fn user_data(&self) -> Option<&[u8]> {
        self.payload.user_data.as_deref()
    }

    /// The nonce that the enclave asked to have in the document.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.payload.nonce.as_deref()
    }

    /// Whether the enclave runs in debug mode, where the host reads its console: PCR0 is zero, or
    /// absent.
    pub fn is_debug(&self) -> bool {
        self.pcr(0).is_none_or(|pcr| pcr.is_zero())
    }
}
