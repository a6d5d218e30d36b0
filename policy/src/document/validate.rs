//! From what is written to what is meant: the whole document, or the place that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, address};
use strongroom_shared::digest::Digest;
use strongroom_shared::evm::{AssetRef, EvmAddress};
use strongroom_shared::id::{DekId, PrincipalId, RuleId, WalletId};
use strongroom_shared::intent::V1;

use super::at::At;
use super::raw::{self, Name};
use super::{Asset, DekRule, Policy, PolicyError, PolicyRules, Principal, validate_wallet};

/// Some tools write this for the native asset (EIP-7528); here it would be a second name for it.
const NATIVE_PSEUDO_CONTRACT: Address = address!("0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE");

/// 10⁷⁷ is the last power of ten below 2²⁵⁶.
const MAX_DECIMALS: u8 = 77;

pub(super) fn policy(digest: Digest, raw: raw::Policy) -> Result<Policy, PolicyError> {
    let raw::Policy {
        version: V1,
        sequence,
        previous,
        not_after,
        provisioning,
        dek_ids,
        principals,
        assets,
        wallets,
    } = raw;
    chain_of_policies(sequence, previous.as_ref())?;
    let dek_rule = dek_rule(provisioning, dek_ids)?;
    let principals = self::principals(principals)?;
    let (assets, asset_ids) = self::assets(assets)?;
    let wallets = self::wallets(wallets, &principals, &asset_ids)?;
    let rules = PolicyRules {
        digest: rule(&At::top("policy"), "policy/digest".into())?,
        not_after: rule(&At::top("not_after"), "policy/not-after".into())?,
    };
    Ok(Policy {
        digest,
        sequence,
        previous,
        not_after,
        dek_rule,
        principals,
        assets,
        wallets,
        rules,
    })
}

/// A rule's name. Ids are so short that each is one; if not, the document is refused.
pub(super) fn rule(at: &At, name: String) -> Result<RuleId, PolicyError> {
    RuleId::parse(&name).ok_or_else(|| at.expected("an id that makes a rule name"))
}

fn chain_of_policies(sequence: u64, previous: Option<&Digest>) -> Result<(), PolicyError> {
    At::top("sequence").require(sequence >= 1, "1 or more")?;
    At::top("previous").require(
        previous.is_none() == (sequence == 1),
        "null where sequence is 1, and the digest of the policy before where it is more",
    )
}

fn dek_rule(
    provisioning: Option<bool>,
    dek_ids: Option<Vec<DekId>>,
) -> Result<DekRule, PolicyError> {
    match (provisioning, dek_ids) {
        (Some(true), None) => Ok(DekRule::Provisioning),
        (None, Some(ids)) => At::top("dek_ids").set(ids, |_, id| Ok(id)).map(DekRule::Listed),
        (Some(_), Some(_)) => {
            Err(At::top("provisioning").expected("no provisioning beside dek_ids"))
        }
        (Some(false), None) => {
            Err(At::top("provisioning").expected("true, or dek_ids and no provisioning"))
        }
        (None, None) => {
            Err(At::top("dek_ids").expected("a list of DEK ids, or provisioning: true"))
        }
    }
}

fn principals(list: Vec<raw::Principal>) -> Result<BTreeMap<PrincipalId, Principal>, PolicyError> {
    let top = At::top("principals");
    top.some(&list)?;
    let mut keys = BTreeSet::new();
    let mut principals = BTreeMap::new();
    for (index, raw::Principal { id, role, key }) in list.into_iter().enumerate() {
        let at = top.item(index);
        at.field("key")
            .require(keys.insert(key.clone()), "a public key that no other principal has")?;
        let principal = Principal { id: id.clone(), role, key };
        let new = principals.insert(id, principal).is_none();
        at.field("id").require(new, "an id that no other principal has")?;
    }
    Ok(principals)
}

type Assets = (BTreeMap<AssetRef, Asset>, BTreeMap<Name, AssetRef>);

fn assets(list: Vec<raw::Asset>) -> Result<Assets, PolicyError> {
    let top = At::top("assets");
    top.some(&list)?;
    let (mut assets, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for (index, raw::Asset { id, symbol, chain, contract, decimals }) in
        list.into_iter().enumerate()
    {
        let at = top.item(index);
        let printable =
            (1..=16).contains(&symbol.len()) && symbol.bytes().all(|b| b.is_ascii_graphic());
        at.field("symbol").require(printable, "1 to 16 printable ASCII characters")?;
        at.field("chain").require(chain != 0, "a chain id above zero")?;
        let pseudo = [Address::ZERO, NATIVE_PSEUDO_CONTRACT];
        at.field("contract").require(
            contract.is_none_or(|EvmAddress(address)| !pseudo.contains(&address)),
            "a token's contract, and no contract for the native asset",
        )?;
        at.field("decimals").require(decimals <= MAX_DECIMALS, "at most 77")?;
        let asset = AssetRef { chain, contract };
        let new = assets.insert(asset, Asset { asset, symbol, decimals }).is_none();
        at.require(new, "an asset whose chain and contract no other has")?;
        let new = ids.insert(id, asset).is_none();
        at.field("id").require(new, "an id that no other asset has")?;
    }
    Ok((assets, ids))
}

fn wallets(
    list: Vec<raw::Wallet>,
    principals: &BTreeMap<PrincipalId, Principal>,
    assets: &BTreeMap<Name, AssetRef>,
) -> Result<BTreeMap<WalletId, super::WalletPolicy>, PolicyError> {
    let top = At::top("wallets");
    top.some(&list)?;
    let mut peers = BTreeMap::new();
    for (index, wallet) in list.iter().enumerate() {
        let at = top.item(index).field("id");
        // Rule names begin with the wallet's, or with `policy`.
        at.require(wallet.id.as_str() != "policy", "another name than that of the policy's rules")?;
        let new = peers.insert(wallet.id.clone(), validate_wallet::Peer::of(wallet)).is_none();
        at.require(new, "an id that no other wallet has")?;
    }
    let known = validate_wallet::Known { principals, assets, wallets: &peers };
    let mut wallets = BTreeMap::new();
    for (index, wallet) in list.into_iter().enumerate() {
        let wallet = validate_wallet::wallet(&top.item(index), wallet, &known)?;
        wallets.insert(wallet.id.clone(), wallet);
    }
    Ok(wallets)
}
