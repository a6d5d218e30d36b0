//! Step 8: a key is derived for an approved intent, and for nothing else.

pub mod hd;
pub mod seal;
pub mod wallet;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

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
    /// Held while a wallet is made or opened, so that a name is taken once.
    admission: Mutex<()>,
}

/// The right to open one wallet under a name that is free, and that stays free meanwhile.
pub(crate) struct Admission<'k> {
    keyring: &'k Keyring,
    name: WalletId,
    _alone: MutexGuard<'k, ()>,
}

/// A private key, for the one intent that it was derived for. No `Clone`, no `Debug`.
pub struct UnlockedKey<'e> {
    approved: ApprovedIntent<'e>,
    secret: hd::SecretScalar,
}

impl<'e> UnlockedKey<'e> {
    /// Derives the key of an approved intent, and takes the intent: one intent, one key.
    pub fn unlock(approved: ApprovedIntent<'e>) -> Result<Self, Failed> {
        let intent = approved.intent();
        let wallet = approved.enclave().keyring.get(&intent.wallet);
        match wallet.and_then(|wallet| wallet.secret(&intent.path)) {
            Some(secret) => Ok(Self { approved, secret }),
            None => Err(approved.failed("the key of the approved path could not be derived")),
        }
    }

    pub(crate) fn into_parts(self) -> (ApprovedIntent<'e>, hd::SecretScalar) {
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

    /// Waits for its turn, and then gives the right to open `name`; the open wallet, if it is taken.
    pub(crate) fn admit(&self, name: &WalletId) -> Result<Admission<'_>, Arc<Wallet>> {
        let alone = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        match self.get(name) {
            None => Ok(Admission { keyring: self, name: name.clone(), _alone: alone }),
            Some(open) => Err(open),
        }
    }
}

impl Admission<'_> {
    /// Opens the wallet.
    pub(crate) fn open(self, wallet: Wallet) {
        let mut wallets = self.keyring.wallets.write().unwrap_or_else(PoisonError::into_inner);
        wallets.insert(self.name, Arc::new(wallet));
    }
}

/// A destination by name is what this enclave has opened itself, never what the host says.
impl Destinations for Keyring {
    fn wallet_addresses(&self, wallet: &WalletId) -> Option<Vec<EvmAddress>> {
        self.get(wallet).map(|wallet| wallet.fixed_addresses().to_vec())
    }
}
