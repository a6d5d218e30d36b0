//! The verifier on documents of the AWS Nitro PKI, on what becomes of them when they are tampered with,
//! and on chains of a PKI made here, each wrong in one way.
#![allow(clippy::unwrap_used)]

mod chain;
mod genuine;
mod pki;
mod tampered;

use std::time::Duration;

use strongroom_attestation::{
    UnixTime,
    document::UnverifiedDocument,
    verify::{TrustAnchor, VerifiedDocument, VerifyError},
};

fn at(timestamp_ms: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(timestamp_ms))
}

fn verify(
    bytes: &[u8],
    anchor: &TrustAnchor,
    at: UnixTime,
) -> Result<VerifiedDocument, VerifyError> {
    UnverifiedDocument::parse(bytes).unwrap().verify(anchor, at)
}
