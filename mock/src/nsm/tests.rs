#![allow(clippy::unwrap_used)]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use strongroom_attestation::{
    UnixTime,
    document::UnverifiedDocument,
    expect::Expectations,
    measure::measurement,
    nsm::{AttestRequest, NsmClient, NsmError},
    verify::VerifiedDocument,
};

use super::*;

fn nsm() -> (MockPki, MockNsm) {
    let pki = MockPki::ephemeral().unwrap();
    let nsm = MockNsm::new(pki.clone(), "image-1").unwrap();
    (pki, nsm)
}

fn unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

fn attest(
    pki: &MockPki,
    nsm: &MockNsm,
    request: AttestRequest,
    at: SystemTime,
) -> VerifiedDocument {
    let document = NsmClient::new(nsm).attest(request).unwrap();
    let document = UnverifiedDocument::parse(&document).unwrap();
    document.verify(&pki.trust_anchor().unwrap(), unix(at)).unwrap()
}

#[test]
fn a_document_verifies_and_carries_what_was_asked() {
    let (pki, nsm) = nsm();
    let request = AttestRequest {
        nonce: Some(vec![1; 16]),
        user_data: Some(vec![2; 32]),
        public_key: Some(vec![3; 294]),
    };
    let now = SystemTime::now();
    let document = attest(&pki, &nsm, request.clone(), now);
    let [pcr0, pcr1, pcr2] = image_measurements("image-1");
    let expectations = Expectations {
        module_id: Some(nsm.module_id().to_owned()),
        nonce: request.nonce,
        user_data: request.user_data,
        public_key: request.public_key,
        pcrs: [(0, pcr0), (1, pcr1), (2, pcr2)].into(),
        max_age: Some(Duration::from_secs(5)),
        allow_debug: false,
    };
    document.check(&expectations, unix(now)).unwrap();
    assert_eq!(document.module_id(), nsm.module_id());
    assert_eq!(document.pcrs().len(), 16);
    assert_ne!(pcr0, image_measurements("image-2")[0]);

    let bare = attest(&pki, &nsm, AttestRequest::default(), now);
    assert_eq!((bare.nonce(), bare.user_data(), bare.public_key()), (None, None, None));
}

#[test]
fn registers_extend_lock_and_show_in_documents() {
    let (pki, nsm) = nsm();
    let client = NsmClient::new(&nsm);
    let expected = extend_from_zero(b"configuration");
    let digest = measurement(b"configuration");
    assert_eq!(client.extend_and_lock(16, &digest).unwrap(), expected);
    let again = client.extend_and_lock(16, &digest);
    assert!(matches!(again, Err(NsmError::AlreadyLocked { index: 16 })));
    assert!(matches!(client.extend_and_lock(0, &digest), Err(NsmError::AlreadyLocked { .. })));

    let document = attest(&pki, &nsm, AttestRequest::default(), SystemTime::now());
    assert_eq!(document.pcr(16), Some(expected));
    assert_eq!(document.pcr(17), None);
}

#[test]
fn the_limits_of_the_real_device_hold() {
    let (_, nsm) = nsm();
    let code = |request| match nsm.process(request) {
        Response::Error(code) => format!("{code:?}"),
        other => panic!("{other:?}"),
    };
    let bytes = |length| Some(ByteBuf::from(vec![0; length]));
    let attestation =
        |user_data, nonce, public_key| Request::Attestation { user_data, nonce, public_key };
    assert_eq!(code(Request::DescribePCR { index: 32 }), "InvalidIndex");
    assert_eq!(code(Request::LockPCR { index: 3 }), "ReadOnlyIndex");
    assert_eq!(code(Request::LockPCRs { range: 33 }), "InvalidIndex");
    assert_eq!(code(Request::ExtendPCR { index: 15, data: vec![1] }), "ReadOnlyIndex");
    assert_eq!(code(Request::ExtendPCR { index: 16, data: vec![] }), "InvalidArgument");
    assert_eq!(code(Request::ExtendPCR { index: 16, data: vec![0; 513] }), "InputTooLarge");
    assert_eq!(code(attestation(bytes(513), None, None)), "InputTooLarge");
    assert_eq!(code(attestation(None, bytes(513), None)), "InputTooLarge");
    assert_eq!(code(attestation(None, None, bytes(1025))), "InputTooLarge");
    assert_eq!(code(attestation(None, None, bytes(0))), "InvalidArgument");
}

#[test]
fn the_device_describes_itself_and_gives_entropy() {
    let (_, nsm) = nsm();
    let Response::DescribeNSM { max_pcrs, locked_pcrs, digest, .. } =
        nsm.process(Request::DescribeNSM)
    else {
        panic!("no description");
    };
    assert_eq!((max_pcrs, digest), (32, Digest::SHA384));
    assert_eq!(locked_pcrs, (0..16).collect());

    let (mut one, mut other) = ([0; 300], [0; 300]);
    NsmClient::new(&nsm).random(&mut one).unwrap();
    NsmClient::new(&nsm).random(&mut other).unwrap();
    assert_ne!(one, other);
    assert!(one.iter().skip(256).any(|byte| *byte != 0));
}

#[test]
fn certificates_are_renewed_before_they_end() {
    let start = SystemTime::now();
    let hours = Arc::new(AtomicU64::new(0));
    let pki = MockPki::ephemeral().unwrap();
    let clock = {
        let hours = Arc::clone(&hours);
        move || start + Duration::from_secs(3600 * hours.load(Ordering::Relaxed))
    };
    let nsm = MockNsm::with_clock(pki.clone(), "image", clock).unwrap();
    for hour in [0, 1, 4, 30, 2] {
        hours.store(hour, Ordering::Relaxed);
        let now = start + Duration::from_secs(3600 * hour);
        attest(&pki, &nsm, AttestRequest::default(), now);
    }
}
