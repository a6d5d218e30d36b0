//! The policy document: parsed whole, strictly, once.
//!
//! [`Policy::parse`] is the only constructor. What it returns is valid: every name in it refers to
//! something, every wallet has fee caps for each of its chains, every destination can be resolved.

mod at;
mod path;
mod raw;
mod validate;
mod validate_wallet;
mod wallet;

use std::collections::{BTreeMap, BTreeSet};

use strongroom_shared::digest::Digest;
use strongroom_shared::evm::AssetRef;
use strongroom_shared::id::{DekId, PrincipalId, RuleId, WalletId};
use strongroom_shared::json::{self, JsonError};
use strongroom_shared::key::PublicKey;
use strongroom_shared::time::UtcSeconds;

pub use path::PathPattern;
pub use raw::{Role, Tier};
pub(crate) use wallet::Payees;
pub use wallet::{FeeCaps, WalletPolicy};

/// Why a document is not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It does not have the shape of one.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It has, and says what cannot be meant.
    #[error("policy: {at}: expected {expected}")]
    Invalid {
        /// The place, such as `wallets[0].transfers[0].to[1]`.
        at: String,
        /// What should stand there.
        expected: &'static str,
    },
}

/// The policy in force.
#[derive(Clone, Debug)]
pub struct Policy {
    digest: Digest,
    sequence: u64,
    previous: Option<Digest>,
    not_after: UtcSeconds,
    dek_rule: DekRule,
    principals: BTreeMap<PrincipalId, Principal>,
    assets: BTreeMap<AssetRef, Asset>,
    wallets: BTreeMap<WalletId, WalletPolicy>,
    rules: PolicyRules,
}

/// Which DEK an enclave may hold under this policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DekRule {
    /// Any, and it may generate one: development, and the ceremony that makes the first DEK.
    Provisioning,
    /// One of these, never a new one.
    Listed(BTreeSet<DekId>),
}

/// Someone whose signature counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    id: PrincipalId,
    role: Role,
    key: PublicKey,
}

impl Principal {
    /// The name.
    pub const fn id(&self) -> &PrincipalId {
        &self.id
    }

    /// What its signature may stand for.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The key; no other principal of the policy has it.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// An asset that the policy knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    asset: AssetRef,
    symbol: String,
    decimals: u8,
}

impl Asset {
    /// The chain, and the contract of a token.
    pub const fn asset(&self) -> AssetRef {
        self.asset
    }

    /// For people.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// How many decimals people write; amounts are in the smallest unit everywhere.
    pub const fn decimals(&self) -> u8 {
        self.decimals
    }
}

/// The names of the rules that do not belong to a wallet.
#[derive(Clone, Debug)]
pub(crate) struct PolicyRules {
    pub(crate) digest: RuleId,
    pub(crate) not_after: RuleId,
}

impl Policy {
    /// Reads and validates the whole document.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        let raw: raw::Policy = json::parse("policy", bytes)?;
        validate::policy(Digest::of(bytes), raw)
    }

    /// SHA-256 of the document's exact bytes.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The document's number: 1 for the first, and one more for each that follows.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The digest of the document before; absent in the first.
    pub const fn previous(&self) -> Option<&Digest> {
        self.previous.as_ref()
    }

    /// The last second at which the policy is in force.
    pub const fn not_after(&self) -> UtcSeconds {
        self.not_after
    }

    /// Which DEK an enclave may hold.
    pub const fn dek_rule(&self) -> &DekRule {
        &self.dek_rule
    }

    /// The principal of that name.
    pub fn principal(&self, id: &PrincipalId) -> Option<&Principal> {
        self.principals.get(id)
    }

    /// All principals, by name.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.principals.values()
    }

    /// The asset, where the policy lists it.
    pub fn asset(&self, asset: &AssetRef) -> Option<&Asset> {
        self.assets.get(asset)
    }

    /// All assets, by chain and contract.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.values()
    }

    /// The wallet of that name.
    pub fn wallet(&self, id: &WalletId) -> Option<&WalletPolicy> {
        self.wallets.get(id)
    }

    /// All wallets, by name.
    pub fn wallets(&self) -> impl Iterator<Item = &WalletPolicy> {
        self.wallets.values()
    }

    /// Whether the wallet may sign and be a destination: its fingerprint is pinned, or the policy
    /// is provisioning, which is when fingerprints come to be.
    pub const fn is_usable(&self, wallet: &WalletPolicy) -> bool {
        match self.dek_rule {
            DekRule::Provisioning => true,
            DekRule::Listed(_) => wallet.fingerprint().is_some(),
        }
    }

    pub(crate) const fn rules(&self) -> &PolicyRules {
        &self.rules
    }
}

#[cfg(test)]
mod tests;
