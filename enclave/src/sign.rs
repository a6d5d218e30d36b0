//! Step 9: ECDSA over secp256k1, deterministic (RFC 6979), with low `s` (EIP-2).

use alloy_primitives::{B256, Signature, U256};
use ecdsa::hazmat::sign_prehashed_rfc6979;
use k256::Secp256k1;
use sha2::Sha256;

use crate::approve::ApprovedIntent;
use crate::keys::UnlockedKey;
use crate::keys::hd::SecretScalar;
use crate::refusal::Failed;

/// A signature that nobody can read before its receipt is written.
pub struct UnreleasedSignature<'e> {
    approved: ApprovedIntent<'e>,
    signature: Signature,
}

impl<'e> UnreleasedSignature<'e> {
    /// Signs the sighash of the approved intent with the key that was derived for it. The key is
    /// used up.
    pub fn sign(key: UnlockedKey<'e>) -> Result<Self, Failed> {
        let (approved, secret) = key.into_parts();
        match sign_digest(&secret, &approved.sighash()) {
            Some(signature) => Ok(Self { approved, signature }),
            None => Err(approved.failed("the signature cannot be expressed with a parity bit")),
        }
    }

    pub(crate) fn into_parts(self) -> (ApprovedIntent<'e>, Signature) {
        (self.approved, self.signature)
    }
}

/// `None` where the point's x is beyond the order of the curve: once in 2¹²⁷, and Ethereum cannot
/// express it.
fn sign_digest(secret: &SecretScalar, sighash: &B256) -> Option<Signature> {
    let (signature, recovery) =
        sign_prehashed_rfc6979::<Secp256k1, Sha256>(secret.scalar(), sighash.as_slice(), &[]);
    if recovery.is_x_reduced() {
        return None;
    }
    // `s` is low already: k256 normalizes it and the recovery id together.
    let (r, s) = signature.split_bytes();
    let (r, s) = (U256::from_be_slice(&r), U256::from_be_slice(&s));
    Some(Signature::new(r, s, recovery.is_y_odd()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::keys::hd::tests::junk_parent;
    use alloy_primitives::{Address, b256, keccak256, uint};
    use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

    /// The largest `s` that EIP-2 takes.
    const HALF_ORDER: U256 =
        uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

    /// EIP-155's own example: key 0x46…46, and the signature that it gives.
    #[test]
    fn eip_155() {
        let secret = SecretScalar::from_bytes([0x46; 32]);
        let sighash = b256!("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
        let expected = Signature::new(
            uint!(0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276_U256),
            uint!(0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83_U256),
            false,
        );
        assert_eq!(sign_digest(&secret, &sighash), Some(expected));
    }

    /// Recovered sender, by libsecp256k1, = derived address = the address that is published for the
    /// seed: over many digests, so that both parities and the normalization of `s` occur.
    #[test]
    fn the_sender_is_the_published_address() {
        let published: Address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap();
        let parent = junk_parent();
        assert_eq!(parent.child_address(1).unwrap().0, published);
        let secret = parent.child_secret(1).unwrap();
        let mut parities = [0; 2];
        for number in 0..64_u8 {
            let sighash = keccak256([number]);
            let signature = sign_digest(&secret, &sighash).unwrap();
            assert!(signature.s() <= HALF_ORDER, "EIP-2");
            parities[usize::from(signature.v())] += 1;
            let recovery = RecoveryId::try_from(i32::from(signature.v())).unwrap();
            let bytes = &signature.as_bytes()[..64];
            let recoverable = RecoverableSignature::from_compact(bytes, recovery).unwrap();
            let message = secp256k1::Message::from_digest(sighash.0);
            let public = recoverable.recover_ecdsa(message).unwrap().serialize_uncompressed();
            assert_eq!(Address::from_word(keccak256(&public[1..])), published);
        }
        assert!(parities.iter().all(|count| *count > 0), "{parities:?}");
    }
}
