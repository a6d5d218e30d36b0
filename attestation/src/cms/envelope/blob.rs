//! Blobs for tests, made of their elements.
#![allow(clippy::unwrap_used)]
use super::*;

/// Tag, length in its shortest form, joined parts.
pub(crate) fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match content.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header, content].concat()
}

pub(crate) fn oid(id: &[u8]) -> Vec<u8> {
    der(OID, &[id])
}

/// The initialisation vector of [`good`].
pub(crate) const IV: [u8; 16] = [9; 16];

/// A blob by its elements, each as it stands in DER.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) content_type: Vec<u8>,
    pub(crate) version: Vec<u8>,
    /// Of the recipient.
    pub(crate) recipient_version: Vec<u8>,
    pub(crate) recipient_id: Vec<u8>,
    pub(crate) key_algorithm: Vec<u8>,
    pub(crate) encrypted_key: Vec<u8>,
    /// What else is in the set of recipients.
    pub(crate) other_recipients: Vec<u8>,
    pub(crate) data_type: Vec<u8>,
    pub(crate) content_algorithm: Vec<u8>,
    pub(crate) content: Vec<u8>,
    /// Attributes.
    pub(crate) attributes: Vec<u8>,
}

pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    der(OCTET_STRING, &[bytes])
}

/// An octet string with the tag `[0]`.
pub(crate) fn implicit(bytes: &[u8]) -> Vec<u8> {
    der(IMPLICIT_0, &[bytes])
}

pub(crate) fn sha256(parameters: &[u8]) -> Vec<u8> {
    der(SEQUENCE, &[&oid(ID_SHA256), parameters])
}

/// RSAES-OAEP with these two hashes.
pub(crate) fn oaep(hash: &[u8], mask_hash: &[u8], label: &[u8]) -> Vec<u8> {
    let mask = der(SEQUENCE, &[&oid(ID_MGF1), mask_hash]);
    let parameters = [der(EXPLICIT_0, &[hash]), der(EXPLICIT_1, &[&mask]), label.to_vec()].concat();
    der(SEQUENCE, &[&oid(ID_RSAES_OAEP), &der(SEQUENCE, &[&parameters])])
}

/// A blob of the one shape, which no key opens.
pub(crate) fn good() -> Blob {
    Blob {
        content_type: oid(ID_ENVELOPED_DATA),
        version: vec![INTEGER, 1, 2],
        recipient_version: vec![INTEGER, 1, 2],
        recipient_id: implicit(&[7; 32]),
        key_algorithm: oaep(&sha256(&[]), &sha256(&[]), &[]),
        encrypted_key: octets(&[8; 256]),
        other_recipients: vec![],
        data_type: oid(ID_DATA),
        content_algorithm: der(SEQUENCE, &[&oid(ID_AES256_CBC), &octets(&IV)]),
        content: implicit(&[10; 48]),
        attributes: vec![],
    }
}

impl Blob {
    pub(crate) fn recipient(&self) -> Vec<u8> {
        let Self { recipient_version, recipient_id, key_algorithm, encrypted_key, .. } = self;
        der(SEQUENCE, &[recipient_version, recipient_id, key_algorithm, encrypted_key])
    }

    pub(crate) fn encoded(&self) -> Vec<u8> {
        let recipients = der(SET, &[&self.recipient(), &self.other_recipients]);
        let info = der(SEQUENCE, &[&self.data_type, &self.content_algorithm, &self.content]);
        let data = der(SEQUENCE, &[&self.version, &recipients, &info, &self.attributes]);
        der(SEQUENCE, &[&self.content_type, &der(EXPLICIT_0, &[&data])])
    }
}
