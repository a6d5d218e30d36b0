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
        let null = with(field, Value::Null);
        assert!(matches!(null, Some(PayloadError::Type { field: found, .. }) if found == field));
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
        ("cabundle", Value::Array(vec![bytes(1); 7]), true),
        ("cabundle", Value::Array(vec![bytes(1); 8]), false),
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
        ("nonce", Value::Array(vec![Value::Integer(1)])),
        ("timestamp", Value::Float(1.0)),
        ("timestamp", Value::Text("1".into())),
        ("digest", Value::Bytes(b"SHA384".to_vec())),
        ("cabundle", bytes(1)),
        ("cabundle", Value::Array(vec![Value::Null])),
        ("pcrs", Value::Map([(Value::Integer(-1), bytes(48))].into())),
        ("pcrs", Value::Map([(Value::Integer(0), Value::Null)].into())),
        ("public_key", Value::Bool(false)),
        ("user_data", Value::Map([].into())),
    ] {
        let found = with(field, value.clone());
        assert!(
            matches!(found, Some(PayloadError::Type { field: found, .. }) if found == field),
            "{field} {value:?}: {found:?}"
        );
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
    assert!(matches!(
        Payload::parse(&duplicate).err(),
        Some(PayloadError::Type { field: "pcrs", .. })
    ));
}

#[test]
fn inner_maps_and_arrays_may_have_indefinite_length_too() {
    let mut map = valid();
    map.remove(&Value::Text("pcrs".into()));
    map.remove(&Value::Text("cabundle".into()));
    let encoded = serde_cbor::to_vec(&Value::Map(map)).unwrap();
    let pcrs = [&[0x64][..], b"pcrs", &[0xbf, 0x00, 0x58, 48], &[1; 48], &[0xff]].concat();
    let bundle = [&[0x68][..], b"cabundle", &[0x9f, 0x41, 1, 0x41, 2, 0xff]].concat();
    let whole = [&[0xbf], encoded.get(1..).unwrap(), &pcrs, &bundle, &[0xff]].concat();
    let payload = Payload::parse(&whole).unwrap();
    assert_eq!((payload.pcrs.len(), payload.cabundle.len()), (1, 2));

    // The same, never closed.
    let open = whole.get(..whole.len() - 1).unwrap();
    assert_eq!(Payload::parse(open).err(), Some(PayloadError::Cbor));
}

#[test]
fn a_payload_has_a_size() {
    assert!(matches!(Payload::parse(&[]), Err(PayloadError::Size { field: "payload", .. })));
    let filled = |bytes| {
        let mut map = valid();
        map.insert(Value::Text("later".into()), Value::Bytes(vec![0; bytes]));
        serde_cbor::to_vec(&Value::Map(map)).unwrap()
    };
    let overhead = filled(16_000).len() - 16_000;
    assert!(Payload::parse(&filled(MAX_PAYLOAD_BYTES - overhead)).is_ok());
    assert!(matches!(
        Payload::parse(&filled(MAX_PAYLOAD_BYTES - overhead + 1)),
        Err(PayloadError::Size { field: "payload", found: 16_385, .. })
    ));
}

#[test]
fn nesting_has_a_bound() {
    for open in [0x81, 0x9f, 0xa1, 0xbf, 0xc1] {
        let bomb = [vec![0xa1, 0x65], b"later".to_vec(), vec![open; 16_000]].concat();
        assert_eq!(Payload::parse(&bomb).err(), Some(PayloadError::Cbor), "{open:02x}");
        // In place of the structure, of a header, of the payload.
        for start in [&[][..], &[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22], &[0x84, 0x40, 0xa0]] {
            let bomb = [start, &vec![open; 16_000]].concat();
            let result = UnverifiedDocument::parse(&bomb);
            assert!(matches!(result, Err(ParseError::Cose)), "{open:02x}");
        }
    }
}

#[test]
fn a_member_of_a_later_version_does_no_harm() {
    assert_eq!(with("later", Value::Array(vec![Value::Bool(true)])), None);
}

#[test]
fn a_document_of_a_nitrotpm_is_refused() {
    let registers = || pcrs((0..24).map(|i| (i, 48)));
    assert_eq!(with("nitrotpm_pcrs", registers()), Some(PayloadError::NitroTpm), "both");
    assert_eq!(with("nitrotpm_pcrs", Value::Null), Some(PayloadError::NitroTpm), "null");
    let mut map = valid();
    map.insert(Value::Text("nitrotpm_pcrs".into()), registers());
    map.insert(Value::Text("module_id".into()), Value::Text("i-1-tpm2".into()));
    map.remove(&Value::Text("pcrs".into()));
    assert_eq!(parse(map).err(), Some(PayloadError::NitroTpm), "as AWS issues them");
}

#[test]
fn a_payload_that_breaks_a_rule_is_step_3() {
    let start = [&[0x84, 0x44][..], frame::PROTECTED_ES384, &[0xa0]].concat();
    let document = |payload: &[u8]| [&start, payload, &[0x58, 96], &[0; 96][..]].concat();
    let valid = serde_cbor::to_vec(&Value::Map(valid())).unwrap();
    let valid = serde_cbor::to_vec(&Value::Bytes(valid)).unwrap();
    assert!(UnverifiedDocument::parse(&document(&valid)).is_ok());
    // An empty map
    let error = UnverifiedDocument::parse(&document(&[0x41, 0xa0])).map(drop).unwrap_err();
    assert!(matches!(error, ParseError::Payload(PayloadError::Missing { field: "module_id" })));
    assert_eq!(error.step(), Step::Payload);
}

#[test]
fn a_document_has_a_size() {
    let found = MAX_DOCUMENT_BYTES + 1;
    let error = UnverifiedDocument::parse(&vec![0x84; found]).map(drop).unwrap_err();
    assert!(matches!(error, ParseError::TooLarge { found: n } if n == found));
    assert_eq!(error.step(), Step::Structure);
}
