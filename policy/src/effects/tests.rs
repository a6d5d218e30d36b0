#![allow(clippy::unwrap_used)]

use alloy_consensus::TxEip1559;
use alloy_primitives::{TxKind, uint};

use super::*;
use crate::fixture::{self, DAI, HOT, STRANGER, USDT, transfer, with_input};

fn of(tx: &TxEip1559) -> Result<Vec<Effect>, Unreadable> {
    effects(&fixture::policy(), &fixture::decoded(tx))
}

fn fee(amount: U256) -> Effect {
    Effect::Fee { asset: AssetRef { chain: 1, contract: None }, amount: Amount(amount) }
}

#[test]
fn native_value() {
    let tx = TxEip1559 { value: U256::MAX, ..fixture::native() };
    let asset = AssetRef { chain: 1, contract: None };
    let transfer = Effect::Transfer { asset, to: EvmAddress(HOT), amount: Amount(U256::MAX) };
    assert_eq!(of(&tx).unwrap(), [transfer, fee(uint!(630_000_000_000_000_U256))]);
}

#[test]
fn a_token_goes_to_the_recipient_and_not_to_the_contract() {
    let asset = AssetRef { chain: 1, contract: Some(EvmAddress(USDT)) };
    let transfer = Effect::Transfer { asset, to: EvmAddress(HOT), amount: Amount(uint!(5_U256)) };
    let effects = of(&fixture::token(USDT, HOT, 5)).unwrap();
    assert_eq!(effects, [transfer, fee(uint!(1_950_000_000_000_000_U256))]);
}

#[test]
fn the_whole_word_is_the_amount() {
    let mut input = transfer(HOT, 0);
    input.splice(36.., [0xff; 32]);
    let effects = of(&with_input(fixture::token(USDT, HOT, 0), input)).unwrap();
    assert!(
        matches!(effects.first(), Some(Effect::Transfer { amount, .. }) if amount.0 == U256::MAX)
    );
}

/// Each byte of the padding, each wrong length, each other function: nothing is guessed.
#[test]
fn what_cannot_be_said_is_unreadable() {
    let token = fixture::token(USDT, HOT, 5);
    let good = transfer(HOT, 5);
    let selector = |selector: [u8; 4]| {
        let mut input = good.clone();
        input.splice(..4, selector);
        with_input(token.clone(), input)
    };
    let mut cases = vec![
        (TxEip1559 { to: TxKind::Create, ..fixture::native() }, Unreadable::ContractCreation),
        (TxEip1559 { to: TxKind::Create, ..token.clone() }, Unreadable::ContractCreation),
        (TxEip1559 { value: U256::ONE, ..token.clone() }, Unreadable::ValueWithToken),
        // a token that is not listed, and one that is listed on another chain only
        (fixture::token(STRANGER, HOT, 5), Unreadable::NotAToken { chain: 1 }),
        (
            TxEip1559 { chain_id: 31337, ..fixture::token(DAI, HOT, 5) },
            Unreadable::NotAToken { chain: 31337 },
        ),
        // calldata to one who is no token
        (with_input(fixture::native(), [0]), Unreadable::NotAToken { chain: 1 }),
        // approve, transferFrom, increaseAllowance, and one bit beside transfer
        (selector([0x09, 0x5e, 0xa7, 0xb3]), Unreadable::Selector),
        (selector([0x23, 0xb8, 0x72, 0xdd]), Unreadable::Selector),
        (selector([0x39, 0x50, 0x93, 0x51]), Unreadable::Selector),
        (selector([0xa9, 0x05, 0x9c, 0xba]), Unreadable::Selector),
    ];
    for length in (1..68).chain([69, 100, 132]) {
        let mut input = good.clone();
        input.resize(length, 0);
        cases.push((with_input(token.clone(), input), Unreadable::Length { found: length }));
    }
    for index in 4..16 {
        for bit in [0x01, 0x80] {
            let mut input = good.clone();
            input.splice(index..=index, [bit]);
            cases.push((with_input(token.clone(), input), Unreadable::AddressTooLarge));
        }
    }
    let policy = fixture::policy();
    for (tx, expected) in cases {
        let unreadable = of(&tx).unwrap_err();
        assert_eq!(unreadable, expected);
        let denial = unreadable.denial(fixture::wallet(&policy, "hot-eth"));
        let code = match expected {
            Unreadable::ContractCreation => Code::ContractCreationDenied,
            _ => Code::CalldataDenied,
        };
        assert_eq!((denial.code, denial.rule.as_str()), (code, "hot-eth/calldata"));
    }
}

#[test]
fn a_token_is_one_on_its_own_chain() {
    let tx = TxEip1559 { chain_id: 31337, ..fixture::token(USDT, HOT, 5) };
    let effects = of(&tx).unwrap();
    let chains = effects.iter().map(|effect| match effect {
        Effect::Transfer { asset, .. } | Effect::Fee { asset, .. } => asset.chain,
    });
    assert!(chains.eq([31337, 31337]));
}
