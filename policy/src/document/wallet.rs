//! What a wallet may do.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_shared::digest::Digest;
use strongroom_shared::evm::{Amount, AssetRef, EvmAddress};
use strongroom_shared::id::{PrincipalId, RuleId, WalletId};
use strongroom_shared::path::HdPath;

use super::{PathPattern, Tier};

/// What a wallet may do.
#[derive(Clone, Debug)]
pub struct WalletPolicy {
    pub(super) id: WalletId,
    pub(super) tier: Tier,
    pub(super) fingerprint: Option<Digest>,
    pub(super) callers: BTreeSet<PrincipalId>,
    pub(super) chains: BTreeMap<u64, FeeCaps>,
    pub(super) paths: BTreeSet<PathPattern>,
    pub(super) max_intent_seconds: u64,
    pub(super) transfers: Vec<TransferRule>,
    pub(super) rules: WalletRules,
}

impl WalletPolicy {
    /// The wallet's name.
    pub const fn id(&self) -> &WalletId {
        &self.id
    }

    /// What it is for.
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// The public-key fingerprint that the policy pins.
    pub const fn fingerprint(&self) -> Option<&Digest> {
        self.fingerprint.as_ref()
    }

    /// Whether this principal may ask the wallet to sign.
    pub fn is_caller(&self, principal: &PrincipalId) -> bool {
        self.callers.contains(principal)
    }

    /// Who may ask the wallet to sign.
    pub fn callers(&self) -> impl Iterator<Item = &PrincipalId> {
        self.callers.iter()
    }

    /// The chains that it may sign for.
    pub fn chains(&self) -> impl Iterator<Item = u64> {
        self.chains.keys().copied()
    }

    /// The fee caps on a chain; `None` where the wallet may not sign for it.
    pub fn fee_caps(&self, chain: u64) -> Option<&FeeCaps> {
        self.chains.get(&chain)
    }

    /// The paths that it may sign at.
    pub fn paths(&self) -> impl Iterator<Item = &PathPattern> {
        self.paths.iter()
    }

    /// Whether it may sign at this path.
    pub fn covers(&self, path: &HdPath) -> bool {
        self.paths.iter().any(|pattern| pattern.covers(path))
    }

    /// The paths without `*`: where the wallet is, as a destination.
    pub fn fixed_paths(&self) -> impl Iterator<Item = HdPath> {
        self.paths.iter().filter_map(|pattern| match pattern {
            PathPattern::Fixed(path) => Some(*path),
            PathPattern::Under(_) => None,
        })
    }

    /// How far ahead an intent may expire, in seconds.
    pub const fn max_intent_seconds(&self) -> u64 {
        self.max_intent_seconds
    }

    pub(crate) fn transfers(&self) -> &[TransferRule] {
        &self.transfers
    }

    pub(crate) const fn rules(&self) -> &WalletRules {
        &self.rules
    }
}

/// The most that a transaction may spend as fee, on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeCaps {
    pub(super) max_gas_limit: u64,
    pub(super) max_fee_per_gas: Amount,
    pub(super) max_fee: Amount,
}

impl FeeCaps {
    /// The most gas.
    pub const fn max_gas_limit(&self) -> u64 {
        self.max_gas_limit
    }

    /// The most that a unit of gas may cost, in wei.
    pub const fn max_fee_per_gas(&self) -> Amount {
        self.max_fee_per_gas
    }

    /// The most that gas limit × max fee per gas may be, in wei.
    pub const fn max_fee(&self) -> Amount {
        self.max_fee
    }
}

/// These assets may go to those destinations.
#[derive(Clone, Debug)]
pub(crate) struct TransferRule {
    pub(super) rule: RuleId,
    pub(super) assets: BTreeSet<AssetRef>,
    pub(super) to: Payees,
}

impl TransferRule {
    pub(crate) const fn rule(&self) -> &RuleId {
        &self.rule
    }

    pub(crate) const fn assets(&self) -> &BTreeSet<AssetRef> {
        &self.assets
    }

    pub(crate) const fn to(&self) -> &Payees {
        &self.to
    }
}

/// Who may be paid.
#[derive(Clone, Debug)]
pub(crate) enum Payees {
    /// Anyone.
    Any,
    /// These addresses, and these wallets of the policy at their fixed paths.
    Listed { addresses: BTreeSet<EvmAddress>, wallets: BTreeSet<WalletId> },
}

/// The names of a wallet's rules. Made when the document is read, so that a verdict cannot fail
/// for want of a name.
#[derive(Clone, Debug)]
pub(crate) struct WalletRules {
    pub(crate) transaction: RuleId,
    pub(crate) pinned: RuleId,
    pub(crate) paths: RuleId,
    pub(crate) chains: RuleId,
    pub(crate) calldata: RuleId,
    pub(crate) transfers: RuleId,
    pub(crate) gas_limit: RuleId,
    pub(crate) fee_per_gas: RuleId,
    pub(crate) fee_total: RuleId,
}
