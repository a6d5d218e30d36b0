//! The policy of a development environment.

use serde::Serialize;
use strongroom_shared::digest::Digest;
use strongroom_shared::key::PublicKey;
use strongroom_shared::time::UtcSeconds;

use super::DevError;

/// The principals whose keys an environment has, with their roles in the policy. Policy admins stand
/// in the measured configuration instead, so that no policy names its own judges.
pub(super) const PRINCIPALS: [(&str, &str); 5] = [
    ("sweep-engine", "engine"),
    ("withdraw-engine", "engine"),
    ("rule", "decision"),
    ("risk", "decision"),
    ("compliance", "decision"),
];

/// Mainnet, and the chain id of local development nodes.
const CHAINS: [u64; 2] = [1, 31337];
const USDT: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
const ASSETS: [Asset; 4] = [
    Asset { id: "eth-1", symbol: "ETH", chain: 1, contract: None, decimals: 18 },
    Asset { id: "usdt-1", symbol: "USDT", chain: 1, contract: Some(USDT), decimals: 6 },
    Asset { id: "eth-31337", symbol: "ETH", chain: 31337, contract: None, decimals: 18 },
    Asset { id: "usdt-31337", symbol: "USDT", chain: 31337, contract: Some(USDT), decimals: 6 },
];
const DAY_SECONDS: u64 = 86_400;

#[derive(Serialize)]
struct Document<'a> {
    version: u8,
    sequence: u64,
    previous: Option<Digest>,
    not_after: UtcSeconds,
    provisioning: bool,
    principals: Vec<Principal<'a>>,
    assets: [Asset; 4],
    wallets: [Wallet; 2],
}

#[derive(Serialize)]
struct Principal<'a> {
    id: &'a str,
    role: &'a str,
    key: &'a PublicKey,
}

#[derive(Serialize)]
struct Asset {
    id: &'static str,
    symbol: &'static str,
    chain: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<&'static str>,
    decimals: u8,
}

#[derive(Serialize)]
struct Wallet {
    id: &'static str,
    tier: &'static str,
    callers: [&'static str; 1],
    chains: [u64; 2],
    paths: [&'static str; 1],
    max_intent_seconds: u64,
    transfers: [Transfer; 1],
    fees: [Fee; 2],
}

#[derive(Serialize)]
struct Transfer {
    id: &'static str,
    assets: [&'static str; 4],
    to: [Payee; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Payee {
    Wallet(&'static str),
    Any,
}

#[derive(Serialize)]
struct Fee {
    chain: u64,
    max_gas_limit: u64,
    max_fee_per_gas: &'static str,
    max_fee: &'static str,
}

/// The policy's exact bytes: deposit addresses pay the hot wallet only, the hot wallet pays anyone.
pub(super) fn document(keys: &[(&str, PublicKey)], now: UtcSeconds) -> Result<Vec<u8>, DevError> {
    let key_of = |id: &str| keys.iter().find(|(name, _)| *name == id).map(|(_, key)| key);
    let deposits = transfer("sweep", Payee::Wallet("hot-eth"));
    let withdrawals = transfer("withdraw", Payee::Any);
    let policy = Document {
        version: 1,
        sequence: 1,
        previous: None,
        not_after: UtcSeconds::new(now.seconds().saturating_add(365 * DAY_SECONDS)),
        provisioning: true,
        principals: PRINCIPALS
            .iter()
            .filter_map(|(id, role)| Some(Principal { id, role, key: key_of(id)? }))
            .collect(),
        assets: ASSETS,
        wallets: [
            wallet("deposits-eth", "deposit", "sweep-engine", "m/44'/60'/0'/0/*", deposits),
            wallet("hot-eth", "hot", "withdraw-engine", "m/44'/60'/0'/0/0", withdrawals),
        ],
    };
    super::pretty("policy.json", &policy)
}

fn transfer(id: &'static str, to: Payee) -> Transfer {
    Transfer { id, assets: ASSETS.map(|asset| asset.id), to: [to] }
}

fn wallet(
    id: &'static str,
    tier: &'static str,
    caller: &'static str,
    path: &'static str,
    transfer: Transfer,
) -> Wallet {
    Wallet {
        id,
        tier,
        callers: [caller],
        chains: CHAINS,
        paths: [path],
        max_intent_seconds: DAY_SECONDS,
        transfers: [transfer],
        // 500,000 gas, 1,000 gwei each, and together never more than 0.1 ether
        fees: CHAINS.map(|chain| Fee {
            chain,
            max_gas_limit: 500_000,
            max_fee_per_gas: "1000000000000",
            max_fee: "100000000000000000",
        }),
    }
}

/// A policy for tests.
#[cfg(test)]
pub(crate) fn example() -> Vec<u8> {
    let key =
        |seed| crate::key::SigningKey::of_seed(seed).public().unwrap_or_else(|_| unreachable!());
    let keys: Vec<_> = PRINCIPALS.iter().zip(1..).map(|((id, _), seed)| (*id, key(seed))).collect();
    document(&keys, UtcSeconds::new(1_795_255_200)).unwrap_or_default()
}
