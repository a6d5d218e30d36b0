//! Genuine documents, signed by the AWS Nitro PKI, against the verifier.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use strongroom_attestation::{
    UnixTime,
    document::UnverifiedDocument,
    expect::{ExpectationError, Expectations},
    measure::Pcr,
    verify::{ChainError, TrustAnchor, VerifiedDocument, VerifyError},
};

/// What the README of the vectors says of each document.
struct Expected {
    file: &'static str,
    timestamp_ms: u64,
    /// Bytes of each optional member; 0 when it is absent, null or empty.
    public_key: usize,
    user_data: usize,
    nonce: usize,
    debug: bool,
    registers: usize,
    valid: bool,
}

const fn valid(
    file: &'static str,
    timestamp_ms: u64,
    public_key: usize,
    user_data: usize,
    nonce: usize,
) -> Expected {
    Expected {
        file,
        timestamp_ms,
        public_key,
        user_data,
        nonce,
        debug: false,
        registers: 16,
        valid: true,
    }
}

const DOCUMENTS: [Expected; 10] = [
    valid("att-20220706T141822Z-e20c1c02.cose", 1_657_117_102_484, 800, 32, 0),
    Expected {
        debug: true,
        ..valid("att-20221012T135006Z-46591b92.cose", 1_665_582_606_081, 19, 13, 0)
    },
    valid("att-20221013T085802Z-a7255268.cose", 1_665_651_482_136, 0, 0, 256),
    valid("att-20240226T070201Z-3a4a0301.cose", 1_708_930_921_439, 32, 42, 0),
    valid("att-20240409T131450Z-2cc69c53.cose", 1_712_668_490_152, 32, 42, 0),
    Expected {
        debug: true,
        valid: false,
        ..valid("att-20240723T212940Z-5f42eb91.cose", 1_721_770_180_771, 5, 68, 20)
    },
    valid("att-20250106T160705Z-19b71700.cose", 1_736_179_625_472, 294, 0, 0),
    Expected {
        registers: 17,
        ..valid("att-20250429T103239Z-7b0ca130.cose", 1_745_922_759_691, 32, 0, 0)
    },
    valid("att-20250916T212549Z-b1086cbb.cose", 1_758_057_949_422, 130, 32, 0),
    valid("att-20251225T160419Z-54ae0f97.cose", 1_766_678_659_346, 0, 64, 0),
];

/// The genuine documents; none, said loudly, when they are not here.
fn vectors() -> Vec<(&'static Expected, Vec<u8>)> {
    let root = std::env::var_os("STRONGROOM_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let folder = root.join("attestation");
    if !folder.is_dir() {
        eprintln!("SKIPPED, NOT PASSED: no vectors in {}", folder.display());
        return Vec::new();
    }
    DOCUMENTS.iter().map(|e| (e, std::fs::read(folder.join(e.file)).unwrap())).collect()
}

fn at(timestamp_ms: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(timestamp_ms))
}

fn verify(
    bytes: &[u8],
    anchor: &TrustAnchor,
    at: UnixTime,
) -> Result<VerifiedDocument, VerifyError> {
    UnverifiedDocument::parse(bytes).unwrap().verify(anchor, at)
}

#[test]
fn each_document_gives_the_result_that_three_other_stacks_gave() {
    for (expected, bytes) in vectors() {
        let parsed = UnverifiedDocument::parse(&bytes).unwrap();
        assert_eq!(parsed.own_timestamp_ms(), expected.timestamp_ms, "{}", expected.file);
        let result = parsed.verify(&TrustAnchor::aws(), at(expected.timestamp_ms));
        if !expected.valid {
            assert!(matches!(result, Err(VerifyError::Signature)), "{}", expected.file);
            continue;
        }
        let document = result.unwrap();
        assert_eq!(document.timestamp_ms(), expected.timestamp_ms, "{}", expected.file);
        assert!(document.module_id().starts_with("i-"), "{}", expected.file);
        assert_eq!(document.pcrs().len(), expected.registers, "{}", expected.file);
        assert_eq!(document.is_debug(), expected.debug, "{}", expected.file);
        let length = |member: Option<&[u8]>| member.map_or(0, <[u8]>::len);
        assert_eq!(length(document.public_key()), expected.public_key, "{}", expected.file);
        assert_eq!(length(document.user_data()), expected.user_data, "{}", expected.file);
        assert_eq!(length(document.nonce()), expected.nonce, "{}", expected.file);
    }
}

#[test]
fn each_document_is_invalid_a_day_earlier_and_a_day_later() {
    for (expected, bytes) in vectors() {
        let day = 86_400_000;
        for time in [expected.timestamp_ms - day, expected.timestamp_ms + day] {
            let result = verify(&bytes, &TrustAnchor::aws(), at(time));
            assert!(
                matches!(result, Err(VerifyError::Chain(ChainError::Validity { .. }))),
                "{}",
                expected.file
            );
        }
    }
}

#[test]
fn each_document_is_invalid_under_another_root() {
    // Another certificate, self-signed in name: AWS's root with one byte of its signature changed.
    let mut der = TrustAnchor::aws().der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let other = TrustAnchor::from_der(&der).unwrap();
    for (expected, bytes) in vectors() {
        let result = verify(&bytes, &other, at(expected.timestamp_ms));
        assert!(
            matches!(result, Err(VerifyError::Chain(ChainError::WrongRoot))),
            "{}",
            expected.file
        );
    }
}

#[test]
fn a_flipped_byte_of_a_document_is_noticed() {
    for (expected, bytes) in vectors().into_iter().filter(|(e, _)| e.valid) {
        for index in (0..bytes.len()).step_by(97).chain(bytes.len() - 96..bytes.len()) {
            let mut mutated = bytes.clone();
            *mutated.get_mut(index).unwrap() ^= 0x01;
            let accepted = UnverifiedDocument::parse(&mutated)
                .is_ok_and(|d| d.verify(&TrustAnchor::aws(), at(expected.timestamp_ms)).is_ok());
            assert!(!accepted, "{} byte {index}", expected.file);
        }
    }
}

#[test]
fn a_truncated_document_is_no_document() {
    for (expected, bytes) in vectors() {
        for length in 0..bytes.len() {
            let result = UnverifiedDocument::parse(bytes.get(..length).unwrap());
            assert!(result.is_err(), "{} {length}", expected.file);
        }
    }
}

#[test]
fn expectations_are_checked_one_by_one() {
    for (expected, bytes) in vectors().into_iter().filter(|(e, _)| e.valid) {
        let now = at(expected.timestamp_ms);
        let document = verify(&bytes, &TrustAnchor::aws(), now).unwrap();
        let good = Expectations {
            nonce: document.nonce().map(<[u8]>::to_vec),
            user_data: document.user_data().map(<[u8]>::to_vec),
            public_key: document.public_key().map(<[u8]>::to_vec),
            pcrs: document.pcrs().clone(),
            max_age: Some(Duration::from_secs(300)),
            allow_debug: expected.debug,
        };
        assert_eq!(document.check(&good, now), Ok(()));

        let refused = |change: &dyn Fn(&mut Expectations)| {
            let mut changed = good.clone();
            change(&mut changed);
            document.check(&changed, now).unwrap_err()
        };
        let other = Pcr::new([9; 48]);
        let wrong_pcr = refused(&|e| e.pcrs.extend([(4, other)]));
        assert!(matches!(wrong_pcr, ExpectationError::Pcr { index: 4, .. }));
        let absent = refused(&|e| e.pcrs = BTreeMap::from([(31, other)]));
        assert_eq!(absent, ExpectationError::PcrAbsent { index: 31, expected: other });
        assert_eq!(
            refused(&|e| e.nonce = Some(vec![1; 16])),
            ExpectationError::Member { field: "nonce" }
        );
        assert_eq!(
            refused(&|e| e.user_data = Some(vec![1; 16])),
            ExpectationError::Member { field: "user_data" }
        );
        assert_eq!(
            refused(&|e| e.public_key = Some(vec![1; 16])),
            ExpectationError::Member { field: "public_key" }
        );
        let later = at(expected.timestamp_ms + 302_000);
        assert!(matches!(document.check(&good, later), Err(ExpectationError::TooOld { .. })));
        if expected.debug {
            assert_eq!(refused(&|e| e.allow_debug = false), ExpectationError::Debug);
        }
    }
}
