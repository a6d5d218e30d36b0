//! The document as it is written. Nothing here has been checked but the shape.

use serde::{Deserialize, Deserializer};
use strongroom_shared::digest::Digest;
use strongroom_shared::evm::{Amount, EvmAddress};
use strongroom_shared::id::{DekId, PrincipalId, WalletId};
use strongroom_shared::intent::V1;
use strongroom_shared::key::PublicKey;
use strongroom_shared::time::UtcSeconds;

use super::PathPattern;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) version: V1,
    pub(super) sequence: u64,
    pub(super) previous: Option<Digest>,
    pub(super) not_after: UtcSeconds,
    #[serde(default, deserialize_with = "present")]
    pub(super) provisioning: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    pub(super) dek_ids: Option<Vec<DekId>>,
    pub(super) principals: Vec<Principal>,
    pub(super) assets: Vec<Asset>,
    pub(super) wallets: Vec<Wallet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Principal {
    pub(super) id: PrincipalId,
    pub(super) role: Role,
    pub(super) key: PublicKey,
}

/// What a principal's signature may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It may be the caller of a wallet.
    Engine,
    /// It decides for a machine: rules, risk, compliance.
    Decision,
    /// A person who approves.
    Human,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asset {
    pub(super) id: Name,
    pub(super) symbol: String,
    pub(super) chain: u64,
    /// Absent for the chain's native asset.
    #[serde(default, deserialize_with = "present")]
    pub(super) contract: Option<EvmAddress>,
    pub(super) decimals: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wallet {
    pub(super) id: WalletId,
    pub(super) tier: Tier,
    #[serde(default, deserialize_with = "present")]
    pub(super) fingerprint: Option<Digest>,
    pub(super) callers: Vec<PrincipalId>,
    pub(super) chains: Vec<u64>,
    pub(super) paths: Vec<PathPattern>,
    pub(super) max_intent_seconds: u64,
    pub(super) transfers: Vec<Transfer>,
    pub(super) fees: Vec<Fee>,
}

/// What a wallet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Customers pay in; it can only pay wallets of tier hot.
    Deposit,
    /// Customers are paid from it.
    Hot,
}

impl Tier {
    /// The tier as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Hot => "hot",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    pub(super) id: Name,
    pub(super) assets: Vec<Name>,
    pub(super) to: Vec<Payee>,
}

/// `"any"`, `{"wallet":"hot-eth"}` or `{"address":"0x…"}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Payee {
    Any,
    Wallet(WalletId),
    Address(EvmAddress),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fee {
    pub(super) chain: u64,
    pub(super) max_gas_limit: u64,
    pub(super) max_fee_per_gas: Amount,
    pub(super) max_fee: Amount,
}

/// The id of an asset or of a transfer rule. So short that the rule `<wallet>/transfers/<id>` is a
/// rule name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(Box<str>);

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let begins_well = text.bytes().next().is_some_and(alphanumeric);
        let all = text.bytes().all(|b| alphanumeric(b) || b"-_.".contains(&b));
        (begins_well && all && text.len() <= 48).then(|| Self(text.into()))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

strongroom_shared::serde_as_text!(Name, "an id: 1 to 48 of a-z 0-9 - _ .");

/// A field that may be left out, but is not `null` when it stands there: an asset whose contract
/// was lost on the way must not become the native one.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<T>, D::Error> {
    T::deserialize(d).map(Some)
}
