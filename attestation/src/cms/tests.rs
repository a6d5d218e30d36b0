#![allow(clippy::unwrap_used)]
use std::path::PathBuf;

use aws_lc_rs::{
    cipher::{EncryptionContext, PaddedBlockEncryptingKey},
    rsa::{OaepPublicEncryptingKey, PublicEncryptingKey},
};

use super::{
    envelope::blob::{Blob, IV, good, implicit, octets},
    *,
};

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

/// Where a change can go unnoticed: the vector (16 bytes at 415) and the content (48 bytes at 435).
/// AES-CBC authenticates nothing, so what opens then is another plaintext. That a key is the right one
/// is for `dek_id` and for the seals under it to tell.
const MALLEABLE: [std::ops::Range<usize>; 2] = [415..431, 435..483];

/// Every bit of the blob, one at a time.
#[test]
fn a_flipped_bit_is_refused_where_anything_can_notice_it() {
    let Some((key, blob)) = edgebit() else { return };
    let plaintext = key.open(&blob).unwrap();
    for (index, bit) in (0..blob.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
        let mut mutated = blob.clone();
        *mutated.get_mut(index).unwrap() ^= 1 << bit;
        match key.open(&mutated) {
            Err(CmsError::TooLarge { .. }) => panic!("byte {index}"),
            Err(_) => {}
            Ok(other) => {
                assert!(MALLEABLE.iter().any(|range| range.contains(&index)), "byte {index}");
                assert_ne!(*other, *plaintext, "byte {index}");
            }
        }
    }
}

/// Several changes at once, the same in each run, to both blobs: nothing panics, and nothing opens whose
/// changes are not all where none can be noticed.
#[test]
fn mangled_blobs_are_refused() {
    let Some((key, blob)) = edgebit() else { return };
    let Some(chunked) = vector("rustcrypto-kms-4.ber") else { return };
    let mut state = 0x5eed_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..4_000 {
        let original = if below(2) == 0 { &blob } else { &chunked };
        let mut mangled = original.clone();
        for _ in 0..=below(4) {
            let from = below(mangled.len());
            let to = (from + below(32)).min(mangled.len());
            match below(4) {
                0 => *mangled.get_mut(from).unwrap() ^= 1 << below(8),
                1 => drop(mangled.drain(from..to)),
                2 => drop(mangled.splice(from..from, mangled.get(from..to).unwrap().to_vec())),
                _ => mangled.get_mut(from..to).unwrap().fill(0),
            }
        }
        let mut compared = mangled.clone();
        if key.open(&mangled).is_ok() {
            assert_eq!(mangled.len(), blob.len());
            for range in MALLEABLE {
                let same = blob.get(range.clone()).unwrap();
                compared.get_mut(range).unwrap().copy_from_slice(same);
            }
            assert_eq!(compared, blob);
        }
    }
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

const PLAINTEXT: [u8; 32] = [0x5a; 32];

/// A blob for this key. Anybody can make one, and choose what is under the OAEP (`content_key`) and
/// under which key the content is (`aes_key`).
fn sealed(to: &RecipientKey, content_key: &[u8], aes_key: &[u8; AES_256_KEY_LEN]) -> Blob {
    let public = PublicEncryptingKey::from_der(to.public_key_der()).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut encrypted = [0; RSA_2048_BYTES];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, content_key, &mut encrypted, None).unwrap();

    let aes_key = UnboundCipherKey::new(&AES_256, aes_key).unwrap();
    let mut content = PLAINTEXT.to_vec();
    let context = EncryptionContext::Iv128(FixedLength::from(IV));
    let aes_key = PaddedBlockEncryptingKey::cbc_pkcs7(aes_key).unwrap();
    aes_key.less_safe_encrypt(&mut content, context).unwrap();

    let (recipient_id, encrypted_key) = (implicit(&to.id), octets(&encrypted));
    Blob { recipient_id, encrypted_key, content: implicit(&content), ..good() }
}

#[test]
fn every_failure_after_parsing_is_the_same() {
    let key = RecipientKey::generate().unwrap();
    let blob = || sealed(&key, &[3; AES_256_KEY_LEN], &[3; AES_256_KEY_LEN]);
    assert_eq!(*key.open(&blob().encoded()).unwrap(), PLAINTEXT);

    let flipped = |mut element: Vec<u8>, from_end: usize, bits: u8| {
        let index = element.len() - from_end;
        *element.get_mut(index).unwrap() ^= bits;
        element
    };
    // The plaintext is of two blocks, so the third is padding, 16 times 16. What changes in the
    // second block of the ciphertext changes there.
    for (why, changed) in [
        ("recipient", Blob { recipient_id: flipped(blob().recipient_id, 1, 1), ..blob() }),
        ("encrypted key", Blob { encrypted_key: flipped(blob().encrypted_key, 1, 1), ..blob() }),
        ("beyond the modulus", Blob { encrypted_key: octets(&[0xff; RSA_2048_BYTES]), ..blob() }),
        ("padding of 0", Blob { content: flipped(blob().content, 17, 0x10), ..blob() }),
        ("padding of 144", Blob { content: flipped(blob().content, 17, 0x80), ..blob() }),
        ("padding of two kinds", Blob { content: flipped(blob().content, 18, 1), ..blob() }),
    ] {
        assert_eq!(key.open(&changed.encoded()).unwrap_err(), CmsError::CannotOpen, "{why}");
    }
    let other = RecipientKey::generate().unwrap();
    assert_eq!(other.open(&blob().encoded()).unwrap_err(), CmsError::CannotOpen);
}

/// Under the key that stands in for a missing content key, at that.
#[test]
fn a_content_key_of_another_length_is_the_same_failure() {
    let key = RecipientKey::generate().unwrap();
    let open = |length| {
        let blob = sealed(&key, &vec![0; length], &[0; AES_256_KEY_LEN]);
        key.open(&blob.encoded()).map(|plaintext| plaintext.to_vec())
    };
    assert_eq!(open(AES_256_KEY_LEN).unwrap(), PLAINTEXT);
    for length in [0, 16, 31, 33, 64] {
        assert_eq!(open(length), Err(CmsError::CannotOpen), "{length}");
    }
}
