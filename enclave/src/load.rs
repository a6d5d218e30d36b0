//! Opening a wallet that was sealed before: what the host hands back is what it was given, or
//! nothing.

use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::reply::WalletInfo;
use strongroom_shared::wire::SealedKey;

use crate::enclave::Enclave;
use crate::keys::seal::Seed;
use crate::keys::wallet::Wallet;

/// Opens a sealed wallet. The same one again changes nothing; another one of that name is refused.
pub fn load(enclave: &Enclave, sealed: &SealedKey) -> Result<WalletInfo, Problem> {
    let SealedKey { key_id, wallet, .. } = sealed;
    let seed = Seed::open(&enclave.sealing_key, enclave.dek_id, sealed)
        .map_err(|error| Problem::new(Code::SealedKeyRefused, error.to_string()))?;
    let Some(policy) = enclave.policy.wallet(wallet) else {
        let detail = "sealed key: wallet: expected one that the policy lists";
        return Err(Problem::new(Code::WalletNotInPolicy, detail));
    };
    let opened = Wallet::open(&seed, key_id.clone(), policy)
        .ok_or_else(|| Problem::new(Code::SealedKeyRefused, "the seed gives no key"))?;
    if policy.fingerprint().is_some_and(|pinned| *pinned != opened.fingerprint()) {
        let detail = "sealed key: expected the wallet whose fingerprint the policy pins";
        return Err(Problem::new(Code::FingerprintMismatch, detail));
    }
    let info = opened.info();
    match enclave.keyring.admit(wallet) {
        Ok(admission) => admission.open(opened),
        Err(open) if open.key_id() == key_id => {}
        Err(_) => {
            let detail = "sealed key: another wallet has that name";
            return Err(Problem::new(Code::WalletExists, detail));
        }
    }
    Ok(info)
}
