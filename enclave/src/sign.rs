//! Step 9: ECDSA over secp256k1, deterministic (RFC 6979), with low `s` (EIP-2).

use alloy_primitives::{Signature, U256};
use ecdsa::hazmat::sign_prehashed_rfc6979;
use k256::Secp256k1;
use sha2::Sha256;

use crate::approve::ApprovedIntent;
use crate::keys::UnlockedKey;
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
        let sighash = approved.sighash();
        let (signature, recovery) =
            sign_prehashed_rfc6979::<Secp256k1, Sha256>(secret.scalar(), sighash.as_slice(), &[]);
        // x beyond the order of the curve happens once in 2¹²⁷, and Ethereum cannot express it.
        if recovery.is_x_reduced() {
            return Err(approved.failed("the signature cannot be expressed with a parity bit"));
        }
        // `s` is low already: k256 normalizes it and the recovery id together.
        let (r, s) = signature.split_bytes();
        let (r, s) = (U256::from_be_slice(&r), U256::from_be_slice(&s));
        let signature = Signature::new(r, s, recovery.is_y_odd());
        Ok(Self { approved, signature })
    }

    pub(crate) fn into_parts(self) -> (ApprovedIntent<'e>, Signature) {
        (self.approved, self.signature)
    }
}
