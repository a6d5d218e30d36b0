//! Writes `CiphertextForRecipient` as the real KMS does, byte for byte but for keys and content:
//! `EnvelopedData` (RFC 5652) in BER, with indefinite lengths outside, and the content in octet strings
//! of 1,000 bytes. `strongroom_attestation::cms::envelope` describes the shape.

use aws_lc_rs::{
    cipher::{
        AES_256, AES_256_KEY_LEN, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey},
};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of one chunk of content.
const CHUNK_BYTES: usize = 1_000;

const OCTET_STRING: u8 = 0x04;
const END_OF_CONTENTS: [u8; 2] = [0, 0];

/// SEQUENCE and [0] of indefinite length around an OID, in front of `EnvelopedData`; its version 2.
const CONTENT_INFO: &[u8] = &[
    0x30, 0x80, // ContentInfo
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03, // id-envelopedData
    0xa0, 0x80, 0x30, 0x80, // content, EnvelopedData
    0x02, 0x01, 0x02, // version 2
];
/// RSAES-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 8017, appendix A.2.1).
const RSAES_OAEP_SHA_256: &[u8] = &[
    0x30, 0x3c, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07, 0x30,
    0x2f, //
    0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x01, //
    0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
    0x01, //
    0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x01, //
    0x05, 0x00,
];
/// `EncryptedContentInfo` of indefinite length, id-data, AES-256-CBC up to its IV.
const CONTENT_HEADER: &[u8] = &[
    0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01, //
    0x30, 0x1d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a,
];

/// A plaintext could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// The public key of the recipient is not an RSA key of 2048 to 8192 bits.
    #[error("recipient: expected the subject public key info of an rsa key")]
    PublicKey,
    /// The cryptographic library failed.
    #[error("recipient: the content could not be encrypted")]
    Crypto,
    /// An element would have more than 65,535 bytes.
    #[error("recipient: the content is too long")]
    TooLong,
}

impl From<aws_lc_rs::error::Unspecified> for SealError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}

/// Seals `plaintext` to the RSA key whose SubjectPublicKeyInfo is `public_key_der`.
///
/// # Errors
/// See [`SealError`].
pub fn seal(public_key_der: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    let public_key = PublicEncryptingKey::from_der(public_key_der)
        .map_err(|_| SealError::PublicKey)
        .and_then(|key| OaepPublicEncryptingKey::new(key).map_err(SealError::from))?;

    let mut content_key = Zeroizing::new([0; AES_256_KEY_LEN]);
    aws_lc_rs::rand::fill(content_key.as_mut_slice())?;
    let (iv, ciphertext) = encrypt(&content_key, plaintext)?;
    let mut buffer = vec![0; public_key.ciphertext_size()];
    let encrypted_key =
        public_key.encrypt(&OAEP_SHA256_MGF1SHA256, content_key.as_slice(), &mut buffer, None)?;

    // KeyTransRecipientInfo, version 2, in a SET, with definite lengths.
    let recipient_id = tlv(0x80, &Sha256::digest(public_key_der))?;
    let encrypted_key = tlv(OCTET_STRING, encrypted_key)?;
    let parts = [&[0x02, 0x01, 0x02], &recipient_id[..], RSAES_OAEP_SHA_256, &encrypted_key];
    let recipients = tlv(0x31, &tlv(0x30, &parts.concat())?)?;

    let mut blob = [CONTENT_INFO, &recipients, CONTENT_HEADER].concat();
    blob.extend(tlv(OCTET_STRING, &iv)?);
    blob.extend([0xa0, 0x80]);
    for chunk in ciphertext.chunks(CHUNK_BYTES) {
        blob.extend(tlv(OCTET_STRING, chunk)?);
    }
    // Of content, EncryptedContentInfo, EnvelopedData, [0] and ContentInfo.
    blob.extend(END_OF_CONTENTS.repeat(5));
    Ok(blob)
}

/// AES-256-CBC with PKCS #7 padding; gives the IV and the ciphertext.
fn encrypt(
    key: &[u8; AES_256_KEY_LEN],
    plaintext: &[u8],
) -> Result<([u8; 16], Vec<u8>), SealError> {
    let key = UnboundCipherKey::new(&AES_256, key).and_then(PaddedBlockEncryptingKey::cbc_pkcs7)?;
    let mut buffer = plaintext.to_vec();
    match key.encrypt(&mut buffer)? {
        DecryptionContext::Iv128(iv) => Ok((*iv.as_ref(), buffer)),
        _ => Err(SealError::Crypto),
    }
}

/// Tag, definite length in its shortest form, value (X.690, section 8.1).
fn tlv(tag: u8, value: &[u8]) -> Result<Vec<u8>, SealError> {
    let length = u16::try_from(value.len()).map_err(|_| SealError::TooLong)?;
    let [high, low] = length.to_be_bytes();
    let header = match length {
        0..=0x7f => vec![tag, low],
        0x80..=0xff => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    Ok([header.as_slice(), value].concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use strongroom_attestation::cms::{CmsError, RecipientKey, envelope::Envelope};

    use super::*;

    #[test]
    fn what_is_sealed_opens_whatever_its_length() {
        let key = RecipientKey::generate().unwrap();
        for length in [0, 1, 15, 16, 32, 999, 1000, 4096] {
            let plaintext = vec![7; length];
            let blob = seal(key.public_key_der(), &plaintext).unwrap();
            assert_eq!(*key.open(&blob).unwrap(), plaintext, "{length}");
        }
        let other = RecipientKey::generate().unwrap();
        let blob = seal(key.public_key_der(), b"x").unwrap();
        assert_eq!(other.open(&blob).unwrap_err(), CmsError::CannotOpen);
    }

    #[test]
    fn the_content_is_in_chunks_of_1000_bytes() {
        let key = RecipientKey::generate().unwrap();
        let blob = seal(key.public_key_der(), &[0; 2_000]).unwrap();
        let chunks = blob.windows(4).filter(|w| *w == [0x04, 0x82, 0x03, 0xe8]).count();
        assert_eq!(chunks, 2);
        assert_eq!(Envelope::parse(&blob).unwrap().ciphertext.len(), 2_016);
    }

    /// The real blob and ours differ in recipient, encrypted key, IV and ciphertext only.
    #[test]
    fn the_encoding_is_that_of_the_real_kms() {
        let root = std::env::var_os("STRONGROOM_VECTORS").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
            PathBuf::from,
        );
        let Ok(mut real) = std::fs::read(root.join("kms/edgebit.ber")) else {
            eprintln!("SKIPPED, NOT PASSED: no vectors in {}", root.display());
            return;
        };
        let key = RecipientKey::generate().unwrap();
        let mut ours = seal(key.public_key_der(), &[0; 32]).unwrap();
        for range in [33..65, 131..387, 415..431, 435..483] {
            real.get_mut(range.clone()).unwrap().fill(0);
            ours.get_mut(range).unwrap().fill(0);
        }
        assert_eq!(hex::encode(ours), hex::encode(real));
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        assert_eq!(seal(b"not a key", b"x"), Err(SealError::PublicKey));
    }
}
