#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use serde_cbor::Value;

use super::*;

/// A payload that is right, as a value to break.
fn valid() -> BTreeMap<Value, Value> {
    let pcrs = Value::Map([(Value::Integer(0), Value::Bytes(vec![1; 48]))].into());
    [
        ("module_id", Value::Text("i-1-enc2".into())),
        ("digest", Value::Text("SHA384".into())),
        ("timestamp", Value::Integer(1)),
        ("pcrs", pcrs),
        ("certificate", Value::Bytes(vec![1])),
        ("cabundle", Value::Array(vec![Value::Bytes(vec![1])])),
        ("public_key", Value::Null),
    ]
    .into_iter()
    .map(|(key, value)| (Value::Text(key.into()), value))
    .collect()
}

fn parse(map: BTreeMap<Value, Value>) -> Result<Payload, PayloadError> {
    Payload::parse(&serde_cbor::to_vec(&Value::Map(map)).unwrap())
}

fn with(key: &str, value: Value) -> Option<PayloadError> {
    let mut map = valid();
    map.insert(Value::Text(key.into()), value);
    parse(map).err()
}

fn pcrs(entries: impl IntoIterator<Item = (i128, usize)>) -> Value {
    let entries = entries.into_iter();
    Value::Map(entries.map(|(i, n)| (Value::Integer(i), Value::Bytes(vec![0; n]))).collect())
}

fn bytes(length: usize) -> Value {
    Value::Bytes(vec![0; length])
}

#[test]
fn the_valid_payload_is_valid() {
    let payload = parse(valid()).unwrap();
    assert_eq!(payload.module_id, "i-1-enc2");
    assert_eq!((payload.public_key, payload.user_data, payload.nonce), (None, None, None));
}

#[test]
fn each_mandatory_member_is_mandatory() {
    for field in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        let mut map = valid();
        map.remove(&Value::Text(field.into()));
        assert_eq!(parse(map).err(), Some(PayloadError::Missing { field }));
        assert_eq!(with(field, Value::Null), Some(PayloadError::Cbor), "{field} null");
    }
}

#[test]
fn bounds_are_inclusive_and_enforced() {
    for (field, value, accepted) in [
        ("module_id", Value::Text(String::new()), false),
        ("pcrs", pcrs([]), false),
        ("pcrs", pcrs((0..32).map(|i| (i, 48))), true),
        ("certificate", bytes(0), false),
        ("certificate", bytes(1024), true),
        ("certificate", bytes(1025), false),
        ("cabundle", Value::Array(vec![]), false),
        ("cabundle", Value::Array(vec![bytes(1024), bytes(1)]), true),
        ("cabundle", Value::Array(vec![bytes(1), bytes(0)]), false),
        ("cabundle", Value::Array(vec![bytes(1), bytes(1025)]), false),
        ("public_key", bytes(0), false),
        ("public_key", bytes(1024), true),
        ("public_key", bytes(1025), false),
        ("user_data", bytes(0), true),
        ("user_data", bytes(512), true),
        ("user_data", bytes(513), false),
        ("nonce", bytes(512), true),
        ("nonce", bytes(513), false),
    ] {
        let found = with(field, value);
        assert_eq!(found.is_none(), accepted, "{field}: {found:?}");
        assert!(matches!(found, None | Some(PayloadError::Size { .. })), "{field}: {found:?}");
    }
    assert_eq!(with("pcrs", pcrs([(32, 48)])), Some(PayloadError::PcrIndex { found: 32 }));
    assert_eq!(
        with("pcrs", pcrs([(31, 32)])),
        Some(PayloadError::PcrLength { index: 31, found: 32 })
    );
    assert_eq!(with("digest", Value::Text("SHA256".into())), Some(PayloadError::Digest));
    assert_eq!(with("timestamp", Value::Integer(0)), Some(PayloadError::Timestamp));
}

#[test]
fn types_are_exact() {
    for (field, value) in [
        ("module_id", bytes(3)),
        ("certificate", Value::Text("x".into())),
        ("certificate", Value::Array(vec![Value::Integer(1)])),
        ("timestamp", Value::Integer(-1)),
        ("pcrs", Value::Array(vec![bytes(48)])),
        ("pcrs", Value::Map([(Value::Text("0".into()), bytes(48))].into())),
        ("nonce", Value::Text("x".into())),
    ] {
        assert_eq!(with(field, value.clone()), Some(PayloadError::Cbor), "{field} {value:?}");
    }
}

#[test]
fn equal_keys_trailing_bytes_and_arrays_are_refused() {
    let encoded = serde_cbor::to_vec(&Value::Map(valid())).unwrap();
    let body = encoded.get(1..).unwrap();
    // The map as one of indefinite length is the same map …
    let indefinite = [&[0xbf], body, &[0xff]].concat();
    assert!(Payload::parse(&indefinite).is_ok());
    // … with its members twice it is none.
    let twice = [&[0xbf], body, body, &[0xff]].concat();
    assert_eq!(Payload::parse(&twice).err(), Some(PayloadError::Cbor));
    let trailing = [&encoded[..], &[0]].concat();
    assert_eq!(Payload::parse(&trailing).err(), Some(PayloadError::Cbor));
    assert_eq!(Payload::parse(&[0x80]).err(), Some(PayloadError::Cbor));

    // {0: 48 bytes, 0: 48 bytes}
    let register = [&[0x00, 0x58, 48][..], &[0; 48]].concat();
    let pcrs = [&[0xa2][..], &register, &register].concat();
    let duplicate = [&[0xa1, 0x64], &b"pcrs"[..], &pcrs].concat();
    assert_eq!(Payload::parse(&duplicate).err(), Some(PayloadError::Cbor));
}

#[test]
fn a_member_of_a_later_version_does_no_harm() {
    assert_eq!(with("later", Value::Array(vec![Value::Bool(true)])), None);
}

/// COSE_Sign1 with these headers around the valid payload.
fn cose(tag: &[u8], protected: &[u8], unprotected: &[u8]) -> Vec<u8> {
    let payload = serde_cbor::to_vec(&Value::Map(valid())).unwrap();
    let mut document = [tag, &[0x84]].concat();
    document.extend(serde_cbor::to_vec(&Value::Bytes(protected.to_vec())).unwrap());
    document.extend(unprotected);
    document.extend(serde_cbor::to_vec(&Value::Bytes(payload)).unwrap());
    document.extend(serde_cbor::to_vec(&Value::Bytes(vec![0; 96])).unwrap());
    document
}

#[test]
fn cose_headers_are_exact() {
    let parse = |document: Vec<u8>| UnverifiedDocument::parse(&document).map(|_| ());
    let es384 = PROTECTED_ES384;
    assert!(parse(cose(&[], es384, &[0xa0])).is_ok());
    assert!(parse(cose(&[0xd2], es384, &[0xa0])).is_ok(), "tag 18");
    assert!(matches!(parse(cose(&[0xd1], es384, &[0xa0])), Err(ParseError::Cose)), "tag 17");
    assert!(matches!(parse(cose(&[], &[0xa1, 0x01, 0x26], &[0xa0])), Err(ParseError::Protected)));
    assert!(matches!(parse(cose(&[], &[0xa0], &[0xa0])), Err(ParseError::Protected)));
    // {1: -35, 2: [3]}: something critical that nobody here understands
    let critical = [0xa2, 0x01, 0x38, 0x22, 0x02, 0x81, 0x03];
    assert!(matches!(parse(cose(&[], &critical, &[0xa0])), Err(ParseError::Protected)));
    let unprotected = [0xa1, 0x01, 0x38, 0x22];
    assert!(matches!(parse(cose(&[], es384, &unprotected)), Err(ParseError::Unprotected)));

    let mut trailing = cose(&[], es384, &[0xa0]);
    trailing.push(0);
    assert!(matches!(parse(trailing), Err(ParseError::Cose)));
    let too_large = vec![0; MAX_DOCUMENT_BYTES + 1];
    assert!(matches!(parse(too_large), Err(ParseError::TooLarge { .. })));
}
