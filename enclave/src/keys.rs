//! Step 8: a key is derived for an approved intent, and for nothing else.

pub mod hd;
pub mod seal;
pub mod wallet;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use strongroom_policy::Destinations;
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::id::WalletId;

use crate::approve::ApprovedIntent;
use crate::refusal::Failed;
use wallet::Wallet;

/// The wallets that are open.
#[derive(Default)]
pub struct Keyring {
    wallets: RwLock<BTreeMap<WalletId, Arc<Wallet>>>,
}

/// A private key, for the one intent that it was derived for. No `Clone`, no `Debug`.
pub struct UnlockedKey {
    approved: ApprovedIntent,
    secret: hd::SecretScalar,
}

impl UnlockedKey {
    /// Derives the key of an approved intent, and takes the intent: one intent, one key.
    pub fn unlock(keyring: &Keyring, approved: ApprovedIntent) -> Result<Self, Failed> {
        let intent = approved.intent();
        let secret = keyring.get(&intent.wallet).and_then(|wallet| wallet.secret(&intent.path));
        match secret {
            Some(secret) => Ok(Self { approved, secret }),
            None => Err(approved.failed("the key of the approved path could not be derived")),
        }
    }

    pub(crate) fn into_parts(self) -> (ApprovedIntent, hd::SecretScalar) {
        (self.approved, self.secret)
    }
}

impl Keyring {
    /// The open wallet of that name.
    pub fn get(&self, wallet: &WalletId) -> Option<Arc<Wallet>> {
        self.wallets.read().unwrap_or_else(PoisonError::into_inner).get(wallet).cloned()
    }

    /// Every open wallet, by name.
    pub fn all(&self) -> Vec<Arc<Wallet>> {
        self.wallets.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Adds a wallet; `false`, and no change, if the name is taken.
    #[must_use]
    pub fn add(&self, wallet: Wallet) -> bool {
        let mut wallets = self.wallets.write().unwrap_or_else(PoisonError::into_inner);
        if wallets.contains_key(wallet.id()) {
            return false;
        }
        wallets.insert(wallet.id().clone(), Arc::new(wallet));
        true
    }
}

/// A destination by name is what this enclave has opened itself, never what the host says.
impl Destinations for Keyring {
    fn wallet_addresses(&self, wallet: &WalletId) -> Vec<EvmAddress> {
        self.get(wallet).map(|wallet| wallet.fixed_addresses().to_vec()).unwrap_or_default()
    }
}
