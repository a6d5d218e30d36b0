//! An open wallet: the parents of the paths that the policy lets it use, and no more.

use std::collections::BTreeMap;

use strongroom_policy::{PathPattern, WalletPolicy};
use strongroom_shared::digest::Digest;
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::id::{KeyId, WalletId};
use strongroom_shared::path::{HARDENED, HdPath};
use strongroom_shared::reply::WalletInfo;

use super::hd::{Node, SecretScalar};
use super::seal::Seed;

/// BIP-44's external chain of Ethereum's first account, `m/44'/60'/0'/0`: what a wallet's
/// fingerprint is of, and what ranges of addresses are below.
pub const ACCOUNT: [u32; 4] = [44 | HARDENED, 60 | HARDENED, HARDENED, 0];

const FINGERPRINT: &str = "strongroom-wallet-fingerprint-v1";

/// A wallet whose seed was opened. The seed itself is gone: only the parents that the policy's
/// paths have are kept, so a path outside of them cannot be derived at all.
pub struct Wallet {
    id: WalletId,
    key_id: KeyId,
    tier: &'static str,
    fingerprint: Digest,
    parents: BTreeMap<[u32; 4], Node>,
    fixed_addresses: Vec<EvmAddress>,
}

impl Wallet {
    /// Derives what the policy lets this wallet use. `None` if the seed is one of the few that
    /// BIP-32 calls invalid.
    pub fn open(seed: &Seed, key_id: KeyId, policy: &WalletPolicy) -> Option<Self> {
        let descend = |levels: &[u32; 4]| Node::master(seed.as_bytes())?.descend(levels);
        let fingerprint = Digest::of_domain(FINGERPRINT, descend(&ACCOUNT)?.public_key());
        let mut parents = BTreeMap::new();
        for pattern in policy.paths() {
            let parent = match pattern {
                PathPattern::Fixed(path) => path.parent(),
                PathPattern::Under(parent) => *parent,
            };
            parents.insert(parent, descend(&parent)?);
        }
        let mut wallet = Self {
            id: policy.id().clone(),
            key_id,
            tier: policy.tier().as_str(),
            fingerprint,
            parents,
            fixed_addresses: Vec::new(),
        };
        wallet.fixed_addresses =
            policy.fixed_paths().map(|path| wallet.address(&path)).collect::<Option<_>>()?;
        Some(wallet)
    }

    /// Its name.
    pub fn id(&self) -> &WalletId {
        &self.id
    }

    /// The id of the sealed key that it was opened from.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// What a policy pins.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// What anyone may know of it.
    pub fn info(&self) -> WalletInfo {
        WalletInfo {
            wallet: self.id.clone(),
            tier: self.tier.to_owned(),
            fingerprint: self.fingerprint,
        }
    }

    /// The addresses at the paths that the policy names one by one: what `{"wallet":…}` means as a
    /// destination.
    pub fn fixed_addresses(&self) -> &[EvmAddress] {
        &self.fixed_addresses
    }

    /// The address at a path; `None` unless the policy has a path with that parent.
    pub fn address(&self, path: &HdPath) -> Option<EvmAddress> {
        self.parents.get(&path.parent())?.child_address(path.index())
    }

    pub(super) fn secret(&self, path: &HdPath) -> Option<SecretScalar> {
        self.parents.get(&path.parent())?.child_secret(path.index())
    }
}
