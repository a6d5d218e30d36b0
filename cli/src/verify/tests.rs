#![allow(clippy::unwrap_used)]

use strongroom_attestation::measure::Pcr;
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::Signature;
use strongroom_shared::encoding::Base64;
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::id::DekId;
use strongroom_shared::intent::V1;
use strongroom_shared::receipt::{Decision, Event};
use strongroom_shared::statement::{AddressEntry, ChainNamespace};

use super::*;
use crate::envelope;
use crate::key::SigningKey;

const BOOT: &str = "00112233445566778899aabbccddeeff";
const OTHER_BOOT: &str = "ff112233445566778899aabbccddeeff";

fn wallet(name: &str) -> WalletId {
    name.parse().unwrap()
}

fn attested() -> Attested {
    let binding = Binding {
        version: V1,
        boot_id: BOOT.parse().unwrap(),
        receipt_key: SigningKey::of_seed(1).public().unwrap(),
        policy: Digest::of(b"policy"),
        configuration: Digest::of(b"configuration"),
        dek_id: DekId::from_bytes([0; 32]),
    };
    Attested { binding }
}

fn signed<T: serde::Serialize>(kind: PayloadType, document: &T, seed: u8) -> Envelope {
    let mut envelope = envelope::unsigned(kind, document).unwrap();
    let key = SigningKey::of_seed(seed);
    envelope::add_signature(&mut envelope, &"receipt".parse().unwrap(), &key).unwrap();
    envelope
}

fn entry(index: u32, address: u8) -> AddressEntry {
    AddressEntry {
        path: HdPath::parse(&format!("m/44'/60'/0'/0/{index}")).unwrap(),
        address: EvmAddress([address; 20].into()),
    }
}

fn statement() -> AddressStatement {
    AddressStatement {
        version: V1,
        boot_id: BOOT.parse().unwrap(),
        wallet: wallet("deposits-eth"),
        fingerprint: Digest::of(b"key"),
        chain: ChainNamespace::Eip155,
        addresses: vec![entry(0, 1), entry(1, 2)],
    }
}

fn reply(statement: &AddressStatement, seed: u8) -> AddressesReply {
    AddressesReply {
        addresses: statement.addresses.clone(),
        statement: signed(PayloadType::AddressStatement, statement, seed),
    }
}

fn addresses(reply: &AddressesReply) -> Result<AddressStatement, VerifyError> {
    attested().addresses(reply, &wallet("deposits-eth"), None)
}

#[test]
fn a_true_statement_is_proven() {
    let reply = reply(&statement(), 1);
    assert_eq!(addresses(&reply).unwrap(), statement());
    let asked: Vec<_> = reply.addresses.iter().map(|entry| entry.path).collect();
    assert!(attested().addresses(&reply, &wallet("deposits-eth"), Some(&asked)).is_ok());
}

#[test]
fn a_swapped_address_is_refused() {
    let mut reply = reply(&statement(), 1);
    reply.addresses[1].address = EvmAddress([9; 20].into());
    assert!(matches!(addresses(&reply), Err(VerifyError::Addresses { signed: 2 })));
    reply.addresses.pop();
    assert!(matches!(addresses(&reply), Err(VerifyError::Addresses { signed: 2 })));
    // swapped in the statement as well: then it is not what was signed
    let mut changed = statement();
    changed.addresses[1].address = EvmAddress([9; 20].into());
    reply.addresses = changed.addresses.clone();
    reply.statement.payload = Base64(serde_json::to_vec(&changed).unwrap());
    assert!(matches!(addresses(&reply), Err(VerifyError::NotSigned { .. })));
}

#[test]
fn other_addresses_than_those_asked_for_are_refused() {
    let reply = reply(&statement(), 1);
    for asked in [&[entry(0, 1).path][..], &[entry(1, 2).path, entry(0, 1).path], &[]] {
        let refused = attested().addresses(&reply, &wallet("deposits-eth"), Some(asked));
        assert!(matches!(refused, Err(VerifyError::Paths)));
    }
}

#[test]
fn another_wallet_is_refused() {
    let refused = attested().addresses(&reply(&statement(), 1), &wallet("hot-eth"), None);
    assert!(matches!(refused, Err(VerifyError::Wallet { .. })));
}

#[test]
fn another_boot_is_refused() {
    let other = AddressStatement { boot_id: OTHER_BOOT.parse().unwrap(), ..statement() };
    assert!(matches!(addresses(&reply(&other, 1)), Err(VerifyError::Boot { .. })));
}

#[test]
fn another_key_or_none_is_refused() {
    assert!(matches!(addresses(&reply(&statement(), 2)), Err(VerifyError::NotSigned { .. })));
    let mut none = reply(&statement(), 1);
    none.statement.signatures.clear();
    assert!(matches!(addresses(&none), Err(VerifyError::NotSigned { .. })));
    // a signature that does not verify beside the good one does no harm
    let mut both = reply(&statement(), 1);
    both.statement.signatures.insert(
        0,
        Signature {
            keyid: strongroom_shared::dsse::KeyHint::parse("x").unwrap(),
            sig: Base64(vec![0; 64]),
        },
    );
    assert!(addresses(&both).is_ok());
}

#[test]
fn another_kind_of_document_is_refused() {
    let mut reply = reply(&statement(), 1);
    reply.statement = signed(PayloadType::ReceiptHead, &statement(), 1);
    assert!(matches!(addresses(&reply), Err(VerifyError::Envelope(_))));
}

fn body() -> Body {
    Body {
        version: V1,
        sequence: 7,
        previous: Some(Digest::of(b"before")),
        boot_id: BOOT.parse().unwrap(),
        time: UtcSeconds::new(0),
        policy: Digest::of(b"policy"),
        event: Event::Boot {
            configuration: Digest::of(b"configuration"),
            key_policy: Digest::of(b"key policy"),
            previous_key_policy: None,
            dek_id: DekId::from_bytes([0; 32]),
            dek_generated: false,
        },
        decision: Decision::Allowed,
    }
}

fn receipt_of(body: &Body, change: impl FnOnce(&mut Head), seed: u8) -> Receipt {
    let bytes = serde_json::to_vec(body).unwrap();
    let mut head = Head {
        version: V1,
        boot_id: BOOT.parse().unwrap(),
        first: 7,
        last: 7,
        root: receipt::leaf_hash(&bytes),
        previous: None,
    };
    change(&mut head);
    Receipt {
        body: Base64(bytes),
        sequence: 7,
        proof: Vec::new(),
        head: signed(PayloadType::ReceiptHead, &head, seed),
    }
}

#[test]
fn a_true_receipt_is_proven() {
    let (found, head) = attested().receipt(&receipt_of(&body(), |_| {}, 1)).unwrap();
    assert_eq!((found, head.first), (body(), 7));
}

#[test]
fn a_false_receipt_is_refused() {
    let refused = |receipt: &Receipt| attested().receipt(receipt).unwrap_err();
    let good = receipt_of(&body(), |_| {}, 1);

    let mut changed = good.clone();
    let denied = Body { policy: Digest::of(b"other"), ..body() };
    changed.body = Base64(serde_json::to_vec(&denied).unwrap());
    assert!(matches!(refused(&changed), VerifyError::Proof));

    let mut moved = good.clone();
    moved.sequence = 8;
    assert!(matches!(refused(&moved), VerifyError::Sequence { body: 7, receipt: 8 }));

    for (first, last) in [(8, 8), (6, 6), (7, 6), (6, 7), (0, u64::MAX)] {
        let outside = receipt_of(&body(), |head| (head.first, head.last) = (first, last), 1);
        assert!(matches!(refused(&outside), VerifyError::Proof), "{first} to {last}");
    }

    let other = |head: &mut Head| head.boot_id = OTHER_BOOT.parse().unwrap();
    assert!(matches!(refused(&receipt_of(&body(), other, 1)), VerifyError::Boot { .. }));
    let other = Body { boot_id: OTHER_BOOT.parse().unwrap(), ..body() };
    assert!(matches!(refused(&receipt_of(&other, |_| {}, 1)), VerifyError::Boot { .. }));
    assert!(matches!(refused(&receipt_of(&body(), |_| {}, 2)), VerifyError::NotSigned { .. }));
}

#[test]
fn an_attestation_needs_an_image_under_aws_and_must_be_one() {
    let reply = AttestationReply { document: Base64(vec![0]), binding: Base64(b"{}".to_vec()) };
    let mut trust = Trust {
        anchor: TrustAnchor::aws(),
        time: JudgedAt::Given(UtcSeconds::new(0)),
        expectations: Expectations::default(),
    };
    let error = Attested::verify(&reply, &trust).err().unwrap();
    assert!(matches!(error, VerifyError::AnyImage));
    trust.expectations.pcrs.insert(0, Pcr::ZERO);
    let error = Attested::verify(&reply, &trust).err().unwrap();
    assert!(matches!(error, VerifyError::Document(_)));
}
