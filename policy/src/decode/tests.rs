#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloy_consensus::{SignableTransaction, TxEip7702};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Signature, TxKind, address, b256, hex, uint};

use super::*;
use crate::fixture;

/// The example of EIP-155.
const EIP_155: [u8; 45] = hex!(
    "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
);

fn bytes(tx: &impl SignableTransaction<Signature>) -> Vec<u8> {
    tx.encoded_for_signing()
}

fn eip2930() -> TxEip2930 {
    TxEip2930 {
        chain_id: 1,
        nonce: 7,
        gas_price: 30_000_000_000,
        gas_limit: 30_000,
        to: fixture::HOT.into(),
        value: U256::ONE,
        input: vec![1, 2, 3].into(),
        access_list: AccessList(vec![AccessListItem {
            address: fixture::USDT,
            storage_keys: vec![B256::ZERO, B256::repeat_byte(1)],
        }]),
    }
}

#[test]
fn legacy_is_the_example_of_eip_155() {
    let tx = decode(&EIP_155).unwrap();
    assert_eq!((tx.chain_id(), tx.nonce(), tx.gas_limit()), (1, 9, 21_000));
    assert_eq!(tx.to(), Some(address!("0x3535353535353535353535353535353535353535")));
    assert_eq!(tx.value(), uint!(1_000_000_000_000_000_000_U256));
    assert_eq!(tx.max_fee_per_gas(), 20_000_000_000);
    assert_eq!(tx.max_fee(), uint!(420_000_000_000_000_U256));
    assert!(tx.input().is_empty());
    let sighash = b256!("0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
    assert_eq!(tx.sighash(), sighash);
    let signature = Signature::new(
        uint!(18515461264373351373200002665853028612451056578545711640558177340181847433846_U256),
        uint!(46948507304638947509940763649030358759909902576025900602547168820602576006531_U256),
        false,
    );
    let signed = tx.typed().clone().into_envelope(signature);
    let expected = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080"
        "25a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
        "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );
    assert_eq!(signed.encoded_2718(), expected);
    assert_eq!(*signed.tx_hash(), keccak256(expected));
}

/// A transaction of the main network: its hash is what the network says it is.
#[test]
fn eip_1559_is_one_of_the_main_network() {
    let input = hex!(
        "a22cb465"
        "0000000000000000000000005eee75727d804a2b13038928d36f8b188945a57a"
        "0000000000000000000000000000000000000000000000000000000000000000"
    );
    let unsigned = bytes(&TxEip1559 {
        chain_id: 1,
        nonce: 0x42,
        gas_limit: 44_386,
        to: address!("0x6069a6c32cf691f5982febae4faf8a6f3ab2f0f6").into(),
        input: input.into(),
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        ..TxEip1559::default()
    });
    let tx = decode(&unsigned).unwrap();
    assert_eq!((tx.chain_id(), tx.nonce(), tx.gas_limit()), (1, 0x42, 44_386));
    assert_eq!(tx.max_fee_per_gas(), 20_000_000_000);
    assert_eq!(tx.input(), input);
    let sighash = b256!("0x0d5688ac3897124635b6cf1bc0e29d6dfebceebdc10a54d74f2ef8b56535b682");
    assert_eq!(tx.sighash(), sighash);
    let signature = Signature::from_scalars_and_parity(
        b256!("0x840cfc572845f5786e702984c2a582528cad4b49b2a10b9db1be7fca90058565"),
        b256!("0x25e7109ceb98168d95b09b18bbf6b685130e0562f233877d492b94eee0c5b6d1"),
        false,
    );
    let hash = b256!("0x0ec0b6a2df4d87424e5f6ad2a654e27aaeb7dac20ae9e8385cc09087ad532ee0");
    assert_eq!(*tx.typed().clone().into_envelope(signature).tx_hash(), hash);
}

#[test]
fn eip_2930_with_an_access_list() {
    let tx = decode(&bytes(&eip2930())).unwrap();
    assert_eq!(*tx.typed(), TypedTransaction::Eip2930(eip2930()));
    assert_eq!(tx.max_fee(), uint!(900_000_000_000_000_U256));
}

#[test]
fn the_fee_is_exact_at_its_largest() {
    let largest =
        TxEip1559 { gas_limit: u64::MAX, max_fee_per_gas: u128::MAX, ..fixture::native() };
    let product =
        (uint!(1_U256) << 192) - (uint!(1_U256) << 128) - (uint!(1_U256) << 64) + uint!(1_U256);
    assert_eq!(fixture::decoded(&largest).max_fee(), product);
}

#[test]
fn a_contract_creation_decodes() {
    let create = TxEip1559 { to: TxKind::Create, ..fixture::native() };
    assert_eq!(fixture::decoded(&create).to(), None);
}

/// RLP as the yellow paper has it (appendix B), for payloads below 56 bytes of length prefix one.
fn item(payload: &[u8]) -> Vec<u8> {
    match payload {
        [byte] if *byte < 0x80 => vec![*byte],
        _ => [&[0x80 + u8::try_from(payload.len()).unwrap()], payload].concat(),
    }
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let length = u8::try_from(payload.len()).unwrap();
    let header = if length < 56 { vec![0xc0 + length] } else { vec![0xf8, length] };
    [header, payload].concat()
}

/// The nine items of a legacy transaction before it is signed.
fn legacy() -> Vec<Vec<u8>> {
    let to = [0x35; 20];
    [&[9][..], &[0x0f, 0xa0], &[0x52, 0x08], &to, &[1], &[], &[1], &[], &[]].map(item).to_vec()
}

fn legacy_with(index: usize, raw: &[u8]) -> Vec<u8> {
    let mut items = legacy();
    items[index] = raw.to_vec();
    list(&items)
}

#[test]
fn what_is_not_canonical_is_malformed() {
    use DecodeError::*;
    use alloy_rlp::Error as E;
    assert!(decode(&list(&legacy())).is_ok());
    let in_a_string = |mut bytes: Vec<u8>| {
        bytes[0] -= 0x40;
        bytes
    };
    let long_list_header = [&[0xf8, 44], &EIP_155[1..]].concat();
    let longer_list_header = [&[0xf9, 0, 44], &EIP_155[1..]].concat();
    let trailing = [&EIP_155[..], &[0]].concat();
    let typed = bytes(&fixture::native());
    let typed_trailing = [&typed[..], &[0x80]].concat();
    let typed_in_a_string = item(&typed);
    let below = TxEip1559 { max_fee_per_gas: 999_999_999, ..fixture::native() };
    let no_chain = TxEip1559 { chain_id: 0, ..fixture::native() };
    let cases: &[(&str, Vec<u8>, DecodeError)] = &[
        ("nothing", vec![], Empty),
        ("type 0", vec![0x00, 0xc0], UnknownType(0)),
        ("type 5", vec![0x05, 0xc0], UnknownType(5)),
        ("type 0x7f", vec![0x7f], UnknownType(0x7f)),
        ("a typed one in an RLP string", typed_in_a_string, UnknownType(0xaa)),
        ("a legacy one in an RLP string", in_a_string(EIP_155.to_vec()), UnknownType(0xac)),
        ("a typed one without a body", vec![0x02], Rlp(E::InputTooShort)),
        ("a typed string for a list", vec![0x02, 0x80], Rlp(E::UnexpectedString)),
        ("an empty list", vec![0xc0], Rlp(E::InputTooShort)),
        ("six items: before EIP-155", list(&legacy()[..6]), ChainIdMissing),
        ("chain id 0", legacy_with(6, &[0x80]), ChainIdZero),
        ("chain id 0 in a typed one", bytes(&no_chain), ChainIdZero),
        ("seven items", list(&legacy()[..7]), Rlp(E::InputTooShort)),
        ("eight items", list(&legacy()[..8]), Rlp(E::InputTooShort)),
        ("ten items", list(&[legacy(), vec![item(&[])]].concat()), Rlp(E::UnexpectedLength)),
        ("a signed one: r is not 0", legacy_with(7, &[0x01]), NotCanonical),
        ("a signed one: s is not 0", legacy_with(8, &[0x01]), NotCanonical),
        ("a byte after the end", trailing, NotCanonical),
        ("a byte after the end of a typed one", typed_trailing, NotCanonical),
        ("a list header that is too long", long_list_header, Rlp(E::NonCanonicalSize)),
        ("a list length with a leading zero", longer_list_header, Rlp(E::LeadingZero)),
        ("a nonce with a leading zero", legacy_with(0, &[0x82, 0, 9]), Rlp(E::LeadingZero)),
        ("zero as a byte", legacy_with(0, &[0]), Rlp(E::LeadingZero)),
        ("a value with a leading zero", legacy_with(4, &[0x82, 0, 1]), Rlp(E::LeadingZero)),
        ("one byte as a string", legacy_with(0, &[0x81, 9]), Rlp(E::NonCanonicalSingleByte)),
        ("a short item in long form", legacy_with(5, &[0xb8, 1, 0xff]), Rlp(E::NonCanonicalSize)),
        ("a nonce above 64 bits", legacy_with(0, &item(&[1; 9])), Rlp(E::Overflow)),
        ("a gas price above 128 bits", legacy_with(1, &item(&[1; 17])), Rlp(E::Overflow)),
        ("a gas limit above 64 bits", legacy_with(2, &item(&[1; 9])), Rlp(E::Overflow)),
        ("a value above 256 bits", legacy_with(4, &item(&[1; 33])), Rlp(E::Overflow)),
        ("a chain id above 64 bits", legacy_with(6, &item(&[1; 9])), Rlp(E::Overflow)),
        ("an address of 19 bytes", legacy_with(3, &item(&[1; 19])), Rlp(E::UnexpectedLength)),
        ("an address of 21 bytes", legacy_with(3, &item(&[1; 21])), Rlp(E::UnexpectedLength)),
        ("a list for the calldata", legacy_with(5, &[0xc0]), Rlp(E::UnexpectedList)),
        ("a tip above the fee", bytes(&below), PriorityFeeAboveMaxFee),
    ];
    for (name, unsigned, expected) in cases {
        let error = decode(unsigned).unwrap_err();
        assert_eq!(error, *expected, "{name}");
        assert_eq!(error.code(), Code::MalformedTransaction, "{name}");
        assert!(error.to_string().starts_with("payload.unsigned: "), "{name}");
        let policy = fixture::policy();
        assert_eq!(error.denial(fixture::wallet(&policy, "hot-eth")), None, "{name}");
    }
}

#[test]
fn blobs_and_delegations_are_denied_and_not_malformed() {
    let policy = fixture::policy();
    let delegation = bytes(&TxEip7702 { chain_id: 1, ..TxEip7702::default() });
    assert_eq!(delegation[0], 4);
    for unsigned in [vec![0x03, 0xc0], delegation] {
        let error = decode(&unsigned).unwrap_err();
        assert_eq!(error, DecodeError::UnsupportedType(unsigned[0]));
        assert_eq!(error.code(), Code::TransactionTypeDenied);
        let denial = error.denial(fixture::wallet(&policy, "hot-eth")).unwrap();
        assert_eq!(denial.code, Code::TransactionTypeDenied);
        assert_eq!(denial.rule.as_str(), "hot-eth/transaction");
    }
}

#[test]
fn no_beginning_of_a_transaction_is_one() {
    let typed = bytes(&eip2930());
    let token = bytes(&fixture::token(fixture::USDT, fixture::HOT, 5));
    for whole in [&EIP_155[..], &typed, &token] {
        assert!(decode(whole).is_ok());
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
    }
}

/// Whatever one byte becomes: refused, or another transaction under another digest.
#[test]
fn no_byte_can_change_unseen() {
    let typed = bytes(&eip2930());
    let token = bytes(&fixture::token(fixture::USDT, fixture::HOT, 5));
    for whole in [&EIP_155[..], &typed, &token] {
        let original = decode(whole).unwrap();
        for index in 0..whole.len() {
            for change in 1..=255 {
                let mut changed = whole.to_vec();
                changed[index] ^= change;
                if let Ok(other) = decode(&changed) {
                    assert_ne!(other.sighash(), original.sighash());
                    assert_ne!(other.typed(), original.typed(), "two spellings, at {index}");
                }
            }
        }
    }
}

#[test]
fn a_transaction_has_a_longest() {
    let with = |length: usize| bytes(&TxEip2930 { input: vec![1; length].into(), ..eip2930() });
    let rest = with(1_000).len() - 1_000;
    assert_eq!(with(MAX_UNSIGNED - rest).len(), MAX_UNSIGNED);
    assert!(decode(&with(MAX_UNSIGNED - rest)).is_ok());
    let longer = decode(&with(MAX_UNSIGNED - rest + 1)).unwrap_err();
    assert_eq!(longer, DecodeError::TooLong(MAX_UNSIGNED + 1));
    assert_eq!(longer.code(), Code::MalformedTransaction);
}
