//! DSSE envelopes (Dead Simple Signing Envelope, v1.0): signatures over exact payload bytes.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::encoding::Base64;
use crate::json::{self, JsonError};

/// An envelope has at most this many signatures.
pub const MAX_SIGNATURES: usize = 16;

/// The kinds of document. Each has its own type, so that none can be passed for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadType {
    /// A request to sign: [`crate::intent::Intent`].
    #[serde(rename = "application/vnd.strongroom.intent.v1+json")]
    Intent,
    /// An act on wallets: [`crate::act::WalletAct`].
    #[serde(rename = "application/vnd.strongroom.wallet-act.v1+json")]
    WalletAct,
    /// The signing policy.
    #[serde(rename = "application/vnd.strongroom.policy.v1+json")]
    Policy,
    /// The head of the receipt chain: [`crate::receipt::Head`].
    #[serde(rename = "application/vnd.strongroom.receipt-head.v1+json")]
    ReceiptHead,
    /// Addresses of a wallet: [`crate::statement::AddressStatement`].
    #[serde(rename = "application/vnd.strongroom.address-statement.v1+json")]
    AddressStatement,
}

impl PayloadType {
    /// The `payloadType` as it stands in the envelope and in the signed bytes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "application/vnd.strongroom.intent.v1+json",
            Self::WalletAct => "application/vnd.strongroom.wallet-act.v1+json",
            Self::Policy => "application/vnd.strongroom.policy.v1+json",
            Self::ReceiptHead => "application/vnd.strongroom.receipt-head.v1+json",
            Self::AddressStatement => "application/vnd.strongroom.address-statement.v1+json",
        }
    }
}

/// One signature. `keyid` is a hint: the key that it names must verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The name of a principal; not trusted, at most 128 bytes.
    pub keyid: KeyHint,
    /// The signature over the PAE.
    pub sig: Base64,
}

/// What a signature says it was made by. It is input, and no more than that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyHint(Box<str>);

impl KeyHint {
    /// Reads 1 to 128 printable ASCII characters.
    pub fn parse(text: &str) -> Option<Self> {
        let bounded = (1..=128).contains(&text.len());
        (bounded && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.into()))
    }

    /// The hint.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyHint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

crate::serde_as_text!(KeyHint, "a keyid: 1 to 128 printable ASCII characters");

/// `{"payloadType":…,"payload":base64,"signatures":[…]}`. Nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// What kind of document the payload is.
    #[serde(rename = "payloadType")]
    pub payload_type: PayloadType,
    /// The exact bytes that were signed.
    pub payload: Base64,
    /// The signatures, in the order in which they were added.
    pub signatures: Vec<Signature>,
}

/// Why an envelope was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not JSON of this shape.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A well-formed envelope around another kind of document.
    #[error("envelope: payloadType: expected {0}")]
    PayloadType(&'static str),
    /// More than [`MAX_SIGNATURES`].
    #[error("envelope: signatures: expected at most {MAX_SIGNATURES}")]
    TooManySignatures,
}

impl Envelope {
    /// Reads an envelope of the given kind.
    pub fn parse(expected: PayloadType, bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let envelope: Self = json::parse("envelope", bytes)?;
        envelope.expect(expected)
    }

    /// Checks what the JSON schema cannot: the kind of document and the number of signatures.
    pub fn expect(self, expected: PayloadType) -> Result<Self, EnvelopeError> {
        if self.payload_type != expected {
            return Err(EnvelopeError::PayloadType(expected.as_str()));
        }
        if self.signatures.len() > MAX_SIGNATURES {
            return Err(EnvelopeError::TooManySignatures);
        }
        Ok(self)
    }

    /// An envelope without signatures.
    pub fn unsigned(payload_type: PayloadType, payload: Vec<u8>) -> Self {
        Self { payload_type, payload: Base64(payload), signatures: Vec::new() }
    }

    /// The bytes that every signature is over.
    pub fn pae(&self) -> Vec<u8> {
        pae(self.payload_type, &self.payload.0)
    }

    /// The SHA-256 of the payload bytes: what the document is known by.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.payload.0)
    }
}

/// Pre-authentication encoding (DSSE protocol, "PAE"):
/// `DSSEv1 SP LEN(type) SP type SP LEN(body) SP body`, lengths in decimal.
pub fn pae(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    let name = payload_type.as_str();
    let mut bytes = format!("DSSEv1 {} {name} {} ", name.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pae_has_lengths_and_a_type() {
        assert_eq!(
            pae(PayloadType::Policy, b"hello world"),
            b"DSSEv1 41 application/vnd.strongroom.policy.v1+json 11 hello world"
        );
    }

    #[test]
    fn names_agree_with_serde() {
        for kind in [
            PayloadType::Intent,
            PayloadType::WalletAct,
            PayloadType::Policy,
            PayloadType::ReceiptHead,
            PayloadType::AddressStatement,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn refusals() {
        let good = r#"{"payloadType":"application/vnd.strongroom.intent.v1+json","payload":"e30=","signatures":[]}"#;
        assert!(Envelope::parse(PayloadType::Intent, good.as_bytes()).is_ok());
        assert_eq!(
            Envelope::parse(PayloadType::Policy, good.as_bytes()).unwrap_err(),
            EnvelopeError::PayloadType(PayloadType::Policy.as_str())
        );
        let signature = r#"{"keyid":"a","sig":""},"#.repeat(17);
        let many = good.replace("[]", &format!("[{}]", signature.trim_end_matches(',')));
        assert_eq!(
            Envelope::parse(PayloadType::Intent, many.as_bytes()).unwrap_err(),
            EnvelopeError::TooManySignatures
        );
        for wrong in [
            good.replace("e30=", "e30"),
            good.replace("intent", "other"),
            good.replace("}", r#","extra":1}"#),
            good.replace(r#","signatures":[]"#, ""),
        ] {
            assert!(Envelope::parse(PayloadType::Intent, wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
