//! Secrets: wiped on drop, never cloned, printed or serialized. The only ways out are `seal`, and for
//! the DEK the change to another KEK.

use aws_lc_rs::hkdf;
use strongroom_shared::id::DekId;
use zeroize::Zeroizing;

/// The data key: 32 bytes that KMS releases to the measured image.
pub struct Dek(Zeroizing<[u8; 32]>);

/// What the DEK is known by; see [`DekId`].
const DEK_ID: &[u8] = b"strongroom-dek-id-v1";
/// The use of the key that seals wallets.
const SEAL_WALLETS: &[u8] = b"strongroom-seal-wallets-v1";

impl Dek {
    /// Takes the plaintext that KMS encrypted to this enclave; `None` unless it has 32 bytes.
    pub fn from_kms(plaintext: &Zeroizing<Vec<u8>>) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        if plaintext.len() != bytes.len() {
            return None;
        }
        bytes.copy_from_slice(plaintext);
        Some(Self(bytes))
    }

    /// What this DEK is known by. One-way: it says nothing about the DEK.
    pub fn id(&self) -> DekId {
        DekId::from_bytes(*self.derive(DEK_ID))
    }

    /// The key that seals wallets, and nothing else.
    pub fn wallet_sealing_key(&self) -> SealingKey {
        SealingKey(self.derive(SEAL_WALLETS))
    }

    /// The bytes, for the one call that encrypts this DEK under another KEK.
    pub(crate) fn for_another_kek(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_vec())
    }

    /// HKDF-SHA-256 (RFC 5869) with an empty salt; `info` names the one use of what comes out.
    fn derive(&self, info: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&*self.0);
        // Only an output of more than 255 × 32 bytes can fail; 32 is a constant. Were it ever to
        // fail, a key of zeros must not be used: stop.
        let filled =
            prk.expand(&[info], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(key.as_mut_slice()));
        if filled.is_err() {
            std::process::abort();
        }
        key
    }
}

/// An AES-256-GCM key for one use, derived from the DEK.
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// From an independent implementation: RFC 5869 in Python, over its standard `hmac`.
    #[test]
    fn derivations_agree_with_another_implementation() {
        let dek = Dek::from_kms(&Zeroizing::new(vec![7; 32])).unwrap();
        assert_eq!(
            dek.id().to_string(),
            "b59d0e54d469c2a9acbcccf2f58966843e5ea2fe067dd9a3858e3926b65c67e9"
        );
        assert_eq!(
            DekId::from_bytes(*dek.wallet_sealing_key().as_bytes()).to_string(),
            "1c398910ea847e20f96d3605e165853aff45b35ea48db4bbf280dfe4776a6aff"
        );
    }

    #[test]
    fn a_dek_has_32_bytes() {
        for length in [0, 16, 31, 33, 64] {
            assert!(Dek::from_kms(&Zeroizing::new(vec![7; length])).is_none(), "{length}");
        }
    }
}
