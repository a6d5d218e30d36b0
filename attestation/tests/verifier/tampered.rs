//! Genuine documents, changed. Which bits change is random, and the same in each run.

use std::collections::BTreeMap;

use strongroom_attestation::{
    document::UnverifiedDocument,
    verify::{Step, TrustAnchor, VerifiedDocument},
};

use crate::{at, genuine::vectors};

/// xorshift64* (Marsaglia; Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % bound
    }
}

/// What a document says at this time under AWS's root, or the step that refuses it.
fn verdict(bytes: &[u8], timestamp_ms: u64) -> Result<VerifiedDocument, Step> {
    let parsed = UnverifiedDocument::parse(bytes).map_err(|error| error.step())?;
    parsed.verify(&TrustAnchor::aws(), at(timestamp_ms)).map_err(|error| error.step())
}

fn flipped(bytes: &[u8], index: usize, bit: usize) -> Vec<u8> {
    let mut mutated = bytes.to_vec();
    *mutated.get_mut(index).unwrap() ^= 1 << bit;
    mutated
}

/// Each byte of one document, one bit of it; each bit of the first ones: structure, headers, the first
/// key of the payload.
#[test]
fn a_flipped_bit_anywhere_in_a_document_is_noticed() {
    let Some((expected, bytes)) = vectors().pop() else { return };
    let mut random = Random(0x5eed);
    let mut steps = BTreeMap::<Step, usize>::new();
    let mut check = |index, bit| {
        let mutated = flipped(&bytes, index, bit);
        let step = verdict(&mutated, expected.timestamp_ms).map(drop).expect_err("accepted");
        *steps.entry(step).or_default() += 1;
        step
    };
    for index in 0..21 {
        (0..8).for_each(|bit| assert!(check(index, bit) < Step::Root, "byte {index}"));
    }
    for index in 0..bytes.len() {
        let step = check(index, random.below(8));
        if index >= bytes.len() - 96 {
            assert_eq!(step, Step::Signature, "byte {index}");
        }
    }
    // Each part was reached: structure, headers, payload, certificates, signature.
    for step in [
        Step::Structure,
        Step::Headers,
        Step::Payload,
        Step::Root,
        Step::Order,
        Step::Validity,
        Step::BasicConstraints,
        Step::KeyUsage,
        Step::Path,
        Step::Signature,
    ] {
        assert!(steps.contains_key(&step), "{step}: {steps:?}");
    }
}

#[test]
fn flipped_bits_in_every_document_are_noticed() {
    let mut random = Random(0xf11b);
    for (expected, bytes) in vectors().into_iter().filter(|(expected, _)| expected.valid) {
        for _ in 0..200 {
            let index = random.below(bytes.len());
            let mutated = flipped(&bytes, index, random.below(8));
            let result = verdict(&mutated, expected.timestamp_ms);
            assert!(result.is_err(), "{} byte {index}", expected.file);
        }
    }
}

/// Outside of what is signed stand the tag, the array's head, the empty header and the signature.
#[test]
fn what_can_be_rewritten_outside_of_the_signed_part_says_the_same() {
    for (expected, bytes) in vectors().into_iter().filter(|(expected, _)| expected.valid) {
        let tagged = [&[0xd2], bytes.as_slice()].concat();
        let indefinite = [&[0x9f], bytes.get(1..).unwrap(), &[0xff]].concat();
        let (head, signature) = bytes.split_at(bytes.len() - 48);
        let negated = [head, &minus(&P384_ORDER, signature.try_into().unwrap())].concat();
        let original = verdict(&bytes, expected.timestamp_ms).unwrap();
        for rewritten in [tagged, indefinite, negated] {
            assert_ne!(rewritten, bytes);
            let same = verdict(&rewritten, expected.timestamp_ms).unwrap();
            assert_eq!(same.module_id(), original.module_id());
            assert_eq!(same.timestamp_ms(), original.timestamp_ms());
            assert_eq!(same.pcrs(), original.pcrs());
            assert_eq!(same.nonce(), original.nonce());
            assert_eq!(same.user_data(), original.user_data());
            assert_eq!(same.public_key(), original.public_key());
        }
    }
}

/// The order n of P-384 (SP 800-186, section 3.2.1.4).
const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// `a` − `b`, big-endian.
fn minus(a: &[u8; 48], b: &[u8; 48]) -> [u8; 48] {
    let mut difference = [0; 48];
    let mut borrow = false;
    for ((to, a), b) in difference.iter_mut().zip(a).zip(b).rev() {
        let (once, first) = a.overflowing_sub(*b);
        let (twice, second) = once.overflowing_sub(u8::from(borrow));
        (*to, borrow) = (twice, first || second);
    }
    difference
}

#[test]
fn a_truncated_document_is_no_document() {
    for (expected, bytes) in vectors() {
        for length in 0..bytes.len() {
            let result = UnverifiedDocument::parse(bytes.get(..length).unwrap());
            let step = result.map(drop).unwrap_err().step();
            assert_eq!(step, Step::Structure, "{} {length}", expected.file);
        }
    }
}

#[test]
fn garbage_is_refused_and_nothing_panics() {
    let mut random = Random(0x6a5b);
    for _ in 0..50_000 {
        let length = random.below(600);
        let mut garbage: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
        // Half of it begins as a document does, so that more than the first byte is looked at.
        if random.below(2) == 0 {
            garbage.splice(..0, [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0x59, 0x01, 0x00]);
        }
        assert!(verdict(&garbage, 1_700_000_000_000).is_err());
    }
}

/// Several changes at once: bits, bytes cut out, bytes doubled, parts of another document.
#[test]
fn mangled_documents_are_refused_and_nothing_panics() {
    let vectors = vectors();
    let mut random = Random(0xba5e);
    for _ in 0..if vectors.is_empty() { 0 } else { 2_000 } {
        let (expected, original) = vectors.get(random.below(vectors.len())).unwrap();
        let (_, other) = vectors.get(random.below(vectors.len())).unwrap();
        let mut bytes = original.clone();
        for _ in 0..=random.below(4) {
            let from = random.below(bytes.len());
            let to = (from + random.below(64)).min(bytes.len());
            match random.below(4) {
                0 => bytes = flipped(&bytes, from, random.below(8)),
                1 => drop(bytes.drain(from..to)),
                2 => drop(bytes.splice(from..from, bytes.get(from..to).unwrap().to_vec())),
                _ => {
                    let foreign = other.get(from..to).unwrap_or_default().to_vec();
                    drop(bytes.splice(from..to, foreign));
                }
            }
        }
        if bytes != *original {
            assert!(verdict(&bytes, expected.timestamp_ms).is_err(), "{}", expected.file);
        }
    }
}
