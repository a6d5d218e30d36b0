//! Principals with their private keys.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use strongroom_shared::dsse::{self, Envelope, KeyHint, PayloadType};
use strongroom_shared::encoding::Base64;
use strongroom_shared::key::PublicKey;

/// Somebody who can sign.
pub struct Principal {
    /// The name in the policy or in the configuration.
    pub id: String,
    pair: Ed25519KeyPair,
}

impl Principal {
    /// A new key of that name.
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), pair: Ed25519KeyPair::generate().unwrap() }
    }

    /// The key of a PKCS#8 document (DER).
    pub fn from_pkcs8(id: &str, der: &[u8]) -> Self {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).unwrap();
        Self { id: id.to_owned(), pair }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::ed25519(self.pair.public_key().as_ref().try_into().unwrap())
    }

    /// Adds this principal's signature.
    pub fn sign(&self, envelope: &mut Envelope) {
        let sig = Base64(self.pair.sign(&envelope.pae()).as_ref().to_vec());
        let keyid = KeyHint::parse(&self.id).unwrap();
        envelope.signatures.push(dsse::Signature { keyid, sig });
    }
}

/// An envelope around `payload`, signed by each of `signers`.
pub fn envelope(payload_type: PayloadType, payload: Vec<u8>, signers: &[&Principal]) -> Envelope {
    let mut envelope = Envelope::unsigned(payload_type, payload);
    for signer in signers {
        signer.sign(&mut envelope);
    }
    envelope
}

/// The envelope's bytes, as they are sent.
pub fn bytes(envelope: &Envelope) -> Vec<u8> {
    serde_json::to_vec(envelope).unwrap()
}
