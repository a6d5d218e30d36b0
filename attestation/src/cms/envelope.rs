//! The one shape of a `CiphertextForRecipient` (RFC 5652, sections 3 and 6).
//!
//! ```text
//! ContentInfo            SEQUENCE { OID id-envelopedData, [0] EnvelopedData }
//! EnvelopedData          SEQUENCE { INTEGER 2, SET { KeyTransRecipientInfo }, EncryptedContentInfo }
//! KeyTransRecipientInfo  SEQUENCE { INTEGER 2, [0] SHA-256 of the recipient's SPKI,
//!                                   RSAES-OAEP (SHA-256, MGF1-SHA-256), OCTET STRING encrypted key }
//! EncryptedContentInfo   SEQUENCE { OID id-data, { AES-256-CBC, OCTET STRING iv },
//!                                   [0] OCTET STRING ciphertext, whole or in chunks }
//! ```
//!
//! One recipient, no originator, no attributes. Each length of a constructed element may be definite
//! or indefinite, so plain DER of this shape, as other servers give, is read too. A recipient named by
//! issuer and serial (version 0) is not: it says nothing of the key.

use super::{
    CmsError, MAX_CIPHERTEXT_BYTES, RSA_2048_BYTES,
    ber::{BerError, Reader},
};

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, constructed: explicit tagging.
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;
/// `[0]`, primitive: an implicitly tagged octet string.
const IMPLICIT_0: u8 = 0x80;

/// 1.2.840.113549.1.7.3
const ID_ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
/// 1.2.840.113549.1.7.1
const ID_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// 1.2.840.113549.1.1.7
const ID_RSAES_OAEP: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07];
/// 1.2.840.113549.1.1.8
const ID_MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
/// 2.16.840.1.101.3.4.2.1
const ID_SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 2.16.840.1.101.3.4.1.42
const ID_AES256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// A block of AES (FIPS 197).
const AES_BLOCK_BYTES: usize = 16;

/// What stands in a blob of the right shape; nothing of it is authentic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// SHA-256 of the recipient's SubjectPublicKeyInfo.
    pub recipient_id: [u8; 32],
    /// The content key, encrypted with RSAES-OAEP under RSA-2048.
    pub encrypted_key: [u8; RSA_2048_BYTES],
    /// The initialisation vector of AES-256-CBC.
    pub iv: [u8; AES_BLOCK_BYTES],
    /// The content, encrypted; chunks joined. One block of 16 bytes at least, and whole blocks.
    pub ciphertext: Vec<u8>,
}

impl Envelope {
    /// Reads a blob.
    ///
    /// # Errors
    /// [`CmsError::TooLarge`], or [`CmsError::Malformed`] with the element that is not right.
    pub fn parse(blob: &[u8]) -> Result<Self, CmsError> {
        if blob.len() > MAX_CIPHERTEXT_BYTES {
            return Err(CmsError::TooLarge { found: blob.len() });
        }
        let mut reader = Reader::new(blob);
        let envelope = reader.constructed(SEQUENCE, "contentInfo", |info| {
            exact(info, OID, ID_ENVELOPED_DATA, "contentType")?;
            info.constructed(EXPLICIT_0, "content", |content| {
                content.constructed(SEQUENCE, "envelopedData", enveloped_data)
            })
        })?;
        reader.finish("contentInfo")?;
        Ok(envelope)
    }
}

fn enveloped_data(reader: &mut Reader<'_>) -> Result<Envelope, BerError> {
    exact(reader, INTEGER, &[2], "envelopedData.version")?;
    let (recipient_id, encrypted_key) = reader.constructed(SET, "recipientInfos", |set| {
        set.constructed(SEQUENCE, "keyTransRecipientInfo", recipient_info)
    })?;
    let (iv, ciphertext) = reader.constructed(SEQUENCE, "encryptedContentInfo", |info| {
        exact(info, OID, ID_DATA, "encryptedContentInfo.contentType")?;
        let iv = info.constructed(SEQUENCE, "contentEncryptionAlgorithm", |algorithm| {
            exact(algorithm, OID, ID_AES256_CBC, "contentEncryptionAlgorithm")?;
            fixed(algorithm, OCTET_STRING, "contentEncryptionAlgorithm.iv")
        })?;
        let at = "encryptedContent";
        let ciphertext = info.octets(IMPLICIT_0, at)?;
        // Padded to whole blocks, and never with nothing (RFC 5652, section 6.3).
        if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(AES_BLOCK_BYTES) {
            return Err(BerError { at });
        }
        Ok((iv, ciphertext))
    })?;
    Ok(Envelope { recipient_id, encrypted_key, iv, ciphertext })
}

fn recipient_info(reader: &mut Reader<'_>) -> Result<([u8; 32], [u8; RSA_2048_BYTES]), BerError> {
    exact(reader, INTEGER, &[2], "keyTransRecipientInfo.version")?;
    let id = fixed(reader, IMPLICIT_0, "rid.subjectKeyIdentifier")?;
    reader.constructed(SEQUENCE, "keyEncryptionAlgorithm", |algorithm| {
        exact(algorithm, OID, ID_RSAES_OAEP, "keyEncryptionAlgorithm")?;
        algorithm.constructed(SEQUENCE, "oaep parameters", oaep_parameters)
    })?;
    Ok((id, fixed(reader, OCTET_STRING, "encryptedKey")?))
}

/// RFC 8017, appendix A.2.1, without the default of SHA-1 and without a label.
fn oaep_parameters(reader: &mut Reader<'_>) -> Result<(), BerError> {
    reader.constructed(EXPLICIT_0, "oaep.hashAlgorithm", sha256)?;
    reader.constructed(EXPLICIT_1, "oaep.maskGenAlgorithm", |mask| {
        mask.constructed(SEQUENCE, "oaep.maskGenAlgorithm", |algorithm| {
            exact(algorithm, OID, ID_MGF1, "oaep.maskGenAlgorithm")?;
            sha256(algorithm)
        })
    })
}

/// The algorithm identifier of SHA-256, with parameters of NULL or none (RFC 5754, section 2).
fn sha256(reader: &mut Reader<'_>) -> Result<(), BerError> {
    reader.constructed(SEQUENCE, "oaep hash", |algorithm| {
        exact(algorithm, OID, ID_SHA256, "oaep hash")?;
        if algorithm.next_is(NULL) { exact(algorithm, NULL, &[], "oaep hash") } else { Ok(()) }
    })
}

fn exact(
    reader: &mut Reader<'_>,
    tag: u8,
    content: &[u8],
    at: &'static str,
) -> Result<(), BerError> {
    if reader.primitive(tag, at)? == content { Ok(()) } else { Err(BerError { at }) }
}

fn fixed<const N: usize>(
    reader: &mut Reader<'_>,
    tag: u8,
    at: &'static str,
) -> Result<[u8; N], BerError> {
    reader.primitive(tag, at)?.try_into().map_err(|_| BerError { at })
}

impl From<BerError> for CmsError {
    fn from(BerError { at }: BerError) -> Self {
        Self::Malformed { at }
    }
}

#[cfg(test)]
pub(super) mod blob;
#[cfg(test)]
mod tests;
