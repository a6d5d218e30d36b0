#![allow(clippy::unwrap_used)]
use super::*;
use alloy_primitives::Address;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::encoding::Base64;
use strongroom_shared::id::WalletId;
use strongroom_shared::receipt::Receipt;

const NOW: u64 = 1_000_000;

fn at(seconds: u64) -> UtcSeconds {
    UtcSeconds::new(NOW + seconds)
}

fn claim(name: &str, nonce: u64, sighash: u8) -> Claim {
    Claim {
        digest: Digest::of(format!("{name} {nonce} {sighash}").as_bytes()),
        caller: PrincipalId::parse("sweep-engine").unwrap(),
        intent_id: IntentId::parse(name).unwrap(),
        expires_at: at(60),
        chain: 1,
        from: EvmAddress(Address::repeat_byte(1)),
        nonce,
        sighash: B256::repeat_byte(sighash),
    }
}

fn reply(claim: &Claim) -> Arc<SignReply> {
    Arc::new(SignReply {
        intent_digest: claim.digest,
        wallet: WalletId::parse("hot-eth").unwrap(),
        results: Vec::new(),
        receipt: Receipt {
            body: Base64(Vec::new()),
            sequence: 1,
            proof: Vec::new(),
            head: Envelope::unsigned(PayloadType::ReceiptHead, Vec::new()),
        },
        ignored: Vec::new(),
    })
}

fn reserve(ledger: &Arc<Ledger>, claim: &Claim, seconds: u64) -> Result<Reservation, Conflict> {
    match ledger.claim(claim, at(seconds))? {
        Claimed::Reserved(reservation) => Ok(reservation),
        Claimed::AlreadySigned(_) => panic!("signed before"),
    }
}

fn conflict(ledger: &Arc<Ledger>, claim: &Claim, seconds: u64) -> Conflict {
    ledger.claim(claim, at(seconds)).err().unwrap()
}

#[test]
fn the_same_intent_gives_the_identical_result() {
    let ledger = Arc::new(Ledger::new(60));
    let first = claim("a", 0, 1);
    let result = reply(&first);
    reserve(&ledger, &first, 0).unwrap().complete(Arc::clone(&result));
    match ledger.claim(&first, at(60)).unwrap() {
        Claimed::AlreadySigned(stored) => assert!(Arc::ptr_eq(&stored, &result)),
        Claimed::Reserved(_) => panic!("reserved twice"),
    }
}

#[test]
fn a_fault_keeps_the_reservation_for_the_same_intent_only() {
    let ledger = Arc::new(Ledger::new(60));
    let reservation = reserve(&ledger, &claim("a", 0, 1), 0).unwrap();
    assert_eq!(conflict(&ledger, &claim("a", 0, 1), 0), Conflict::InFlight);
    drop(reservation);
    assert_eq!(conflict(&ledger, &claim("b", 0, 2), 0), Conflict::NonceUsed);
    assert!(reserve(&ledger, &claim("a", 0, 1), 0).is_ok());
}

#[test]
fn an_intent_id_names_one_body_of_a_caller() {
    let ledger = Arc::new(Ledger::new(60));
    drop(reserve(&ledger, &claim("a", 0, 1), 0).unwrap());
    assert_eq!(conflict(&ledger, &claim("a", 1, 2), 0), Conflict::IntentIdReused);
    let mut other = claim("a", 1, 2);
    other.caller = PrincipalId::parse("withdraw-engine").unwrap();
    assert!(reserve(&ledger, &other, 0).is_ok());
}

#[test]
fn a_nonce_is_for_one_transaction_of_one_sender_on_one_chain() {
    let ledger = Arc::new(Ledger::new(60));
    drop(reserve(&ledger, &claim("a", 7, 1), 0).unwrap());
    assert_eq!(conflict(&ledger, &claim("b", 7, 2), 0), Conflict::NonceUsed);
    assert!(reserve(&ledger, &claim("c", 7, 1), 0).is_ok(), "the same transaction");
    let mut elsewhere = claim("d", 7, 2);
    elsewhere.chain = 2;
    assert!(reserve(&ledger, &elsewhere, 0).is_ok(), "another chain");
    let mut another = claim("e", 7, 2);
    another.from = EvmAddress(Address::repeat_byte(2));
    assert!(reserve(&ledger, &another, 0).is_ok(), "another sender");
}

#[test]
fn below_the_floor_every_nonce_is_used() {
    let ledger = Arc::new(Ledger::new(60));
    for nonce in 0..=NONCES as u64 {
        drop(reserve(&ledger, &claim(&format!("n{nonce}"), nonce, 1), 0).unwrap());
    }
    assert_eq!(conflict(&ledger, &claim("again", 0, 1), 0), Conflict::NonceUsed);
    assert!(reserve(&ledger, &claim("kept", 1, 1), 0).is_ok());
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let ledger = Arc::new(Ledger::new(60));
    drop(reserve(&ledger, &claim("a", 0, 1), 0).unwrap());
    let sizes = |ledger: &Ledger| {
        let state = ledger.lock();
        (
            state.intents.len(),
            state.names.len(),
            state.expiries.len(),
            state.senders.len(),
            state.nonces,
        )
    };
    let before = sizes(&ledger);
    conflict(&ledger, &claim("b", 0, 2), 0);
    conflict(&ledger, &claim("a", 1, 2), 0);
    assert_eq!(sizes(&ledger), before);
    assert!(reserve(&ledger, &claim("b", 1, 2), 0).is_ok(), "the refused name is still free");
}

#[test]
fn what_expired_is_forgotten_and_what_is_used_is_not() {
    let ledger = Arc::new(Ledger::new(100));
    drop(reserve(&ledger, &claim("a", 0, 1), 0).unwrap());
    drop(reserve(&ledger, &claim("b", 1, 2), 60).unwrap());
    // "a" expired at 60; its sender was used again at 60, so its nonces are known until 160.
    assert_eq!(conflict(&ledger, &claim("a", 0, 3), 160), Conflict::NonceUsed);
    assert!(reserve(&ledger, &claim("a", 0, 3), 161).is_ok());
    let state = ledger.lock();
    assert_eq!((state.idle.len(), state.senders.len(), state.nonces), (1, 1, 1));
}
