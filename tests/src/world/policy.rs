//! The policy that a world begins with.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::expires_in;
use crate::principal::Principal;
use crate::transaction::USDT;

/// A hot wallet that pays anybody, and deposits that pay the hot wallet.
pub(super) fn of(principals: &BTreeMap<&'static str, Principal>) -> Value {
    let entry =
        |id: &str, role: &str| json!({"id": id, "role": role, "key": principals[id].public()});
    let fees = |chain: u64| {
        json!({
            "chain": chain, "max_gas_limit": 200_000,
            "max_fee_per_gas": "100000000000", "max_fee": "10000000000000000",
        })
    };
    json!({
        "version": 1, "sequence": 1, "previous": null,
        "not_after": expires_in(86_400), "provisioning": true,
        "principals": [
            entry("sweep-engine", "engine"), entry("withdraw-engine", "engine"),
            entry("rule", "decision"), entry("risk", "decision"), entry("compliance", "decision"),
        ],
        "assets": [
            {"id": "eth", "symbol": "ETH", "chain": 1, "decimals": 18},
            {"id": "usdt", "symbol": "USDT", "chain": 1, "contract": USDT, "decimals": 6},
        ],
        "wallets": [
            {
                "id": "deposits-eth", "tier": "deposit", "callers": ["sweep-engine"],
                "chains": [1], "paths": ["m/44'/60'/0'/0/*"], "max_intent_seconds": 3600,
                "transfers": [
                    {"id": "sweep", "assets": ["eth", "usdt"], "to": [{"wallet": "hot-eth"}]},
                ],
                "fees": [fees(1)],
            },
            {
                "id": "hot-eth", "tier": "hot", "callers": ["withdraw-engine"],
                "chains": [1], "paths": ["m/44'/60'/0'/0/0"], "max_intent_seconds": 3600,
                "transfers": [{"id": "withdraw", "assets": ["eth", "usdt"], "to": ["any"]}],
                "fees": [fees(1)],
            },
        ],
    })
}
