#![allow(clippy::unwrap_used)]
use std::path::PathBuf;

use super::*;

/// A vector from outside, or `None`, said loudly, when the vectors are not here.
fn vector(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("STRONGROOM_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let path = root.join("kms").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("SKIPPED, NOT PASSED: vector {}: {error}", path.display());
            None
        }
    }
}

fn edgebit() -> Option<(RecipientKey, Vec<u8>)> {
    let key = RecipientKey::from_pkcs8(&vector("edgebit.key.pkcs8.der")?).unwrap();
    Some((key, vector("edgebit.ber")?))
}

#[test]
fn a_real_blob_opens_to_its_plaintext() {
    let Some((key, blob)) = edgebit() else { return };
    let expected = String::from_utf8(vector("edgebit.plaintext.hex").unwrap()).unwrap();
    assert_eq!(hex::encode(&*key.open(&blob).unwrap()), expected.trim());
}

#[test]
fn a_real_blob_in_chunks_is_read_and_is_for_another() {
    let Some(blob) = vector("rustcrypto-kms-4.ber") else { return };
    let envelope = Envelope::parse(&blob).unwrap();
    assert_eq!(envelope.ciphertext.len(), 4_112);
    assert_eq!(envelope.encrypted_key.len(), RSA_2048_BYTES);
    let key = RecipientKey::generate().unwrap();
    assert_eq!(key.open(&blob).unwrap_err(), CmsError::CannotOpen);
}

#[test]
fn truncated_blobs_are_malformed_at_every_length() {
    for name in ["edgebit.ber", "rustcrypto-kms-4.ber"] {
        let Some(blob) = vector(name) else { return };
        for length in 0..blob.len() {
            let result = Envelope::parse(blob.get(..length).unwrap());
            assert!(matches!(result, Err(CmsError::Malformed { .. })), "{name} {length}");
        }
        let trailing = [&blob[..], &[0]].concat();
        assert!(matches!(Envelope::parse(&trailing), Err(CmsError::Malformed { .. })));
    }
}

/// Every flipped byte is noticed, save within the first blocks of the content: CBC authenticates
/// nothing. (The content is 48 bytes at 435, the vector 16 bytes at 415.)
#[test]
fn a_flipped_byte_is_refused_where_anything_can_notice_it() {
    let Some((key, blob)) = edgebit() else { return };
    let plaintext = key.open(&blob).unwrap();
    for index in 0..blob.len() {
        let mut mutated = blob.clone();
        *mutated.get_mut(index).unwrap() ^= 0x01;
        match key.open(&mutated) {
            Err(_) => {}
            Ok(other) => {
                assert!((415..483).contains(&index), "byte {index}");
                assert_ne!(*other, *plaintext, "byte {index}");
            }
        }
    }
}

#[test]
fn every_failure_after_parsing_is_the_same() {
    let Some((key, blob)) = edgebit() else { return };
    // recipient id, encrypted key, the last block with the padding
    for index in [40, 200, 482] {
        let mut mutated = blob.clone();
        *mutated.get_mut(index).unwrap() ^= 0x80;
        assert_eq!(key.open(&mutated).unwrap_err(), CmsError::CannotOpen, "byte {index}");
    }
    let other = RecipientKey::generate().unwrap();
    assert_eq!(other.open(&blob).unwrap_err(), CmsError::CannotOpen);
}

#[test]
fn plain_der_of_the_same_shape_is_read() {
    let Some((key, blob)) = edgebit() else { return };
    let der = definite(&blob);
    assert!(!der.windows(2).any(|w| w == [0x30, 0x80]), "no indefinite sequence is left");
    assert_eq!(*key.open(&der).unwrap(), *key.open(&blob).unwrap());
}

/// The blob with definite lengths: its outer five headers rewritten, its ends of contents dropped.
fn definite(blob: &[u8]) -> Vec<u8> {
    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let header = match content.len() {
            0..0x80 => vec![tag, length[1]],
            0x80..0x100 => vec![tag, 0x81, length[1]],
            _ => vec![tag, 0x82, length[0], length[1]],
        };
        [&header[..], content].concat()
    }
    let part =
        |range| -> Vec<u8> { <[u8]>::get::<std::ops::Range<usize>>(blob, range).unwrap().to_vec() };
    let content = wrap(0xa0, &part(433..483));
    let info = wrap(0x30, &[part(389..431), content].concat());
    let data = wrap(0x30, &[part(17..387), info].concat());
    wrap(0x30, &[part(2..13), wrap(0xa0, &data)].concat())
}

#[test]
fn what_is_too_large_is_not_read() {
    let blob = vec![0x30; MAX_CIPHERTEXT_BYTES + 1];
    let found = blob.len();
    assert_eq!(Envelope::parse(&blob), Err(CmsError::TooLarge { found }));
}
