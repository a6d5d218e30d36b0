//! Attestation documents: CBOR payload and COSE_Sign1 with ES384 (AP 2.2 and 3.1).

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    digest::{Digest, SHA384},
    signature::EcdsaKeyPair,
};
use aws_nitro_enclaves_cose::{
    CoseSign1,
    crypto::{MessageDigest, SignatureAlgorithm, SigningPrivateKey, SigningPublicKey},
    error::CoseError,
    header_map::HeaderMap,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_bytes::{ByteBuf, Bytes};
use strongroom_attestation::{cose::Sha2, measure::Pcr};
use thiserror::Error;

use crate::pki::NsmIdentity;

/// A document could not be made.
#[derive(Debug, Error)]
pub(super) enum DocumentError {
    #[error("document: {0}")]
    Cbor(#[from] serde_cbor::Error),
    #[error("document: {0}")]
    Cose(#[from] CoseError),
}

/// What a document says.
pub(super) struct Payload<'a> {
    pub(super) module_id: &'a str,
    pub(super) now: SystemTime,
    pub(super) pcrs: BTreeMap<u16, Pcr>,
    pub(super) identity: &'a NsmIdentity,
    pub(super) public_key: Option<ByteBuf>,
    pub(super) user_data: Option<ByteBuf>,
    pub(super) nonce: Option<ByteBuf>,
}

/// The untagged COSE_Sign1 of `payload`.
pub(super) fn sign(payload: &Payload<'_>) -> Result<Vec<u8>, DocumentError> {
    let key = Es384Key(&payload.identity.key);
    let payload = serde_cbor::to_vec(payload)?;
    let document = CoseSign1::new::<Sha2>(&payload, &HeaderMap::new(), &key)?;
    Ok(document.as_bytes(false)?)
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { module_id, now, pcrs, identity, public_key, user_data, nonce } = self;
        let timestamp = now.duration_since(UNIX_EPOCH).map_err(serde::ser::Error::custom)?;
        let timestamp = u64::try_from(timestamp.as_millis()).map_err(serde::ser::Error::custom)?;
        let pcrs: BTreeMap<_, _> =
            pcrs.iter().map(|(index, value)| (index, Bytes::new(value.as_bytes()))).collect();
        let cabundle: Vec<_> = identity.cabundle.iter().map(|c| Bytes::new(c)).collect();

        // Without a length: the map is of indefinite length, as in real documents.
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("module_id", module_id)?;
        map.serialize_entry("digest", "SHA384")?;
        map.serialize_entry("timestamp", &timestamp)?;
        map.serialize_entry("pcrs", &pcrs)?;
        map.serialize_entry("certificate", Bytes::new(&identity.leaf))?;
        map.serialize_entry("cabundle", &cabundle)?;
        map.serialize_entry("public_key", public_key)?;
        map.serialize_entry("user_data", user_data)?;
        map.serialize_entry("nonce", nonce)?;
        map.end()
    }
}

/// A key that signs; it is never asked to verify.
struct Es384Key<'a>(&'a EcdsaKeyPair);

impl SigningPublicKey for Es384Key<'_> {
    fn get_parameters(&self) -> Result<(SignatureAlgorithm, MessageDigest), CoseError> {
        Ok((SignatureAlgorithm::ES384, MessageDigest::Sha384))
    }

    fn verify(&self, _: &[u8], _: &[u8]) -> Result<bool, CoseError> {
        Err(CoseError::UnsupportedError("this key only signs".to_owned()))
    }
}

impl SigningPrivateKey for Es384Key<'_> {
    fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, CoseError> {
        let failed = |e| CoseError::SignatureError(Box::new(e));
        let digest = Digest::import_less_safe(digest, &SHA384).map_err(failed)?;
        Ok(self.0.sign_digest(&digest).map_err(failed)?.as_ref().to_vec())
    }
}
