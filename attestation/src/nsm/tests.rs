#![allow(clippy::unwrap_used)]
use std::sync::Mutex;

use super::*;

/// Answers from a script, and fails the test when asked more.
struct Script(Mutex<Vec<Response>>);

impl Script {
    fn new(mut responses: Vec<Response>) -> Self {
        responses.reverse();
        Self(Mutex::new(responses))
    }
}

impl Nsm for Script {
    fn process(&self, _: Request) -> Response {
        self.0.lock().unwrap().pop().unwrap()
    }
}

fn describe(lock: bool, value: Pcr) -> Response {
    Response::DescribePCR { lock, data: value.as_bytes().to_vec() }
}

fn extended(value: Pcr) -> Response {
    Response::ExtendPCR { data: value.as_bytes().to_vec() }
}

const DATA: [u8; PCR_BYTES] = [7; PCR_BYTES];

#[test]
fn a_fresh_register_is_extended_locked_and_checked() {
    let value = Pcr::ZERO.extended_with(&DATA);
    let nsm = Script::new(vec![
        describe(false, Pcr::ZERO),
        extended(value),
        Response::LockPCR,
        describe(true, value),
    ]);
    assert_eq!(NsmClient::new(&nsm).extend_and_lock(16, &DATA).unwrap(), value);
}

#[test]
fn a_register_that_is_not_fresh_is_not_touched() {
    let other = Pcr::new([1; PCR_BYTES]);
    let nsm = Script::new(vec![describe(true, Pcr::ZERO)]);
    assert!(matches!(
        NsmClient::new(&nsm).extend_and_lock(16, &DATA),
        Err(NsmError::AlreadyLocked { index: 16 })
    ));
    let nsm = Script::new(vec![describe(false, other)]);
    assert!(matches!(
        NsmClient::new(&nsm).extend_and_lock(16, &DATA),
        Err(NsmError::AlreadyExtended { .. })
    ));
}

#[test]
fn what_the_device_says_after_extending_is_checked() {
    let (value, other) = (Pcr::ZERO.extended_with(&DATA), Pcr::new([1; PCR_BYTES]));
    let nsm = Script::new(vec![describe(false, Pcr::ZERO), extended(other)]);
    assert!(matches!(
        NsmClient::new(&nsm).extend_and_lock(16, &DATA),
        Err(NsmError::WrongValue { .. })
    ));
    let nsm = Script::new(vec![
        describe(false, Pcr::ZERO),
        extended(value),
        Response::LockPCR,
        describe(false, value),
    ]);
    assert!(matches!(
        NsmClient::new(&nsm).extend_and_lock(16, &DATA),
        Err(NsmError::NotLocked { .. })
    ));
    let nsm = Script::new(vec![
        describe(false, Pcr::ZERO),
        extended(value),
        Response::LockPCR,
        describe(true, other),
    ]);
    assert!(matches!(
        NsmClient::new(&nsm).extend_and_lock(16, &DATA),
        Err(NsmError::WrongValue { .. })
    ));
}

#[test]
fn refusals_and_foreign_responses_are_told_apart() {
    let nsm = Script::new(vec![Response::Error(ErrorCode::InvalidIndex), Response::LockPCR]);
    let client = NsmClient::new(&nsm);
    assert!(matches!(
        client.describe_pcr(99),
        Err(NsmError::Refused { code: ErrorCode::InvalidIndex, .. })
    ));
    assert!(matches!(client.describe_pcr(0), Err(NsmError::UnexpectedResponse { .. })));
}

#[test]
fn entropy_is_asked_for_until_there_is_enough() {
    let nsm = Script::new(vec![
        Response::GetRandom { random: vec![1; 3] },
        Response::GetRandom { random: vec![2; 3] },
        Response::GetRandom { random: vec![] },
    ]);
    let client = NsmClient::new(&nsm);
    let mut buffer = [0; 5];
    client.random(&mut buffer).unwrap();
    assert_eq!(buffer, [1, 1, 1, 2, 2]);
    assert!(matches!(client.random(&mut buffer), Err(NsmError::NoEntropy)));
}

#[test]
fn members_out_of_bounds_never_reach_the_device() {
    let nsm = Script::new(vec![]);
    let client = NsmClient::new(&nsm);
    for (field, request) in [
        ("user_data", AttestRequest { user_data: Some(vec![0; 513]), ..AttestRequest::default() }),
        ("nonce", AttestRequest { nonce: Some(vec![0; 513]), ..AttestRequest::default() }),
        (
            "public_key",
            AttestRequest { public_key: Some(vec![0; 1025]), ..AttestRequest::default() },
        ),
    ] {
        assert!(
            matches!(client.attest(request), Err(NsmError::TooLong { field: found, .. }) if found == field)
        );
    }
    let empty = AttestRequest { public_key: Some(vec![]), ..AttestRequest::default() };
    assert!(matches!(client.attest(empty), Err(NsmError::EmptyPublicKey)));
}
