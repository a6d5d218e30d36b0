//! The payload of a document: the documented bounds (AP 2.2 and 3.2.2.2), one after the other.

use std::{collections::BTreeMap, ops::RangeInclusive};

use rustls_pki_types::CertificateDer;
use thiserror::Error;

use super::{MAX_PAYLOAD_BYTES, cbor::CborError, wire::WirePayload};
use crate::{
    measure::{PCR_COUNT, Pcr},
    nsm::{MAX_NONCE_BYTES, MAX_PUBLIC_KEY_BYTES, MAX_USER_DATA_BYTES},
};

/// The most bytes of one certificate (AP 3.2.2.2).
const MAX_CERTIFICATE_BYTES: usize = 1_024;
/// The most entries of a bundle: the root, and the 6 intermediates that `rustls-webpki` follows. AP has
/// no bound, genuine bundles have 4 entries. More would only keep the search for a path busy, which
/// comes before any signature.
const MAX_BUNDLE: usize = 7;

/// A payload breaks a rule of AP 3.2.2.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// Not one CBOR map from texts, each once, with nothing after it.
    #[error("payload: expected one cbor map from texts, each once, and nothing after it")]
    Cbor,
    /// A document about an EC2 instance: its registers are in `nitrotpm_pcrs`.
    #[error("payload: expected the document of an enclave, found nitrotpm_pcrs of an instance")]
    NitroTpm,
    /// A member is of another type.
    #[error("payload: {field}: expected {expected}")]
    Type {
        /// The member.
        field: &'static str,
        /// Its documented type.
        expected: &'static str,
    },
    /// A mandatory member is absent.
    #[error("payload: expected the member {field}, found none")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A length or a number of entries is out of bounds.
    #[error("payload: {field}: expected a size of {min} to {max}, found {found}")]
    Size {
        /// The member.
        field: &'static str,
        /// The least, in bytes or entries.
        min: usize,
        /// The most, in bytes or entries.
        max: usize,
        /// What stands there.
        found: usize,
    },
    /// The digest is not the one of the standard.
    #[error("payload: digest: expected \"SHA384\", found something else")]
    Digest,
    /// The timestamp is zero.
    #[error("payload: timestamp: expected more than 0 milliseconds")]
    Timestamp,
    /// A register that an NSM does not have.
    #[error("payload: pcrs: expected indices of 0 to 31, found {found}")]
    PcrIndex {
        /// Its index.
        found: u64,
    },
    /// A register of another length than SHA-384 gives.
    #[error("payload: pcrs: expected pcr{index} to have 48 bytes, found {found}")]
    PcrLength {
        /// The register.
        index: u16,
        /// Its length in bytes.
        found: usize,
    },
}

impl From<CborError> for PayloadError {
    fn from(CborError: CborError) -> Self {
        Self::Cbor
    }
}

/// A payload within all bounds.
pub(crate) struct Payload {
    pub(crate) module_id: String,
    /// Milliseconds since the Unix epoch, more than 0.
    pub(crate) timestamp_ms: u64,
    /// 1 to 32 registers, indices 0 to 31.
    pub(crate) pcrs: BTreeMap<u16, Pcr>,
    /// The certificate whose key signed the document.
    pub(crate) certificate: CertificateDer<'static>,
    /// 1 to 7, the root first, the issuer of `certificate` last.
    pub(crate) cabundle: Vec<CertificateDer<'static>>,
    pub(crate) public_key: Option<Vec<u8>>,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) nonce: Option<Vec<u8>>,
}

impl Payload {
    /// Reads a payload; see [`PayloadError`] for what is refused.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PayloadError> {
        sized("payload", bytes.len(), 1..=MAX_PAYLOAD_BYTES)?;
        let WirePayload {
            module_id,
            digest,
            timestamp,
            pcrs,
            certificate,
            cabundle,
            public_key,
            user_data,
            nonce,
        } = WirePayload::read(bytes)?;

        let module_id = present("module_id", module_id)?;
        sized("module_id", module_id.len(), 1..=MAX_PAYLOAD_BYTES)?;

        if present("digest", digest)? != "SHA384" {
            return Err(PayloadError::Digest);
        }

        let timestamp_ms = present("timestamp", timestamp)?;
        if timestamp_ms == 0 {
            return Err(PayloadError::Timestamp);
        }

        let certificate = present("certificate", certificate)?;
        sized("certificate", certificate.len(), 1..=MAX_CERTIFICATE_BYTES)?;

        let cabundle = present("cabundle", cabundle)?;
        sized("cabundle", cabundle.len(), 1..=MAX_BUNDLE)?;
        for entry in &cabundle {
            sized("cabundle entry", entry.len(), 1..=MAX_CERTIFICATE_BYTES)?;
        }

        Ok(Self {
            module_id: module_id.to_owned(),
            timestamp_ms,
            pcrs: registers(present("pcrs", pcrs)?)?,
            certificate: certificate.to_vec().into(),
            cabundle: cabundle.into_iter().map(|der| der.to_vec().into()).collect(),
            public_key: optional("public_key", public_key, 1..=MAX_PUBLIC_KEY_BYTES)?,
            user_data: optional("user_data", user_data, 0..=MAX_USER_DATA_BYTES)?,
            nonce: optional("nonce", nonce, 0..=MAX_NONCE_BYTES)?,
        })
    }
}

/// AP also allows registers of 32 and 64 bytes; with the one allowed digest they cannot occur.
fn registers(pcrs: BTreeMap<u64, &[u8]>) -> Result<BTreeMap<u16, Pcr>, PayloadError> {
    sized("pcrs", pcrs.len(), 1..=usize::from(PCR_COUNT))?;
    pcrs.into_iter()
        .map(|(found, value)| {
            let index = u16::try_from(found)
                .ok()
                .filter(|index| *index < PCR_COUNT)
                .ok_or(PayloadError::PcrIndex { found })?;
            let value = value
                .try_into()
                .map_err(|_| PayloadError::PcrLength { index, found: value.len() })?;
            Ok((index, Pcr::new(value)))
        })
        .collect()
}

fn present<T>(field: &'static str, value: Option<T>) -> Result<T, PayloadError> {
    value.ok_or(PayloadError::Missing { field })
}

fn optional(
    field: &'static str,
    value: Option<&[u8]>,
    bounds: RangeInclusive<usize>,
) -> Result<Option<Vec<u8>>, PayloadError> {
    if let Some(value) = value {
        sized(field, value.len(), bounds)?;
    }
    Ok(value.map(<[u8]>::to_vec))
}

fn sized(
    field: &'static str,
    found: usize,
    bounds: RangeInclusive<usize>,
) -> Result<(), PayloadError> {
    if bounds.contains(&found) {
        Ok(())
    } else {
        let (min, max) = bounds.into_inner();
        Err(PayloadError::Size { field, min, max, found })
    }
}
