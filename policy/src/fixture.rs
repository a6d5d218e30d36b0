//! What the tests of this crate share: a good policy, and a writer of unsigned transactions.
#![allow(clippy::unwrap_used)]

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Bytes, Signature, U256, address};
use serde_json::Value;
use strongroom_shared::id::WalletId;

use crate::document::{Policy, PolicyError, WalletPolicy};
use crate::{Transaction, decode};

pub(crate) const POLICY: &str = include_str!("testdata/policy.json");

pub(crate) const USDT: Address = address!("0xdAC17F958D2ee523a2206206994597C13D831ec7");
pub(crate) const DAI: Address = address!("0x6B175474E89094C44Da98b954EedeAC495271d0F");
/// Where the test's own `Destinations` say that `hot-eth` is.
pub(crate) const HOT: Address = address!("0x4444444444444444444444444444444444444444");
/// The address that `hot-eth` may refill.
pub(crate) const LISTED: Address = address!("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed");
pub(crate) const STRANGER: Address = address!("0x9999999999999999999999999999999999999999");

pub(crate) fn parse_with(change: impl FnOnce(&mut Value)) -> Result<Policy, PolicyError> {
    let mut document: Value = serde_json::from_str(POLICY).unwrap();
    change(&mut document);
    Policy::parse(&serde_json::to_vec(&document).unwrap())
}

pub(crate) fn policy() -> Policy {
    Policy::parse(POLICY.as_bytes()).unwrap()
}

/// The same policy in the ceremony that makes its first DEK: nothing is pinned yet.
pub(crate) fn make_provisioning(document: &mut Value) {
    let top = document.as_object_mut().unwrap();
    top.remove("dek_ids");
    top.insert("provisioning".into(), true.into());
    for wallet in top.get_mut("wallets").unwrap().as_array_mut().unwrap() {
        wallet.as_object_mut().unwrap().remove("fingerprint");
    }
}

pub(crate) fn wallet<'a>(policy: &'a Policy, id: &str) -> &'a WalletPolicy {
    policy.wallet(&WalletId::parse(id).unwrap()).unwrap()
}

/// One wei to `HOT` on chain 1, within all caps of both wallets.
pub(crate) fn native() -> TxEip1559 {
    TxEip1559 {
        chain_id: 1,
        nonce: 7,
        gas_limit: 21_000,
        max_fee_per_gas: 30_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: HOT.into(),
        value: U256::ONE,
        ..TxEip1559::default()
    }
}

/// `amount` of `token` to `to` on chain 1, within all caps of both wallets.
pub(crate) fn token(token: Address, to: Address, amount: u64) -> TxEip1559 {
    let input = transfer(to, amount).into();
    TxEip1559 { to: token.into(), value: U256::ZERO, gas_limit: 65_000, input, ..native() }
}

/// The calldata of `transfer(to, amount)`.
pub(crate) fn transfer(to: Address, amount: u64) -> Vec<u8> {
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend([0; 12]);
    input.extend(to);
    input.extend(U256::from(amount).to_be_bytes::<32>());
    input
}

pub(crate) fn with_input(tx: TxEip1559, input: impl Into<Bytes>) -> TxEip1559 {
    TxEip1559 { input: input.into(), ..tx }
}

pub(crate) fn decoded(tx: &impl SignableTransaction<Signature>) -> Transaction {
    decode(&tx.encoded_for_signing()).unwrap()
}
