//! Whether the policy allows it: default deny, every rule that applies must pass, and it always
//! ends in a verdict.

use strongroom_shared::digest::Digest;
use strongroom_shared::evm::{Amount, AssetRef, Effect, EvmAddress};
use strongroom_shared::id::{RuleId, WalletId};
use strongroom_shared::path::HdPath;
use strongroom_shared::problem::Code;
use strongroom_shared::time::UtcSeconds;

use crate::decode::Transaction;
use crate::document::{Payees, Policy, WalletPolicy};
use crate::effects::effects;

/// What is asked. Everything that a rule may look at stands here.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The wallet that pays, from the policy that is asked.
    pub wallet: &'a WalletPolicy,
    /// The key within the wallet.
    pub path: &'a HdPath,
    /// The policy that the intent names.
    pub policy_digest: &'a Digest,
    /// The transaction.
    pub transaction: &'a Transaction,
    /// What [`effects()`] said of the transaction, as the receipt will record it; empty where it
    /// is unreadable. Other effects than the transaction's own are denied.
    pub effects: &'a [Effect],
    /// Where wallets that are destinations are.
    pub destinations: &'a dyn Destinations,
    /// Trusted time. The life of the intent is the asker's to check, before: it decides nothing that
    /// lasts.
    pub now: UtcSeconds,
}

/// Where wallets are, said by one who has opened their keys.
pub trait Destinations {
    /// The addresses at the wallet's fixed paths; `None` while the wallet is not open.
    fn wallet_addresses(&self, wallet: &WalletId) -> Option<Vec<EvmAddress>>;
}

/// What the policy says.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every rule that applies passed.
    Allowed {
        /// These rules, in the order in which they were asked.
        rules: Vec<RuleId>,
    },
    /// One did not.
    Denied(Denial),
    /// A destination could be a wallet that is not open: nobody can say now. It is no denial, since
    /// whether a wallet is open is no property of the intent.
    Unresolved,
}

/// The rule that said no, and why. A denial is not a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Denial {
    /// The stable code of the cause.
    pub code: Code,
    /// The rule.
    pub rule: RuleId,
    /// What was expected and found; never input.
    pub detail: String,
}

/// Asks `policy`.
///
/// The rules, in this order: `policy/digest`, `policy/not-after`, and of the wallet `pinned`, `paths`,
/// `chains`, `calldata`, `transfers/<id>` (`transfers` where none allows it), `fees/gas-limit`,
/// `fees/per-gas`, `fees/total`.
pub fn evaluate(policy: &Policy, question: &Question<'_>) -> Verdict {
    match check(policy, question) {
        Ok(rules) => Verdict::Allowed { rules },
        Err(No::Denied(denial)) => Verdict::Denied(denial),
        Err(No::Unresolved) => Verdict::Unresolved,
    }
}

/// Why not every rule passed.
enum No {
    Denied(Denial),
    Unresolved,
}

impl From<Denial> for No {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

fn check(policy: &Policy, question: &Question<'_>) -> Result<Vec<RuleId>, No> {
    let mut passed = Passed(Vec::new());
    check_policy(policy, question, &mut passed)?;
    check_key(policy, question, &mut passed)?;
    check_effects(policy, question, &mut passed)?;
    Ok(passed.0)
}

/// The rules that passed so far.
struct Passed(Vec<RuleId>);

impl Passed {
    fn require(
        &mut self,
        holds: bool,
        rule: &RuleId,
        code: Code,
        detail: impl FnOnce() -> String,
    ) -> Result<(), Denial> {
        if !holds {
            return Err(Denial { code, rule: rule.clone(), detail: detail() });
        }
        self.0.push(rule.clone());
        Ok(())
    }
}

/// The policy that is in force is the one that is meant, and is still in force.
fn check_policy(policy: &Policy, q: &Question<'_>, passed: &mut Passed) -> Result<(), Denial> {
    let rules = policy.rules();
    let (expected, named) = (policy.digest(), q.policy_digest);
    passed.require(named == expected, &rules.digest, Code::PolicyMismatch, || {
        format!("policy: expected the policy in force, {expected}, found {named}")
    })?;
    let (now, last) = (q.now, policy.not_after());
    passed.require(now <= last, &rules.not_after, Code::PolicyExpired, || {
        format!("the policy in force ended at {last}; it is {now}")
    })
}

/// This key may sign at all, and here.
fn check_key(policy: &Policy, q: &Question<'_>, passed: &mut Passed) -> Result<(), Denial> {
    let (wallet, rules) = (q.wallet, q.wallet.rules());
    passed.require(policy.is_usable(wallet), &rules.pinned, Code::WalletNotPinned, || {
        "wallet: expected one whose fingerprint the policy pins".into()
    })?;
    passed.require(wallet.covers(q.path), &rules.paths, Code::PathDenied, || {
        "path: expected one of the wallet's paths".into()
    })?;
    let chain = q.transaction.chain_id();
    passed.require(wallet.fee_caps(chain).is_some(), &rules.chains, Code::ChainDenied, || {
        format!("chain_id: expected one of the wallet's chains, found {chain}")
    })
}

/// What the transaction does is understood, each transfer is allowed, and so is the fee.
fn check_effects(policy: &Policy, q: &Question<'_>, passed: &mut Passed) -> Result<(), No> {
    let (wallet, rules) = (q.wallet, q.wallet.rules());
    // Said again here, so that a verdict never rests on effects of another transaction.
    let own = effects(policy, q.transaction).map_err(|unreadable| unreadable.denial(wallet))?;
    passed.require(own == q.effects, &rules.calldata, Code::CalldataDenied, || {
        "effects: expected those of the transaction, found others".into()
    })?;
    for effect in &own {
        match effect {
            // There is no cap on the amount of a transfer.
            Effect::Transfer { asset, to, amount: _ } => {
                passed.0.push(allowing_rule(policy, q, asset, to)?.clone());
            }
            // The fee is in the chain's native asset, whose caps are the chain's.
            Effect::Fee { asset: AssetRef { chain, contract: _ }, amount } => {
                check_fee(q, *chain, amount, passed)?;
            }
        }
    }
    Ok(())
}

/// The first transfer rule that has the asset and the destination.
fn allowing_rule<'a>(
    policy: &Policy,
    q: &Question<'a>,
    asset: &AssetRef,
    to: &EvmAddress,
) -> Result<&'a RuleId, No> {
    let deny = |code, detail: &str| Denial {
        code,
        rule: q.wallet.rules().transfers.clone(),
        detail: detail.to_owned(),
    };
    let mut asset_stands_in_a_rule = false;
    let mut unresolved = false;
    for rule in q.wallet.transfers().iter().filter(|rule| rule.assets().contains(asset)) {
        asset_stands_in_a_rule = true;
        let pays = match rule.to() {
            Payees::Any => true,
            Payees::Listed { addresses, wallets } => {
                addresses.contains(to)
                    || wallets.iter().any(|wallet| {
                        let found = resolve(policy, q.destinations, wallet);
                        unresolved |= found.is_none();
                        found.is_some_and(|addresses| addresses.contains(to))
                    })
            }
        };
        if pays {
            return Ok(rule.rule());
        }
    }
    if !asset_stands_in_a_rule {
        let detail = "asset: expected one of a transfer rule of the wallet";
        return Err(deny(Code::AssetDenied, detail).into());
    }
    if unresolved {
        return Err(No::Unresolved);
    }
    let detail = "to: expected a destination of a transfer rule of the wallet";
    Err(deny(Code::DestinationDenied, detail).into())
}

/// Where a wallet is that may be a destination: nowhere, unless the policy pins it or is
/// provisioning; `None` while it is not open.
fn resolve(
    policy: &Policy,
    destinations: &dyn Destinations,
    id: &WalletId,
) -> Option<Vec<EvmAddress>> {
    match policy.wallet(id) {
        Some(wallet) if policy.is_usable(wallet) => destinations.wallet_addresses(id),
        Some(_) | None => Some(Vec::new()),
    }
}

fn check_fee(
    q: &Question<'_>,
    chain: u64,
    fee: &Amount,
    passed: &mut Passed,
) -> Result<(), Denial> {
    let rules = q.wallet.rules();
    let caps = q.wallet.fee_caps(chain).ok_or_else(|| Denial {
        code: Code::ChainDenied,
        rule: rules.chains.clone(),
        detail: format!("chain_id: expected a chain with fee caps, found {chain}"),
    })?;
    let (gas, most) = (q.transaction.gas_limit(), caps.max_gas_limit());
    passed.require(gas <= most, &rules.gas_limit, Code::GasLimitExceeded, || {
        format!("gas_limit: expected at most {most}, found {gas}")
    })?;
    let per_gas = Amount(alloy_primitives::U256::from(q.transaction.max_fee_per_gas()));
    let most = caps.max_fee_per_gas();
    passed.require(per_gas <= most, &rules.fee_per_gas, Code::FeePerGasExceeded, || {
        format!("max_fee_per_gas: expected at most {most}, found {per_gas}")
    })?;
    let most = caps.max_fee();
    passed.require(*fee <= most, &rules.fee_total, Code::FeeExceeded, || {
        format!("fee: expected gas limit × max fee per gas of at most {most}, found {fee}")
    })
}

#[cfg(test)]
mod tests;
