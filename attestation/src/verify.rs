//! [`UnverifiedDocument`] → [`VerifiedDocument`]: certificates and signature, under a pinned root, at a
//! given time.
//!
//! Steps 1 to 3, the syntax, are behind us ([`crate::document`]). Here:
//!
//! 4. the first entry of the bundle *is* the pinned root, byte for byte;
//! 5. the bundle has its documented order, each certificate issued under the name of the one before it
//!    (AP 3.2.3);
//! 6. every certificate is valid at the given time, the root too (AP 3.2.3.1);
//! 7. basic constraints and key usage of each (AP 3.2.3.2, 3.2.3.3);
//! 8. the signatures of the chain, over exactly these certificates (`rustls-webpki`; RFC 5280,
//!    section 6);
//! 9. the COSE signature, ES384, with the key of the last certificate (AP 3.2.1).
//!
//! What a caller wants beyond that (nonce, PCRs, age, no debug image) is [`crate::expect`].
//! Revocation lists are not fetched: a leaf certificate lives for three hours.

mod chain;
mod root;

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

/// A document is not what the PKI signed.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// Steps 4 to 8 failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Step 9 failed: the certificates are good, the signature of the document is not.
    #[error("document: its signature does not verify with the key of its certificate")]
    Signature,
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
        // Steps 4 to 8.
        let point = chain::verify(&payload.certificate, &payload.cabundle, anchor, at)?;
        // Step 9.
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
