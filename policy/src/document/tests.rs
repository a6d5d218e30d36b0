#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::fixture::{POLICY, make_provisioning, parse_with, policy, wallet};

fn pairs<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.collect()
}

#[test]
fn a_good_document_says_what_it_says() {
    let policy = policy();
    assert_eq!(*policy.digest(), Digest::of(POLICY.as_bytes()));
    assert_eq!(policy.sequence(), 2);
    assert_eq!(policy.previous(), Some(&Digest::from_bytes([0x11; 32])));
    assert_eq!(policy.not_after().to_string(), "2027-11-21T00:00:00Z");
    let ids = BTreeSet::from([DekId::from_bytes([0x22; 32])]);
    assert_eq!(*policy.dek_rule(), DekRule::Listed(ids));

    let sweep = PrincipalId::parse("sweep-engine").unwrap();
    let withdraw = PrincipalId::parse("withdraw-engine").unwrap();
    assert_eq!(policy.principal(&sweep).unwrap().role(), Role::Engine);
    assert_eq!(*policy.principal(&sweep).unwrap().key(), PublicKey::ed25519([1; 32]));
    assert_eq!(policy.principals().count(), 4);

    let deposits = wallet(&policy, "deposits-eth");
    assert_eq!((deposits.tier(), deposits.tier().as_str()), (Tier::Deposit, "deposit"));
    assert_eq!(deposits.fingerprint(), Some(&Digest::from_bytes([0x33; 32])));
    assert!(deposits.is_caller(&sweep) && !deposits.is_caller(&withdraw));
    assert_eq!(pairs(deposits.callers()), [&sweep]);
    assert_eq!(pairs(deposits.chains()), [1, 31337]);
    assert_eq!(deposits.fixed_paths().count(), 0);
    assert_eq!(deposits.max_intent_seconds(), 3600);
    let hot = wallet(&policy, "hot-eth");
    assert_eq!((hot.tier(), hot.tier().as_str()), (Tier::Hot, "hot"));
    let paths = hot.fixed_paths().map(|path| path.to_string());
    assert_eq!(pairs(paths), ["m/44'/60'/0'/0/0"]);
    assert_eq!(
        pairs(policy.wallets().map(|wallet| wallet.id().as_str())),
        ["deposits-eth", "hot-eth"]
    );
    let decimals = policy.assets().map(|asset| (asset.symbol(), asset.decimals()));
    assert_eq!(pairs(decimals), [("ETH", 18), ("DAI", 18), ("USDT", 6), ("ETH", 18), ("USDT", 6)]);
}

#[test]
fn provisioning_needs_no_fingerprint() {
    let policy = parse_with(make_provisioning).unwrap();
    assert_eq!(*policy.dek_rule(), DekRule::Provisioning);
    assert!(policy.wallets().all(|wallet| policy.is_usable(wallet)));
    let unpinned = parse_with(|document| {
        document["wallets"][1].as_object_mut().unwrap().remove("fingerprint");
    });
    let unpinned = unpinned.unwrap();
    assert!(unpinned.is_usable(wallet(&unpinned, "deposits-eth")));
    assert!(!unpinned.is_usable(wallet(&unpinned, "hot-eth")));
}

#[test]
fn the_first_document_has_none_before_it() {
    let first = parse_with(|document| {
        document["sequence"] = 1.into();
        document["previous"] = Value::Null;
    });
    assert_eq!(first.unwrap().previous(), None);
}

/// Sets the value at a JSON pointer; one item past the end of a list appends.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(list) => match last.parse::<usize>().unwrap() {
            index if index == list.len() => list.push(value),
            index => list[index] = value,
        },
        Value::Object(object) => drop(object.insert(last.to_owned(), value)),
        _ => unreachable!("{pointer} is in a list or an object"),
    }
}

/// One change each to a good document: what is set where, and the error without `policy: `.
#[test]
fn each_refusal_names_its_place() {
    const BEFORE: &str = "expected an item that does not stand in the list before";
    const SOME: &str = "expected at least one item";
    const HOT: &str = "expected a wallet of tier hot, since a deposit wallet pays no other";
    let zero = "0x0000000000000000000000000000000000000000";
    let pseudo = "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
    let address = json!({"address": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"});
    let asset =
        |id: &str, chain: u64| json!({"id": id, "symbol": "X", "chain": chain, "decimals": 0});
    let caps = |chain: u64| json!({"chain": chain, "max_gas_limit": 1, "max_fee_per_gas": "1", "max_fee": "1"});
    let key = |byte: u8| json!(PublicKey::ed25519([byte; 32]));
    let principal = |id: &str, byte| json!({"id": id, "role": "engine", "key": key(byte)});
    let wallet = |index: usize| {
        let document: Value = serde_json::from_str(POLICY).unwrap();
        document["wallets"][index].clone()
    };
    let mut named_policy = wallet(1);
    named_policy["id"] = json!("policy");
    let cases = [
        ("/sequence", json!(0), "sequence: expected 1 or more".into()),
        ("/sequence", json!(1), "previous: expected null where sequence is 1, and the digest of the policy before where it is more".into()),
        ("/previous", json!(null), "previous: expected null where sequence is 1, and the digest of the policy before where it is more".into()),
        ("/provisioning", json!(true), "provisioning: expected no provisioning beside dek_ids".into()),
        ("/provisioning", json!(false), "provisioning: expected no provisioning beside dek_ids".into()),
        ("/dek_ids", json!([]), format!("dek_ids: {SOME}")),
        ("/dek_ids/1", json!("22".repeat(32)), format!("dek_ids[1]: {BEFORE}")),
        ("/principals", json!([]), format!("principals: {SOME}")),
        ("/principals/4", principal("risk", 9), "principals[4].id: expected an id that no other principal has".into()),
        ("/principals/4", principal("rule", 3), "principals[4].key: expected a public key that no other principal has".into()),
        ("/assets", json!([]), format!("assets: {SOME}")),
        ("/assets/5", asset("eth-1", 5), "assets[5].id: expected an id that no other asset has".into()),
        ("/assets/5", asset("ether-1", 1), "assets[5]: expected an asset whose chain and contract no other has".into()),
        ("/assets/2/contract", json!("0xdac17f958d2ee523a2206206994597c13d831ec7"), "assets[2]: expected an asset whose chain and contract no other has".into()),
        ("/assets/5", asset("x", 0), "assets[5].chain: expected a chain id above zero".into()),
        ("/assets/0/contract", json!(zero), "assets[0].contract: expected a token's contract, and no contract for the native asset".into()),
        ("/assets/0/contract", json!(pseudo), "assets[0].contract: expected a token's contract, and no contract for the native asset".into()),
        ("/assets/0/symbol", json!(""), "assets[0].symbol: expected 1 to 16 printable ASCII characters".into()),
        ("/assets/0/symbol", json!("ETHEREUM-ETHEREUM"), "assets[0].symbol: expected 1 to 16 printable ASCII characters".into()),
        ("/assets/0/symbol", json!("E\nTH"), "assets[0].symbol: expected 1 to 16 printable ASCII characters".into()),
        ("/assets/0/decimals", json!(78), "assets[0].decimals: expected at most 77".into()),
        ("/wallets", json!([]), format!("wallets: {SOME}")),
        ("/wallets/2", wallet(1), "wallets[2].id: expected an id that no other wallet has".into()),
        ("/wallets/2", named_policy, "wallets[2].id: expected another name than that of the policy's rules".into()),
        ("/wallets/0/callers", json!([]), format!("wallets[0].callers: {SOME}")),
        ("/wallets/0/callers/1", json!("sweep-engine"), format!("wallets[0].callers[1]: {BEFORE}")),
        ("/wallets/0/callers/1", json!("nobody"), "wallets[0].callers[1]: expected the id of a principal".into()),
        ("/wallets/0/callers/1", json!("risk"), "wallets[0].callers[1]: expected a principal of role engine".into()),
        ("/wallets/0/callers/1", json!("treasurer"), "wallets[0].callers[1]: expected a principal of role engine".into()),
        ("/wallets/0/chains", json!([]), format!("wallets[0].chains: {SOME}")),
        ("/wallets/0/chains/2", json!(1), format!("wallets[0].chains[2]: {BEFORE}")),
        ("/wallets/0/chains/2", json!(0), "wallets[0].chains[2]: expected a chain id above zero".into()),
        ("/wallets/0/chains/2", json!(10), "wallets[0].fees: expected caps for each chain of the wallet".into()),
        ("/wallets/0/paths", json!([]), format!("wallets[0].paths: {SOME}")),
        ("/wallets/0/paths/1", json!("m/44'/60'/0'/0/*"), format!("wallets[0].paths[1]: {BEFORE}")),
        ("/wallets/0/max_intent_seconds", json!(0), "wallets[0].max_intent_seconds: expected 1 or more".into()),
        ("/wallets/0/transfers", json!([]), format!("wallets[0].transfers: {SOME}")),
        ("/wallets/0/transfers/1", wallet(0)["transfers"][0].clone(), "wallets[0].transfers[1].id: expected an id that no other transfer of the wallet has".into()),
        ("/wallets/0/transfers/0/assets", json!([]), format!("wallets[0].transfers[0].assets: {SOME}")),
        ("/wallets/0/transfers/0/assets/3", json!("eth-1"), format!("wallets[0].transfers[0].assets[3]: {BEFORE}")),
        ("/wallets/0/transfers/0/assets/3", json!("btc"), "wallets[0].transfers[0].assets[3]: expected the id of an asset".into()),
        ("/wallets/0/transfers/0/assets/3", json!("eth-10"), "wallets[0].transfers[0].assets[3]: expected an asset on a chain of the wallet".into()),
        ("/wallets/0/transfers/0/to", json!([]), format!("wallets[0].transfers[0].to: {SOME}")),
        ("/wallets/0/transfers/0/to/1", json!("any"), format!("wallets[0].transfers[0].to[1]: {HOT}")),
        ("/wallets/0/transfers/0/to/1", address.clone(), format!("wallets[0].transfers[0].to[1]: {HOT}")),
        ("/wallets/0/transfers/0/to/1", json!({"wallet": "deposits-eth"}), format!("wallets[0].transfers[0].to[1].wallet: {HOT}")),
        ("/wallets/0/transfers/0/to/1", json!({"wallet": "hot-eth"}), format!("wallets[0].transfers[0].to[1]: {BEFORE}")),
        ("/wallets/0/transfers/0/to/1", json!({"wallet": "nothing"}), "wallets[0].transfers[0].to[1].wallet: expected the id of a wallet".into()),
        ("/wallets/1/transfers/1/to/2", json!({"wallet": "deposits-eth"}), "wallets[1].transfers[1].to[2].wallet: expected a wallet without * in its paths".into()),
        ("/wallets/1/transfers/1/to/2", json!("any"), "wallets[1].transfers[1].to: expected nothing beside any".into()),
        ("/wallets/1/transfers/1/to/2", address, format!("wallets[1].transfers[1].to[2]: {BEFORE}")),
        ("/wallets/1/paths/1", json!("m/44'/60'/0'/0/*"), "wallets[0].transfers[0].to[0].wallet: expected a wallet without * in its paths".into()),
        ("/wallets/1/tier", json!("deposit"), "wallets[0].transfers[0].to[0].wallet: expected a wallet of tier hot, since a deposit wallet pays no other".into()),
        ("/wallets/0/fees", json!([]), "wallets[0].fees: expected caps for each chain of the wallet".into()),
        ("/wallets/0/fees/1", caps(1), "wallets[0].fees[1].chain: expected a chain that has no caps before".into()),
        ("/wallets/0/fees/2", caps(31337), "wallets[0].fees[2].chain: expected a chain that has no caps before".into()),
        ("/wallets/0/fees/2", caps(10), "wallets[0].fees[2].chain: expected a chain of the wallet".into()),
        ("/wallets/0/fees/1/max_gas_limit", json!(0), "wallets[0].fees[1].max_gas_limit: expected more than 0".into()),
        ("/wallets/0/fees/1/max_fee_per_gas", json!("0"), "wallets[0].fees[1].max_fee_per_gas: expected more than 0".into()),
        ("/wallets/0/fees/1/max_fee", json!("0"), "wallets[0].fees[1].max_fee: expected more than 0".into()),
    ];
    for (pointer, value, expected) in cases {
        let error = parse_with(|document| set(document, pointer, value.clone()));
        let error = error.expect_err(pointer).to_string();
        assert_eq!(error, format!("policy: {expected}"), "{pointer} = {value}");
    }
}

#[test]
fn the_dek_rule_is_said_once() {
    let neither = parse_with(|document| drop(document.as_object_mut().unwrap().remove("dek_ids")));
    let expected = "policy: dek_ids: expected a list of DEK ids, or provisioning: true";
    assert_eq!(neither.unwrap_err().to_string(), expected);
    let not = parse_with(|document| {
        make_provisioning(document);
        document["provisioning"] = json!(false);
    });
    let expected = "policy: provisioning: expected true, or dek_ids and no provisioning";
    assert_eq!(not.unwrap_err().to_string(), expected);
}

/// What does not even have the shape: the place, and never the value.
#[test]
fn each_field_has_one_shape() {
    for (pointer, value, place) in [
        ("/version", json!(2), "version"),
        ("/SECRET", json!(1), ""),
        ("/not_after", json!("2027-11-21T00:00:00+00:00"), "not_after"),
        ("/not_after", json!("2027-11-21T01:00:00+01:00"), "not_after"),
        ("/not_after", json!("2027-11-21"), "not_after"),
        ("/sequence", json!(-1), "sequence"),
        ("/previous", json!("SECRET"), "previous"),
        ("/provisioning", json!(null), "provisioning"),
        ("/dek_ids", json!(null), "dek_ids"),
        ("/dek_ids/0", json!("AA".repeat(32)), "dek_ids[0]"),
        ("/principals/0/role", json!("SECRET"), "principals[0].role"),
        ("/principals/0/key/public", json!("AQE="), "principals[0].key"),
        ("/principals/0/key/type", json!("rsa"), "principals[0].key"),
        ("/assets/1/contract", json!(null), "assets[1].contract"),
        (
            "/assets/1/contract",
            json!("0xdAC17F958D2ee523a2206206994597C13D831eC7"),
            "assets[1].contract",
        ),
        ("/assets/0/id", json!("ETH"), "assets[0].id"),
        ("/assets/0/id", json!("a".repeat(49)), "assets[0].id"),
        ("/assets/0/decimals", json!(256), "assets[0].decimals"),
        ("/assets/0/SECRET", json!(1), ""),
        ("/wallets/0/tier", json!("SECRET"), "wallets[0].tier"),
        ("/wallets/0/fingerprint", json!(null), "wallets[0].fingerprint"),
        ("/wallets/0/paths/0", json!("m/44'/60'/0'/*/0"), "wallets[0].paths[0]"),
        ("/wallets/0/paths/0", json!("m/44'/60'/0'/0/0'"), "wallets[0].paths[0]"),
        ("/wallets/0/SECRET", json!(1), ""),
        ("/wallets/0/transfers/0/id", json!("a/b"), "wallets[0].transfers[0].id"),
        ("/wallets/0/transfers/0/id", json!(""), "wallets[0].transfers[0].id"),
        ("/wallets/0/transfers/0/to/0", json!("SECRET"), "wallets[0].transfers[0].to[0]"),
        (
            "/wallets/0/transfers/0/to/0",
            json!({"wallet": "hot-eth", "address": "0x"}),
            "wallets[0].transfers[0].to[0]",
        ),
        ("/wallets/0/transfers/0/SECRET", json!(1), ""),
        ("/wallets/0/fees/0/max_fee", json!(1), "wallets[0].fees[0].max_fee"),
        ("/wallets/0/fees/0/max_fee", json!("1e18"), "wallets[0].fees[0].max_fee"),
        ("/wallets/0/fees/0/SECRET", json!(1), ""),
    ] {
        let error = parse_with(|document| set(document, pointer, value)).expect_err(pointer);
        assert!(matches!(error, PolicyError::Json(_)), "{pointer}: {error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("policy: {place}")), "{pointer}: {text}");
        assert!(!text.contains("SECRET"), "{pointer}: {text}");
    }
}

#[test]
fn a_missing_field_is_named() {
    for (parent, field) in [
        ("", "version"),
        ("", "sequence"),
        ("", "not_after"),
        ("", "principals"),
        ("", "assets"),
        ("", "wallets"),
        ("/wallets/0", "tier"),
        ("/wallets/0", "callers"),
        ("/wallets/0", "chains"),
        ("/wallets/0", "paths"),
        ("/wallets/0", "max_intent_seconds"),
        ("/wallets/0", "transfers"),
        ("/wallets/0", "fees"),
        ("/wallets/0/fees/0", "max_gas_limit"),
        ("/wallets/0/fees/0", "max_fee_per_gas"),
        ("/wallets/0/fees/0", "max_fee"),
        ("/wallets/0/transfers/0", "to"),
    ] {
        let error = parse_with(|document| {
            let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            assert!(parent.remove(field).is_some());
        });
        let text = error.expect_err(field).to_string();
        assert!(text.ends_with(&format!("missing field `{field}`")), "{text}");
    }
}

#[test]
fn the_longest_names_make_rule_names() {
    let (wallet, transfer) = ("w".repeat(64), "t".repeat(48));
    let policy = parse_with(|document| {
        document["wallets"][0]["id"] = json!(wallet);
        document["wallets"][0]["transfers"][0]["id"] = json!(transfer);
    });
    let policy = policy.unwrap();
    let rule = crate::fixture::wallet(&policy, &wallet).transfers()[0].rule().to_string();
    assert_eq!(rule, format!("{wallet}/transfers/{transfer}"));
}
