#![allow(clippy::unwrap_used)]

use alloy_consensus::{TxEip1559, TxEip2930, TxLegacy};
use alloy_primitives::{Address, TxKind, U256, uint};
use serde_json::json;

use super::*;
use crate::fixture::{self, DAI, HOT, LISTED, STRANGER, USDT, decoded, native, token};

/// Wallets that are open, and where.
struct Open(&'static [(&'static str, Address)]);

impl Destinations for Open {
    fn wallet_addresses(&self, wallet: &WalletId) -> Option<Vec<EvmAddress>> {
        let mut open = self.0.iter().filter(|(id, _)| *id == wallet.as_str()).peekable();
        open.peek()?;
        Some(open.map(|(_, address)| EvmAddress(*address)).collect())
    }
}

const OPEN: Open = Open(&[("hot-eth", HOT)]);

/// A question that is allowed as it stands; each test changes one thing.
struct Case {
    policy: Policy,
    wallet: &'static str,
    path: HdPath,
    digest: Digest,
    transaction: Transaction,
    open: Open,
    now: UtcSeconds,
}

fn case(policy: Policy, wallet: &'static str, transaction: Transaction) -> Case {
    let now = UtcSeconds::parse("2026-11-21T10:00:00Z").unwrap();
    Case {
        digest: *policy.digest(),
        policy,
        wallet,
        path: HdPath::parse("m/44'/60'/0'/0/0").unwrap(),
        transaction,
        open: OPEN,
        now,
    }
}

fn sweep(tx: &TxEip1559) -> Case {
    case(fixture::policy(), "deposits-eth", decoded(tx))
}

fn withdraw(tx: &TxEip1559) -> Case {
    case(fixture::policy(), "hot-eth", decoded(tx))
}

impl Case {
    fn ask_about(&self, effects: &[Effect]) -> Verdict {
        evaluate(
            &self.policy,
            &Question {
                wallet: fixture::wallet(&self.policy, self.wallet),
                path: &self.path,
                policy_digest: &self.digest,
                transaction: &self.transaction,
                effects,
                destinations: &self.open,
                now: self.now,
            },
        )
    }

    fn ask(&self) -> Verdict {
        self.ask_about(&effects(&self.policy, &self.transaction).unwrap_or_default())
    }

    /// The rules that passed, without the wallet's name.
    #[track_caller]
    fn allowed(&self) -> Vec<String> {
        match self.ask() {
            Verdict::Allowed { rules } => {
                let prefix = format!("{}/", self.wallet);
                rules.iter().map(|rule| rule.as_str().replace(&prefix, "")).collect()
            }
            Verdict::Denied(denial) => panic!("denied: {denial}"),
            Verdict::Unresolved => panic!("unresolved"),
        }
    }

    #[track_caller]
    fn denied(&self, code: Code, rule: &str) -> String {
        match self.ask() {
            Verdict::Allowed { rules } => panic!("allowed by {rules:?}, expected {rule}"),
            Verdict::Unresolved => panic!("unresolved, expected {rule}"),
            Verdict::Denied(denial) => {
                assert_eq!((denial.code, denial.rule.as_str()), (code, rule), "{denial}");
                denial.detail
            }
        }
    }
}

#[test]
fn every_rule_is_asked() {
    assert_eq!(
        sweep(&native()).allowed(),
        [
            "policy/digest",
            "policy/not-after",
            "pinned",
            "paths",
            "chains",
            "calldata",
            "transfers/sweep",
            "fees/gas-limit",
            "fees/per-gas",
            "fees/total",
        ]
    );
}

#[test]
fn another_policy_is_another() {
    let mut case = sweep(&native());
    case.digest = Digest::of(b"another");
    case.denied(Code::PolicyMismatch, "policy/digest");
}

#[test]
fn a_policy_ends() {
    let mut case = sweep(&native());
    case.now = case.policy.not_after();
    case.allowed();
    case.now = UtcSeconds::new(case.now.seconds() + 1);
    case.denied(Code::PolicyExpired, "policy/not-after");
}

#[test]
fn a_wallet_signs_at_its_paths() {
    for (wallet, tx, path, allowed) in [
        ("deposits-eth", native(), "m/44'/60'/0'/0/2147483647", true),
        ("deposits-eth", native(), "m/44'/60'/0'/0/0'", false),
        ("deposits-eth", native(), "m/44'/60'/0'/1/0", false),
        ("deposits-eth", native(), "m/44'/60'/1'/0/0", false),
        ("hot-eth", token(USDT, STRANGER, 1), "m/44'/60'/0'/0/0", true),
        ("hot-eth", token(USDT, STRANGER, 1), "m/44'/60'/0'/0/1", false),
    ] {
        let mut case = case(fixture::policy(), wallet, decoded(&tx));
        case.path = HdPath::parse(path).unwrap();
        if allowed {
            case.allowed();
        } else {
            case.denied(Code::PathDenied, &format!("{wallet}/paths"));
        }
    }
}

#[test]
fn a_wallet_signs_for_its_chains() {
    sweep(&TxEip1559 { chain_id: 31337, ..token(USDT, HOT, 1) }).allowed();
    let elsewhere = TxEip1559 { chain_id: 31337, ..token(USDT, STRANGER, 1) };
    withdraw(&elsewhere).denied(Code::ChainDenied, "hot-eth/chains");
    // a chain that has an asset in the policy, and one that has none
    for chain_id in [10, 2] {
        let tx = TxEip1559 { chain_id, ..native() };
        sweep(&tx).denied(Code::ChainDenied, "deposits-eth/chains");
    }
}

#[test]
fn each_type_of_transaction_is_judged_alike() {
    let legacy = |gas_limit| TxLegacy {
        chain_id: Some(1),
        gas_price: 1,
        gas_limit,
        to: HOT.into(),
        value: U256::ONE,
        ..TxLegacy::default()
    };
    let eip2930 = |gas_limit| TxEip2930 {
        chain_id: 1,
        gas_price: 1,
        gas_limit,
        to: HOT.into(),
        value: U256::ONE,
        ..TxEip2930::default()
    };
    let ask = |transaction| case(fixture::policy(), "deposits-eth", transaction);
    for allowed in [decoded(&legacy(200_000)), decoded(&eip2930(200_000))] {
        ask(allowed).allowed();
    }
    for denied in [decoded(&legacy(200_001)), decoded(&eip2930(200_001))] {
        ask(denied).denied(Code::GasLimitExceeded, "deposits-eth/fees/gas-limit");
    }
}

#[test]
fn what_is_unreadable_is_denied_after_what_comes_before_it() {
    let approve = fixture::with_input(native(), [0x09, 0x5e, 0xa7, 0xb3]);
    sweep(&approve).denied(Code::CalldataDenied, "deposits-eth/calldata");
    let create = TxEip1559 { to: TxKind::Create, ..native() };
    sweep(&create).denied(Code::ContractCreationDenied, "deposits-eth/calldata");
    let elsewhere = TxEip1559 { chain_id: 2, ..token(USDT, HOT, 1) };
    sweep(&elsewhere).denied(Code::ChainDenied, "deposits-eth/chains");
    let mut other_policy = sweep(&approve);
    other_policy.digest = Digest::of(b"another");
    other_policy.denied(Code::PolicyMismatch, "policy/digest");
}

/// A verdict never rests on effects that are not the transaction's.
#[test]
fn the_effects_are_those_of_the_transaction() {
    let case = sweep(&TxEip1559 { to: STRANGER.into(), ..native() });
    let own = effects(&case.policy, &case.transaction).unwrap();
    let another = effects(&case.policy, &decoded(&native())).unwrap();
    for effects in [&[][..], &another, own.get(1..).unwrap()] {
        let Verdict::Denied(denial) = case.ask_about(effects) else { panic!("allowed") };
        assert_eq!(denial.code, Code::CalldataDenied);
        assert_eq!(denial.rule.as_str(), "deposits-eth/calldata");
    }
}

#[test]
fn a_deposit_wallet_pays_the_hot_wallet_only() {
    sweep(&native()).allowed();
    sweep(&token(USDT, HOT, 1)).allowed();
    for tx in [
        TxEip1559 { to: STRANGER.into(), ..native() },
        TxEip1559 { to: USDT.into(), ..native() },
        TxEip1559 { to: Address::ZERO.into(), ..native() },
        // the address that another wallet may pay
        TxEip1559 { to: LISTED.into(), ..native() },
        token(USDT, STRANGER, 1),
        // the contract itself is no recipient
        token(USDT, USDT, 1),
    ] {
        sweep(&tx).denied(Code::DestinationDenied, "deposits-eth/transfers");
    }
}

#[test]
fn an_asset_goes_where_its_own_rule_says() {
    let to = |to: Address| TxEip1559 { to: to.into(), ..native() };
    assert!(withdraw(&token(USDT, STRANGER, 1)).allowed().contains(&"transfers/withdraw".into()));
    for allowed in [to(LISTED), to(HOT)] {
        assert!(withdraw(&allowed).allowed().contains(&"transfers/refill".into()));
    }
    withdraw(&to(STRANGER)).denied(Code::DestinationDenied, "hot-eth/transfers");
    // a token that the policy knows, and no rule of the wallet has
    withdraw(&token(DAI, STRANGER, 1)).denied(Code::AssetDenied, "hot-eth/transfers");
    sweep(&token(DAI, HOT, 1)).denied(Code::AssetDenied, "deposits-eth/transfers");
    // the native asset of a chain of the wallet that stands in no rule
    let native = TxEip1559 { chain_id: 31337, ..native() };
    sweep(&native).denied(Code::AssetDenied, "deposits-eth/transfers");
}

#[test]
fn a_wallet_that_is_not_open_is_undecided_and_no_denial() {
    let mut case = sweep(&native());
    case.open = Open(&[("deposits-eth", HOT)]);
    assert_eq!(case.ask(), Verdict::Unresolved);
    case.open = Open(&[("hot-eth", STRANGER)]);
    case.denied(Code::DestinationDenied, "deposits-eth/transfers");
    case.open = Open(&[("hot-eth", STRANGER), ("hot-eth", HOT)]);
    case.allowed();
    // What another rule says does not wait for it, and what a rule before says neither.
    case.open = Open(&[]);
    case.digest = Digest::of(b"another");
    case.denied(Code::PolicyMismatch, "policy/digest");
    let mut listed = withdraw(&TxEip1559 { to: LISTED.into(), ..native() });
    listed.open = Open(&[]);
    listed.allowed();
}

#[test]
fn outside_of_provisioning_wallets_are_pinned() {
    let unpinned = |index: usize| {
        fixture::parse_with(|document| {
            document["wallets"][index].as_object_mut().unwrap().remove("fingerprint");
        })
        .unwrap()
    };
    let tx = decoded(&native());
    let sender = case(unpinned(0), "deposits-eth", tx.clone());
    sender.denied(Code::WalletNotPinned, "deposits-eth/pinned");
    // open, and at that address; yet nobody has said that it is the one
    let destination = case(unpinned(1), "deposits-eth", tx.clone());
    destination.denied(Code::DestinationDenied, "deposits-eth/transfers");
    let provisioning = fixture::parse_with(fixture::make_provisioning).unwrap();
    case(provisioning, "deposits-eth", tx).allowed();
}

#[test]
fn fees_are_capped_three_ways() {
    // caps: 200,000 gas; 500 gwei; 0.02 ether
    let ask = |gas_limit, max_fee_per_gas| {
        sweep(&TxEip1559 { gas_limit, max_fee_per_gas, max_priority_fee_per_gas: 0, ..native() })
    };
    ask(200_000, 100_000_000_000).allowed();
    ask(200_001, 1).denied(Code::GasLimitExceeded, "deposits-eth/fees/gas-limit");
    ask(u64::MAX, 1).denied(Code::GasLimitExceeded, "deposits-eth/fees/gas-limit");
    ask(40_000, 500_000_000_000).allowed();
    ask(40_000, 500_000_000_001).denied(Code::FeePerGasExceeded, "deposits-eth/fees/per-gas");
    ask(1, u128::MAX).denied(Code::FeePerGasExceeded, "deposits-eth/fees/per-gas");
    ask(200_000, 100_000_000_001).denied(Code::FeeExceeded, "deposits-eth/fees/total");
    ask(40_001, 500_000_000_000).denied(Code::FeeExceeded, "deposits-eth/fees/total");
}

#[test]
fn a_fee_cap_holds_to_the_last_wei() {
    let capped = |max_fee: U256| {
        fixture::parse_with(|document| {
            document["wallets"][0]["fees"][0]["max_fee"] = json!(max_fee.to_string());
        })
        .unwrap()
    };
    let fee = uint!(630_000_000_000_000_U256);
    let tx = decoded(&native());
    case(capped(fee), "deposits-eth", tx.clone()).allowed();
    let denied = case(capped(fee - uint!(1_U256)), "deposits-eth", tx);
    denied.denied(Code::FeeExceeded, "deposits-eth/fees/total");
}

#[test]
fn caps_are_those_of_the_chain() {
    let policy = fixture::parse_with(|document| {
        document["wallets"][0]["fees"][1]["max_gas_limit"] = json!(65_000);
    });
    let on_test_chain = |gas_limit| {
        let tx = TxEip1559 { chain_id: 31337, gas_limit, ..token(USDT, HOT, 1) };
        case(policy.clone().unwrap(), "deposits-eth", decoded(&tx))
    };
    on_test_chain(65_000).allowed();
    on_test_chain(65_001).denied(Code::GasLimitExceeded, "deposits-eth/fees/gas-limit");
    sweep(&TxEip1559 { gas_limit: 65_001, ..token(USDT, HOT, 1) }).allowed();
}
