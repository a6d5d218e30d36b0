//! Genuine documents, signed by the AWS Nitro PKI, against the verifier.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use strongroom_attestation::{
    document::UnverifiedDocument,
    expect::{ExpectationError, Expectations},
    measure::Pcr,
    verify::{AWS_ROOT_G1_SHA256, ChainError, Step, TrustAnchor, VerifyError},
};

use crate::{at, pki, verify};

/// What the README of the vectors says of each document.
pub(crate) struct Expected {
    pub(crate) file: &'static str,
    pub(crate) timestamp_ms: u64,
    /// Bytes of each optional member; 0 when it is absent, null or empty.
    public_key: usize,
    user_data: usize,
    nonce: usize,
    debug: bool,
    registers: usize,
    pub(crate) valid: bool,
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

fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("STRONGROOM_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let folder = root.join("attestation");
    if !folder.is_dir() {
        eprintln!("SKIPPED, NOT PASSED: no vectors in {}", folder.display());
        return None;
    }
    Some(folder)
}

/// The genuine documents; none, said loudly, when they are not here.
pub(crate) fn vectors() -> Vec<(&'static Expected, Vec<u8>)> {
    let Some(folder) = folder() else { return Vec::new() };
    DOCUMENTS.iter().map(|e| (e, std::fs::read(folder.join(e.file)).unwrap())).collect()
}

#[test]
fn the_root_that_aws_publishes_is_the_pinned_one() {
    let Some(folder) = folder() else { return };
    let pem = std::fs::read_to_string(folder.join("aws-nitro-root-g1.pem")).unwrap();
    let anchor = TrustAnchor::from_pem(&pem).unwrap();
    assert_eq!(anchor, TrustAnchor::aws());
    assert_eq!(anchor.fingerprint(), AWS_ROOT_G1_SHA256);
}

#[test]
fn each_document_gives_the_result_that_three_other_stacks_gave() {
    for (expected, bytes) in vectors() {
        let parsed = UnverifiedDocument::parse(&bytes).unwrap();
        assert_eq!(parsed.claimed_timestamp_ms(), expected.timestamp_ms, "{}", expected.file);
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
            let error = result.map(drop).unwrap_err();
            assert!(matches!(error, VerifyError::Chain(ChainError::Validity { .. })));
            assert_eq!(error.step(), Step::Validity, "{}", expected.file);
        }
    }
}

#[test]
fn each_document_is_invalid_under_another_root() {
    // AWS's root with one byte of its signature changed, and one that has nothing to do with it.
    let mut der = TrustAnchor::aws().der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    for root in [der, pki::Authority::root(&pki::ROOT).der] {
        let other = TrustAnchor::from_der(&root).unwrap();
        for (expected, bytes) in vectors() {
            let error = verify(&bytes, &other, at(expected.timestamp_ms)).map(drop).unwrap_err();
            assert!(matches!(error, VerifyError::Chain(ChainError::WrongRoot)));
            assert_eq!(error.step(), Step::Root, "{}", expected.file);
        }
    }
}

#[test]
fn expectations_are_checked_one_by_one() {
    for (expected, bytes) in vectors().into_iter().filter(|(e, _)| e.valid) {
        let now = at(expected.timestamp_ms);
        let document = verify(&bytes, &TrustAnchor::aws(), now).unwrap();
        let good = Expectations {
            module_id: Some(document.module_id().to_owned()),
            nonce: document.nonce().map(<[u8]>::to_vec),
            user_data: document.user_data().map(<[u8]>::to_vec),
            public_key: document.public_key().map(<[u8]>::to_vec),
            pcrs: document.pcrs().clone(),
            max_age: Some(Duration::from_secs(300)),
            allow_debug: expected.debug,
        };
        assert_eq!(document.check(&good, now), Ok(()));

        let refused = |step: Step, change: &dyn Fn(&mut Expectations)| {
            let mut changed = good.clone();
            change(&mut changed);
            let error = document.check(&changed, now).unwrap_err();
            assert_eq!(error.step(), step);
            error
        };
        let other = Pcr::new([9; 48]);
        let wrong_pcr = refused(Step::Pcrs, &|e| e.pcrs.extend([(4, other)]));
        assert!(matches!(wrong_pcr, ExpectationError::Pcr { index: 4, .. }));
        let absent = refused(Step::Pcrs, &|e| e.pcrs = BTreeMap::from([(31, other)]));
        assert_eq!(absent, ExpectationError::PcrAbsent { index: 31, expected: other });
        assert_eq!(
            refused(Step::Members, &|e| e.nonce = Some(vec![1; 16])),
            ExpectationError::Member { field: "nonce" }
        );
        assert_eq!(
            refused(Step::Members, &|e| e.user_data = Some(vec![1; 16])),
            ExpectationError::Member { field: "user_data" }
        );
        assert_eq!(
            refused(Step::Members, &|e| e.public_key = Some(vec![1; 16])),
            ExpectationError::Member { field: "public_key" }
        );
        let module = refused(Step::ModuleId, &|e| e.module_id = Some("i-0".to_owned()));
        let found = document.module_id().to_owned();
        assert_eq!(module, ExpectationError::ModuleId { expected: "i-0".to_owned(), found });
        for (time, too_old) in [(302_000, true), (-62_000, false)] {
            let then = at(expected.timestamp_ms.checked_add_signed(time).unwrap());
            let error = document.check(&good, then).unwrap_err();
            assert_eq!(matches!(error, ExpectationError::TooOld { .. }), too_old);
            assert_eq!(matches!(error, ExpectationError::FromTheFuture { .. }), !too_old);
            assert_eq!(error.step(), Step::Freshness);
        }
        if expected.debug {
            assert_eq!(refused(Step::Debug, &|e| e.allow_debug = false), ExpectationError::Debug);
        }
    }
}
