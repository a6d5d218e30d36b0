//! One wallet: its names refer to something, and its rules can be meant.

use std::collections::{BTreeMap, BTreeSet};

use strongroom_shared::evm::{Amount, AssetRef};
use strongroom_shared::id::{PrincipalId, WalletId};

use super::at::At;
use super::raw::{self, Name, Payee};
use super::validate::rule;
use super::wallet::{FeeCaps, Payees, TransferRule, WalletPolicy, WalletRules};
use super::{PathPattern, PolicyError, Principal, Role, Tier};

/// What a wallet may refer to.
pub(super) struct Known<'a> {
    pub(super) principals: &'a BTreeMap<PrincipalId, Principal>,
    pub(super) assets: &'a BTreeMap<Name, AssetRef>,
    pub(super) wallets: &'a BTreeMap<WalletId, Peer>,
}

/// What matters of a wallet that is a destination.
pub(super) struct Peer {
    tier: Tier,
    only_fixed_paths: bool,
}

impl Peer {
    pub(super) fn of(wallet: &raw::Wallet) -> Self {
        let fixed = |path: &PathPattern| matches!(path, PathPattern::Fixed(_));
        Self { tier: wallet.tier, only_fixed_paths: wallet.paths.iter().all(fixed) }
    }
}

pub(super) fn wallet(
    at: &At,
    raw: raw::Wallet,
    known: &Known<'_>,
) -> Result<WalletPolicy, PolicyError> {
    let raw::Wallet {
        id,
        tier,
        fingerprint,
        callers,
        chains,
        paths,
        max_intent_seconds,
        transfers,
        fees,
    } = raw;
    let rules = rules(&at.field("id"), &id)?;
    let callers = at.field("callers").set(callers, |at, caller| {
        let principal = known.principals.get(&caller);
        let role = principal.map(Principal::role);
        at.require(role.is_some(), "the id of a principal")?;
        at.require(role == Some(Role::Engine), "a principal of role engine")?;
        Ok(caller)
    })?;
    let chains = at.field("chains").set(chains, |at, chain| {
        at.require(chain != 0, "a chain id above zero")?;
        Ok(chain)
    })?;
    let paths = at.field("paths").set(paths, |_, path| Ok(path))?;
    at.field("max_intent_seconds").require(max_intent_seconds >= 1, "1 or more")?;
    let transfers = self::transfers(&at.field("transfers"), transfers, &id, tier, &chains, known)?;
    let chains = fee_caps(&at.field("fees"), fees, &chains)?;
    Ok(WalletPolicy {
        id,
        tier,
        fingerprint,
        callers,
        chains,
        paths,
        max_intent_seconds,
        transfers,
        rules,
    })
}

fn rules(at: &At, id: &WalletId) -> Result<WalletRules, PolicyError> {
    let name = |name: &str| rule(at, format!("{id}/{name}"));
    Ok(WalletRules {
        transaction: name("transaction")?,
        pinned: name("pinned")?,
        paths: name("paths")?,
        chains: name("chains")?,
        calldata: name("calldata")?,
        transfers: name("transfers")?,
        gas_limit: name("fees/gas-limit")?,
        fee_per_gas: name("fees/per-gas")?,
        fee_total: name("fees/total")?,
    })
}

fn transfers(
    at: &At,
    list: Vec<raw::Transfer>,
    wallet: &WalletId,
    tier: Tier,
    chains: &BTreeSet<u64>,
    known: &Known<'_>,
) -> Result<Vec<TransferRule>, PolicyError> {
    at.some(&list)?;
    let mut ids = BTreeSet::new();
    let mut rules = Vec::with_capacity(list.len());
    for (index, raw::Transfer { id, assets, to }) in list.into_iter().enumerate() {
        let at = at.item(index);
        let rule = rule(&at.field("id"), format!("{wallet}/transfers/{id}"))?;
        at.field("id").require(ids.insert(id), "an id that no other transfer of the wallet has")?;
        let assets = at.field("assets").set(assets, |at, id| {
            let asset = known.assets.get(&id).ok_or_else(|| at.expected("the id of an asset"))?;
            at.require(chains.contains(&asset.chain), "an asset on a chain of the wallet")?;
            Ok(*asset)
        })?;
        let to = payees(&at.field("to"), to, tier, known)?;
        rules.push(TransferRule { rule, assets, to });
    }
    Ok(rules)
}

fn payees(at: &At, list: Vec<Payee>, tier: Tier, known: &Known<'_>) -> Result<Payees, PolicyError> {
    let listed = at.set(list, |at, payee| {
        payee_allowed(at, &payee, tier, known)?;
        Ok(payee)
    })?;
    let alone = listed.len() == 1;
    let (mut addresses, mut wallets) = (BTreeSet::new(), BTreeSet::new());
    for payee in listed {
        match payee {
            Payee::Any if alone => return Ok(Payees::Any),
            Payee::Any => return Err(at.expected("nothing beside any")),
            Payee::Address(address) => addresses.insert(address),
            Payee::Wallet(wallet) => wallets.insert(wallet),
        };
    }
    Ok(Payees::Listed { addresses, wallets })
}

fn payee_allowed(at: &At, payee: &Payee, tier: Tier, known: &Known<'_>) -> Result<(), PolicyError> {
    match (payee, tier) {
        (Payee::Any | Payee::Address(_), Tier::Hot) => Ok(()),
        (Payee::Any | Payee::Address(_), Tier::Deposit) => {
            Err(at.expected("a wallet of tier hot, since a deposit wallet pays no other"))
        }
        (Payee::Wallet(id), tier) => {
            let at = at.field("wallet");
            let peer = known.wallets.get(id).ok_or_else(|| at.expected("the id of a wallet"))?;
            at.require(
                tier != Tier::Deposit || peer.tier == Tier::Hot,
                "a wallet of tier hot, since a deposit wallet pays no other",
            )?;
            at.require(peer.only_fixed_paths, "a wallet without * in its paths")
        }
    }
}

fn fee_caps(
    at: &At,
    list: Vec<raw::Fee>,
    chains: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, FeeCaps>, PolicyError> {
    let mut caps = BTreeMap::new();
    for (index, raw::Fee { chain, max_gas_limit, max_fee_per_gas, max_fee }) in
        list.into_iter().enumerate()
    {
        let at = at.item(index);
        at.field("chain").require(chains.contains(&chain), "a chain of the wallet")?;
        at.field("max_gas_limit").require(max_gas_limit != 0, "more than 0")?;
        at.field("max_fee_per_gas").require(max_fee_per_gas != Amount::default(), "more than 0")?;
        at.field("max_fee").require(max_fee != Amount::default(), "more than 0")?;
        let new = caps.insert(chain, FeeCaps { max_gas_limit, max_fee_per_gas, max_fee }).is_none();
        at.field("chain").require(new, "a chain that has no caps before")?;
    }
    at.require(caps.len() == chains.len(), "caps for each chain of the wallet")?;
    Ok(caps)
}
