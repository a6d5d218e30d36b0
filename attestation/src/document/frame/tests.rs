#![allow(clippy::unwrap_used)]
use serde_cbor::Value;

use super::*;
use crate::verify::Step;

/// COSE_Sign1 of these fields, each as it stands in CBOR.
struct Cose {
    start: Vec<u8>,
    protected: Vec<u8>,
    unprotected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    end: Vec<u8>,
}

impl Default for Cose {
    fn default() -> Self {
        let bytes = |bytes: Vec<u8>| serde_cbor::to_vec(&Value::Bytes(bytes)).unwrap();
        Self {
            start: vec![0x84],
            protected: bytes(PROTECTED_ES384.to_vec()),
            unprotected: vec![0xa0],
            payload: bytes(vec![0xa0]),
            signature: bytes(vec![0; SIGNATURE_BYTES]),
            end: vec![],
        }
    }
}

impl Cose {
    fn encoded(self) -> Vec<u8> {
        let Self { start, protected, unprotected, payload, signature, end } = self;
        [start, protected, unprotected, payload, signature, end].concat()
    }

    fn parse(self) -> Result<(), ParseError> {
        check(&self.encoded())
    }
}

#[test]
fn the_structure_is_cose_sign1() {
    assert!(Cose::default().parse().is_ok());
    let good = |start: &[u8], end: &[u8]| {
        Cose { start: start.to_vec(), end: end.to_vec(), ..Cose::default() }.parse()
    };
    assert!(good(&[0xd2, 0x84], &[]).is_ok(), "tag 18");
    assert!(good(&[0x9f], &[0xff]).is_ok(), "indefinite length");

    for (start, end, why) in [
        (&[0xd1, 0x84][..], &[][..], "tag 17"),
        (&[0xd2, 0xd2, 0x84], &[], "tag 18 twice"),
        (&[0xd8, 0x12, 0x84], &[], "tag 18 in a longer form than needed"),
        (&[0x84], &[0], "a trailing byte"),
        (&[0x84], &[0xff], "a trailing break"),
        (&[0x85], &[0xf6], "five fields"),
        (&[0x9f], &[0xf6, 0xff], "five fields, indefinite"),
        (&[0x83], &[], "three fields"),
        (&[0x9f], &[], "no break"),
        (&[0xa4], &[], "a map"),
        (&[0x98, 0x04], &[], "a longer form than needed"),
    ] {
        let result = good(start, end);
        assert!(matches!(result, Err(ParseError::Cose)), "{why}");
        assert_eq!(result.unwrap_err().step(), Step::Structure, "{why}");
    }
    assert!(matches!(check(&[0x80]), Err(ParseError::Cose)), "no field");
    assert!(matches!(check(&[]), Err(ParseError::Cose)), "nothing");
}

#[test]
fn fields_are_byte_strings() {
    for other in [&[0x81, 0x01][..], &[0x61, 0x61], &[0xc1, 0x41, 1], &[0xf6], &[0x5f, 0x40, 0xff]]
    {
        let other = || other.to_vec();
        for cose in [
            Cose { protected: other(), ..Cose::default() },
            Cose { unprotected: other(), ..Cose::default() },
            Cose { payload: other(), ..Cose::default() },
            Cose { signature: other(), ..Cose::default() },
        ] {
            assert!(matches!(cose.parse(), Err(ParseError::Cose)), "{:02x?}", other());
        }
    }
}

#[test]
fn a_signature_has_96_bytes() {
    for found in [0, 64, 95, 97, 132] {
        let signature = serde_cbor::to_vec(&Value::Bytes(vec![0; found])).unwrap();
        let error = Cose { signature, ..Cose::default() }.parse().unwrap_err();
        assert!(matches!(error, ParseError::Signature { found: n } if n == found), "{error}");
    }
}

#[test]
fn headers_are_exact() {
    for (protected, why) in [
        (&[][..], "empty"),
        (&[0xa0], "an empty map"),
        (&[0xa1, 0x01, 0x26], "es256"),
        (&[0xa1, 0x01, 0x38, 0x23], "es512"),
        (&[0xa1, 0x01, 0x27], "eddsa"),
        (&[0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22], "es384 twice"),
        (&[0xa2, 0x01, 0x38, 0x22, 0x02, 0x81, 0x03], "something critical"),
        (&[0xa2, 0x01, 0x38, 0x22, 0x04, 0x40], "a key id"),
        (&[0xbf, 0x01, 0x38, 0x22, 0xff], "another encoding"),
        (&[0xa1, 0x01, 0x38, 0x22, 0x00], "a trailing byte"),
    ] {
        let protected = serde_cbor::to_vec(&Value::Bytes(protected.to_vec())).unwrap();
        let error = Cose { protected, ..Cose::default() }.parse().unwrap_err();
        assert!(matches!(error, ParseError::Protected), "{why}: {error}");
        assert_eq!(error.step(), Step::Headers);
    }
    let empty = Cose { unprotected: vec![0xbf, 0xff], ..Cose::default() };
    assert!(empty.parse().is_ok(), "empty, indefinite length");
    for unprotected in [vec![0xa1, 0x01, 0x38, 0x22], vec![0xbf, 0x04, 0x41, 0, 0xff]] {
        let error = Cose { unprotected, ..Cose::default() }.parse().unwrap_err();
        assert!(matches!(error, ParseError::Unprotected), "{error}");
        assert_eq!(error.step(), Step::Headers);
    }
}
