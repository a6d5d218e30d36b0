//! Bytes → [`UnverifiedDocument`]: the syntax of an attestation document, with every documented bound.
//!
//! Steps 1 to 3 of the verification ([`Step`]); [`crate::verify`] goes on with step 4. The size is
//! bounded before anything is read, and nesting while it is.

mod cbor;
mod frame;
mod payload;
mod wire;

use aws_nitro_enclaves_cose::{CoseSign1, error::CoseError};
use thiserror::Error;

use crate::{cose::Sha2, verify::Step};
use cbor::CborError;
pub(crate) use payload::Payload;
pub use payload::PayloadError;

/// The most bytes of a payload (AP 3.1).
pub const MAX_PAYLOAD_BYTES: usize = 16_384;
/// The most bytes of a whole document: the payload, and room for headers and signature.
pub const MAX_DOCUMENT_BYTES: usize = MAX_PAYLOAD_BYTES + 1_024;

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
    /// The signature is none of ES384.
    #[error("document: expected a signature of 96 bytes, found {found}")]
    Signature {
        /// Its length in bytes.
        found: usize,
    },
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

impl ParseError {
    /// The step that failed.
    pub fn step(&self) -> Step {
        match self {
            Self::TooLarge { .. } | Self::Cose | Self::Signature { .. } => Step::Structure,
            Self::Protected | Self::Unprotected => Step::Headers,
            Self::Payload(_) => Step::Payload,
        }
    }
}

impl From<CborError> for ParseError {
    fn from(CborError: CborError) -> Self {
        Self::Cose
    }
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
        // Step 1, before all else: the bound (AP 3.1).
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(ParseError::TooLarge { found: bytes.len() });
        }
        // Steps 1 and 2: structure and headers (AP 3.1, 3.2.1).
        frame::check(bytes)?;
        let cose = CoseSign1::from_bytes(bytes)?;

        // Step 3: the payload, member for member (AP 3.2.2).
        let payload = Payload::parse(&cose.get_payload::<Sha2>(None)?)?;
        Ok(Self { cose, payload })
    }

    /// The time that the document claims, in milliseconds since the Unix epoch, **unverified**.
    ///
    /// It can be believed of a document that the caller has just obtained from its own NSM device: the
    /// enclave takes its trusted time so. Of a document from anybody else it proves nothing; verified
    /// at this time, such a document was genuine whenever it was made, and may be of any age.
    pub fn claimed_timestamp_ms(&self) -> u64 {
        self.payload.timestamp_ms
    }
}

#[cfg(test)]
mod tests;
