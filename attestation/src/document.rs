//! Bytes → [`UnverifiedDocument`]: the syntax of an attestation document, with every documented bound.
//!
//! Steps 1 to 3 of the verification; [`crate::verify`] goes on with step 4.

mod payload;
mod wire;

use aws_nitro_enclaves_cose::{CoseSign1, error::CoseError};
use thiserror::Error;

use crate::cose::Sha2;
pub(crate) use payload::Payload;
pub use payload::PayloadError;

/// The most bytes of a payload (AP 3.1).
pub const MAX_PAYLOAD_BYTES: usize = 16_384;
/// The most bytes of a whole document: the payload, and room for headers and signature.
pub const MAX_DOCUMENT_BYTES: usize = MAX_PAYLOAD_BYTES + 1_024;

/// The protected header of every document: `{1: -35}`, which is `{alg: ES384}` (AP 3.1).
const PROTECTED_ES384: &[u8] = &[0xa1, 0x01, 0x38, 0x22];

/// Bytes are not an attestation document.
#[derive(Debug, Error)]
pub enum ParseError {
    /// More bytes than any document has.
    #[error("document: expected at most {MAX_DOCUMENT_BYTES} bytes, found {found}")]
    TooLarge {
        /// Their number.
        found: usize,
    },
    /// Not a COSE_Sign1 structure, untagged or with tag 18, and nothing after it.
    #[error(
        "document: expected a COSE_Sign1 structure, untagged or with tag 18, and nothing after it"
    )]
    Cose,
    /// The protected header is something else than `{1: -35}`.
    #[error("document: expected the protected header to be exactly ES384")]
    Protected,
    /// The unprotected header has entries.
    #[error("document: expected an empty unprotected header")]
    Unprotected,
    /// The payload breaks a rule.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl From<CoseError> for ParseError {
    /// The parser's own text is dropped, because it may quote the input.
    fn from(_: CoseError) -> Self {
        Self::Cose
    }
}

/// A document whose syntax is right, and of which nothing else is known.
///
/// It says nothing to be relied on until [`UnverifiedDocument::verify`] has made a
/// [`crate::verify::VerifiedDocument`] of it; so it has no getters, but one.
pub struct UnverifiedDocument {
    pub(crate) cose: CoseSign1,
    pub(crate) payload: Payload,
}

impl UnverifiedDocument {
    /// Reads a document.
    ///
    /// # Errors
    /// For everything that AP 3.1 and 3.2.2 rule out, save that an optional member may be null:
    /// the genuine documents of today have such members.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        // Step 1: bound, then COSE_Sign1 (AP 3.1, 3.2.1).
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(ParseError::TooLarge { found: bytes.len() });
        }
        let cose = CoseSign1::from_bytes(bytes)?;

        // Step 2: headers: ES384 and nothing else (AP 3.1).
        let (protected, payload) = cose.get_protected_and_payload::<Sha2>(None)?;
        let protected = serde_cbor::to_vec(&protected).map_err(|_| ParseError::Protected)?;
        if protected != PROTECTED_ES384 {
            return Err(ParseError::Protected);
        }
        if !cose.get_unprotected().is_empty() {
            return Err(ParseError::Unprotected);
        }

        // Step 3: the payload, member for member (AP 3.2.2).
        let payload = Payload::parse(&payload)?;
        Ok(Self { cose, payload })
    }

    /// The time in the document, in milliseconds since the Unix epoch, **unverified**.
    ///
    /// Only for a document that the caller has just obtained from its own NSM device: the enclave
    /// takes its trusted time so. Of a document from anybody else it proves nothing.
    pub fn own_timestamp_ms(&self) -> u64 {
        self.payload.timestamp_ms
    }
}

#[cfg(test)]
mod tests;
