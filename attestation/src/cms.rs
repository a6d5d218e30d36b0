//! `CiphertextForRecipient`: what KMS seals to the public key in an attestation document.
//!
//! A CMS `EnvelopedData` (RFC 5652, section 6) of one shape only, which real KMS returns in BER with
//! indefinite lengths: [`envelope`] reads that shape and nothing else. The content key is encrypted
//! with RSAES-OAEP (RFC 8017, section 7.1; SHA-256 and MGF1-SHA-256), the content with AES-256-CBC
//! and PKCS #7 padding (RFC 3565).
//!
//! **The blob authenticates nobody.** Anyone who knows the public key, which is public, can make one.
//! That the plaintext came from KMS follows from TLS to KMS ending in the enclave, never from here.
//!
//! **Nor is it an oracle.** Whoever could have many blobs opened under one key and tell OAEP failures
//! from padding failures could decrypt another blob (Manger 2001, Vaudenay 2002). So both give one
//! error, and the same work precedes it; OAEP itself is constant-time in `aws-lc`. An attacker
//! cannot submit a blob anyway, because they arrive over the enclave's own TLS, and each key is used
//! for the few replies of one boot.

mod ber;
pub mod envelope;

use aws_lc_rs::{
    cipher::{
        AES_256, AES_256_KEY_LEN, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
    },
    encoding::AsDer as _,
    iv::FixedLength,
    rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey},
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use envelope::Envelope;

/// The most bytes of a `CiphertextForRecipient` (KMS API reference: at most 6,144).
pub const MAX_CIPHERTEXT_BYTES: usize = 6_144;

/// Bytes of a 2048-bit modulus, and of what is encrypted under it.
const RSA_2048_BYTES: usize = 256;

/// A blob does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CmsError {
    /// More bytes than KMS returns.
    #[error(
        "ciphertext for recipient: expected at most {MAX_CIPHERTEXT_BYTES} bytes, found {found}"
    )]
    TooLarge {
        /// Their number.
        found: usize,
    },
    /// Not the shape that KMS returns.
    #[error("ciphertext for recipient: {at} is not as kms encodes it")]
    Malformed {
        /// The element, by its name in RFC 5652.
        at: &'static str,
    },
    /// The shape is right, and this key does not open it. There is one such error for every cause
    /// (another recipient, OAEP, content key, padding), so that none can serve as an oracle.
    #[error("ciphertext for recipient: does not open with this key")]
    CannotOpen,
}

/// A key pair could not be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("recipient key: expected an rsa key of 2048 bits")]
pub struct RecipientKeyError;

/// The RSA-2048 key pair whose public half goes into an attestation document for KMS.
///
/// Made in the enclave, never leaves it, neither `Clone` nor `Debug`. Generation takes 50 ms in the
/// median and can take 250 ms: make it before it is needed.
pub struct RecipientKey {
    private: OaepPrivateDecryptingKey,
    public_der: Vec<u8>,
    /// SHA-256 of `public_der`: how KMS names the recipient.
    id: [u8; 32],
}

impl RecipientKey {
    /// A new key pair.
    ///
    /// # Errors
    /// When the library cannot make one.
    pub fn generate() -> Result<Self, RecipientKeyError> {
        PrivateDecryptingKey::generate(KeySize::Rsa2048)
            .map_err(|_| RecipientKeyError)
            .and_then(Self::from_key)
    }

    /// The key pair in this PKCS #8 DER. For test vectors: an enclave generates its own.
    ///
    /// # Errors
    /// When it is not an RSA key of 2048 bits.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, RecipientKeyError> {
        PrivateDecryptingKey::from_pkcs8(pkcs8)
            .map_err(|_| RecipientKeyError)
            .and_then(Self::from_key)
    }

    fn from_key(key: PrivateDecryptingKey) -> Result<Self, RecipientKeyError> {
        if key.key_size_bytes() != RSA_2048_BYTES {
            return Err(RecipientKeyError);
        }
        let public_der =
            key.public_key().as_der().map_err(|_| RecipientKeyError)?.as_ref().to_vec();
        let id = Sha256::digest(&public_der).into();
        let private = OaepPrivateDecryptingKey::new(key).map_err(|_| RecipientKeyError)?;
        Ok(Self { private, public_der, id })
    }

    /// DER of the SubjectPublicKeyInfo, for the `public_key` of a document (294 bytes).
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_der
    }

    /// Opens a `CiphertextForRecipient`.
    ///
    /// # Errors
    /// [`CmsError::TooLarge`] and [`CmsError::Malformed`] say what is wrong with the shape;
    /// everything after that is [`CmsError::CannotOpen`].
    pub fn open(&self, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, CmsError> {
        let envelope = Envelope::parse(blob)?;
        if envelope.recipient_id != self.id {
            return Err(CmsError::CannotOpen);
        }
        // Without a content key the content is decrypted all the same, under no key of anybody's,
        // so that the two kinds of failure take the same time; what comes of it is dropped.
        let mut key = Zeroizing::new([0; AES_256_KEY_LEN]);
        let unwrapped = self.unwrap_content_key(&envelope.encrypted_key, &mut key);
        let content = decrypt_content(&key, envelope.iv, envelope.ciphertext);
        unwrapped.and(content)
    }

    fn unwrap_content_key(
        &self,
        encrypted: &[u8],
        into: &mut [u8; AES_256_KEY_LEN],
    ) -> Result<(), CmsError> {
        let mut buffer = Zeroizing::new([0; RSA_2048_BYTES]);
        let key = self
            .private
            .decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, buffer.as_mut_slice(), None)
            .map_err(|_| CmsError::CannotOpen)?;
        if key.len() != into.len() {
            return Err(CmsError::CannotOpen);
        }
        // Written in place: a value that is moved leaves a copy behind.
        into.copy_from_slice(key);
        Ok(())
    }
}

fn decrypt_content(
    key: &[u8; AES_256_KEY_LEN],
    iv: [u8; 16],
    ciphertext: Vec<u8>,
) -> Result<Zeroizing<Vec<u8>>, CmsError> {
    let cannot_open = |_| CmsError::CannotOpen;
    let key = UnboundCipherKey::new(&AES_256, key)
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .map_err(cannot_open)?;
    let mut buffer = Zeroizing::new(ciphertext);
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let length = key.decrypt(&mut buffer, context).map_err(cannot_open)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests;
