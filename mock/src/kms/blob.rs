//! A `CiphertextBlob`: AES-256-GCM under the material of a key, bound to its ARN and the encryption
//! context.
//!
//! ```text
//! "SRLK2" ‖ length of the ARN (u16) ‖ ARN ‖ version of the key material (u32, from 0)
//!         ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)
//! ```
//!
//! The authenticated data are the ARN and the pairs of the context in ascending order, each string
//! after its length (u32), so that no two contexts have the same.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use super::{error::ApiError, state::Key};

const MAGIC: &[u8] = b"SRLK2";
/// The most bytes of a `CiphertextBlob` (KMS API reference: at most 6,144).
pub(super) const MAX_BLOB_BYTES: usize = 6_144;

/// Pairs that a caller has authenticated with a ciphertext.
pub(super) type EncryptionContext = BTreeMap<String, String>;

/// Encrypts `plaintext` under the newest material of `key`.
pub(super) fn seal(
    key: &Key,
    context: &EncryptionContext,
    plaintext: &[u8],
) -> Result<Vec<u8>, ApiError> {
    let arn = key.arn.as_str().as_bytes();
    let arn_length = u16::try_from(arn.len()).map_err(|_| ApiError::Crypto)?;
    let (version, material) =
        key.materials.iter().enumerate().next_back().ok_or(ApiError::Crypto)?;
    let version = u32::try_from(version).map_err(|_| ApiError::Crypto)?.to_be_bytes();
    let mut buffer = plaintext.to_vec();
    let aad = Aad::from(authenticated(arn, context)?);
    let nonce = RandomizedNonceKey::new(&AES_256_GCM, material.secret.as_slice())?
        .seal_in_place_append_tag(aad, &mut buffer)?;
    Ok([MAGIC, &arn_length.to_be_bytes(), arn, &version, nonce.as_ref(), &buffer].concat())
}

/// A blob of the right form; whose it is, and whether it is authentic, is not known yet.
pub(super) struct Blob<'a> {
    /// The ARN of the key, as the blob says.
    pub(super) arn: &'a str,
    /// Which material of the key, counted from 0.
    version: u32,
    nonce: [u8; NONCE_LEN],
    sealed: &'a [u8],
}

impl<'a> Blob<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (length, rest) = rest.split_first_chunk()?;
        let (arn, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let (version, rest) = rest.split_first_chunk()?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        let (arn, version) = (std::str::from_utf8(arn).ok()?, u32::from_be_bytes(*version));
        Some(Self { arn, version, nonce: *nonce, sealed })
    }

    /// Opens the blob with the material of its key that made it.
    pub(super) fn open(
        &self,
        key: &Key,
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let material = usize::try_from(self.version).ok().and_then(|v| key.materials.get(v));
        let material = material.ok_or(ApiError::InvalidCiphertext)?;
        let aad = Aad::from(authenticated(key.arn.as_str().as_bytes(), context)?);
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let mut buffer = Zeroizing::new(self.sealed.to_vec());
        let length = RandomizedNonceKey::new(&AES_256_GCM, material.secret.as_slice())?
            .open_in_place(nonce, aad, &mut buffer)
            .map_err(|_| ApiError::InvalidCiphertext)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

fn authenticated(arn: &[u8], context: &EncryptionContext) -> Result<Vec<u8>, ApiError> {
    let mut data = b"strongroom-local-kms-v2\0".to_vec();
    let pairs = context.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
    for part in [arn].into_iter().chain(pairs) {
        let length = u32::try_from(part.len()).map_err(|_| ApiError::Crypto)?;
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(part);
    }
    Ok(data)
}
