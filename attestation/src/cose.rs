//! The cryptography that `aws-nitro-enclaves-cose` asks its user for: SHA-2 digests and ES384
//! verification over `aws-lc-rs`.

use aws_lc_rs::{
    digest::{Digest, SHA384},
    signature::{ECDSA_P384_SHA384_FIXED, VerificationAlgorithm as _},
};
use aws_nitro_enclaves_cose::{
    crypto::{Hash, MessageDigest, SignatureAlgorithm, SigningPublicKey},
    error::CoseError,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// SHA-2, as the `cose` crate wants it.
#[derive(Debug, Clone, Copy)]
pub struct Sha2;

impl Hash for Sha2 {
    fn hash(digest: MessageDigest, data: &[u8]) -> Result<Vec<u8>, CoseError> {
        Ok(match digest {
            MessageDigest::Sha256 => Sha256::digest(data).to_vec(),
            MessageDigest::Sha384 => Sha384::digest(data).to_vec(),
            MessageDigest::Sha512 => Sha512::digest(data).to_vec(),
        })
    }
}

/// A P-384 public key that verifies ES384 signatures (RFC 9053, section 2.1: r ‖ s, 96 bytes).
#[derive(Debug, Clone)]
pub struct Es384PublicKey {
    point: Vec<u8>,
}

impl Es384PublicKey {
    /// The key with this uncompressed point (97 bytes, SEC 1). A point that is not on the curve
    /// verifies nothing.
    pub fn from_point(point: impl Into<Vec<u8>>) -> Self {
        Self { point: point.into() }
    }
}

impl SigningPublicKey for Es384PublicKey {
    fn get_parameters(&self) -> Result<(SignatureAlgorithm, MessageDigest), CoseError> {
        Ok((SignatureAlgorithm::ES384, MessageDigest::Sha384))
    }

    fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<bool, CoseError> {
        let digest = Digest::import_less_safe(digest, &SHA384)
            .map_err(|e| CoseError::SignatureError(Box::new(e)))?;
        Ok(ECDSA_P384_SHA384_FIXED.verify_digest_sig(&self.point, &digest, signature).is_ok())
    }
}
