//! The `Recipient` of a request: an attestation document, verified, and the key in it.

use std::{collections::BTreeMap, time::Duration};

use rustls_pki_types::UnixTime;
use strongroom_attestation::{
    document::UnverifiedDocument,
    expect::Expectations,
    measure::Pcr,
    verify::{TrustAnchor, VerifiedDocument},
};

use super::error::ApiError;

/// How old a document may be.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// The only algorithm of a `Recipient`.
pub(super) const RSAES_OAEP_SHA_256: &str = "RSAES_OAEP_SHA_256";

/// A recipient that the mock PKI vouches for.
pub(super) struct Recipient {
    document: VerifiedDocument,
    public_key_der: Vec<u8>,
}

impl Recipient {
    /// Verifies a document: chain, signature, age, and that it has a public key.
    ///
    /// Debug images are not refused as such: their registers are zero, which no sound policy names.
    pub(super) fn verify(
        document: &[u8],
        anchor: &TrustAnchor,
        now: UnixTime,
    ) -> Result<Self, ApiError> {
        let document = UnverifiedDocument::parse(document)
            .map_err(|error| invalid(&error))?
            .verify(anchor, now)
            .map_err(|error| invalid(&error))?;
        let expectations =
            Expectations { max_age: Some(MAX_AGE), allow_debug: true, ..Expectations::default() };
        document.check(&expectations, now).map_err(|error| invalid(&error))?;
        let public_key = document.public_key().map(<[u8]>::to_vec);
        let public_key_der = public_key.ok_or_else(|| {
            ApiError::Validation("the attestation document has no public key".to_owned())
        })?;
        Ok(Self { document, public_key_der })
    }

    pub(super) fn registers(&self) -> &BTreeMap<u16, Pcr> {
        self.document.pcrs()
    }

    pub(super) fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }
}

fn invalid(error: &dyn std::error::Error) -> ApiError {
    ApiError::Validation(format!("the attestation document is not valid: {error}"))
}
