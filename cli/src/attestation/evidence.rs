//! What is judged: a document, in whichever spelling it comes, and perhaps the bytes that it binds.

use strongroom_shared::attestation::AttestationReply;
use strongroom_shared::encoding::{Base64, parse_hex};

use crate::verify::VerifyError;

/// A document, and the bytes that it is said to bind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) document: Vec<u8>,
    pub(super) binding: Option<Vec<u8>>,
}

impl From<AttestationReply> for Evidence {
    fn from(reply: AttestationReply) -> Self {
        let AttestationReply { document, binding } = reply;
        Self { document: document.0, binding: Some(binding.0) }
    }
}

impl Evidence {
    /// Recognises raw CBOR, hex, base64 and the JSON of `attestation fetch` by their bytes.
    ///
    /// A COSE_Sign1 structure begins with 0x84, or with 0xd2 0x84: so no raw document is ASCII, and in
    /// base64 it begins with an h or with 0o, which no hex does.
    pub(super) fn recognise(bytes: Vec<u8>) -> Result<Self, VerifyError> {
        if !bytes.is_ascii() {
            return Ok(Self { document: bytes, binding: None });
        }
        let text: String =
            bytes.iter().filter(|b| !b.is_ascii_whitespace()).copied().map(char::from).collect();
        if text.starts_with('{') {
            return Ok(super::parse(&bytes)?.into());
        }
        let document = parse_hex(&text).or_else(|| parse_base64(&text));
        let document = document.filter(|document| !document.is_empty());
        Ok(Self { document: document.ok_or(VerifyError::Input)?, binding: None })
    }
}

/// Base64 in the standard or the URL-safe alphabet, padded or not (RFC 4648, sections 3.2 and 5).
fn parse_base64(text: &str) -> Option<Vec<u8>> {
    let mut text = text.replace('-', "+").replace('_', "/");
    if !text.ends_with('=') {
        let whole = text.len().next_multiple_of(4);
        text.extend(std::iter::repeat_n('=', whole - text.len()));
    }
    Some(Base64::parse(&text)?.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Not a document; the first bytes and the bytes that the two alphabets differ in are real.
    const BYTES: [u8; 7] = [0x84, 0x44, 0xa1, 0x01, 0xfb, 0xef, 0xff];

    fn document(text: impl Into<Vec<u8>>) -> Option<Vec<u8>> {
        Evidence::recognise(text.into()).ok().map(|evidence| evidence.document)
    }

    #[test]
    fn each_spelling_is_recognised() {
        for text in [
            "8444a101fbefff",
            "8444A101FBEFFF\n",
            "0x8444a101fbefff",
            "8444a101\r\nfbefff\r\n",
            "hEShAfvv/w==",
            "hEShAfvv/w==\n",
            "hESh\nAfvv\n/w==\n",
            "hEShAfvv/w",
            "hEShAfvv_w",
        ] {
            assert_eq!(document(text).as_deref(), Some(&BYTES[..]), "{text:?}");
        }
        assert_eq!(document(BYTES).as_deref(), Some(&BYTES[..]));
    }

    #[test]
    fn json_brings_the_binding() {
        let text = r#" {"document":"hEShAfvv/w==","binding":"AQI=","nonce":"00"}"#;
        let evidence = Evidence::recognise(text.into()).unwrap();
        assert_eq!(evidence, Evidence { document: BYTES.into(), binding: Some(vec![1, 2]) });
        for wrong in ["{}", "{", r#"{"document":"hEShAfvv/w==","binding":"AQI=","x":1}"#] {
            let error = Evidence::recognise(wrong.into()).unwrap_err();
            assert!(matches!(error, VerifyError::Json(_)), "{wrong}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for wrong in ["", " \n", "no document", "hEShAfvv/w=", "hEShAfvv/w===", "h", "AQJ="] {
            let error = Evidence::recognise(wrong.into()).unwrap_err();
            assert!(matches!(error, VerifyError::Input), "{wrong:?}");
        }
    }
}
