//! Public keys of principals, and the one place that verifies their signatures.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// The public key of a principal: `{"type":"ed25519","public":"<base64, 32 bytes>"}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PublicKey {
    /// Ed25519 (RFC 8032), 32 bytes.
    Ed25519 {
        /// The compressed point.
        public: Ed25519Point,
    },
}

impl PublicKey {
    /// An Ed25519 key from its 32 bytes.
    pub const fn ed25519(bytes: [u8; 32]) -> Self {
        Self::Ed25519 { public: Ed25519Point(bytes) }
    }

    /// Whether `signature` is this key's over `message`. A signature of another length is not.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519 { public } => {
                UnparsedPublicKey::new(&ED25519, public.0).verify(message, signature).is_ok()
            }
        }
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ed25519 { public } => write!(f, "ed25519:{public}"),
        }
    }
}

/// 32 bytes of an Ed25519 public key, as base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ed25519Point([u8; 32]);

impl Ed25519Point {
    /// Reads base64 of exactly 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        crate::encoding::Base64::parse(text)?.0.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Ed25519Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", crate::encoding::Base64(self.0.to_vec()))
    }
}

crate::serde_as_text!(Ed25519Point, "an Ed25519 public key: base64 of 32 bytes");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn rfc_8032() {
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        let key = PublicKey::ed25519(hex::decode(public).unwrap().try_into().unwrap());
        let signature = hex::decode(signature).unwrap();
        assert!(key.verifies(&[0x72], &signature));
        assert!(!key.verifies(&[0x73], &signature));
        assert!(!key.verifies(&[0x72], &signature[..63]));
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), key);
    }
}
