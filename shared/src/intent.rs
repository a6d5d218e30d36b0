//! What a caller asks to be signed: the payload of an intent envelope.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::encoding::HexBytes;
use crate::id::{IntentId, WalletId};
use crate::path::HdPath;
use crate::time::UtcSeconds;

/// The format version of a document; only `1` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct V1;

impl Serialize for V1 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(serde::de::Error::invalid_value(
                serde::de::Unexpected::Unsigned(other),
                &"version 1",
            )),
        }
    }
}

/// One intent: this wallet, this path, this transaction, under this policy, until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The format version.
    pub version: V1,
    /// The caller's own name for this intent.
    pub intent_id: IntentId,
    /// The wallet that pays.
    pub wallet: WalletId,
    /// The key within the wallet.
    pub path: HdPath,
    /// The digest of the policy that the caller has seen (`GET /v1/policy`).
    pub policy: Digest,
    /// After this second the intent is refused.
    pub expires_at: UtcSeconds,
    /// What is to be signed.
    pub payload: Payload,
}

/// What is to be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Payload {
    /// One EVM transaction.
    EvmTransaction {
        /// The serialized unsigned transaction: legacy with EIP-155, or an EIP-2718 typed one.
        unsigned: HexBytes,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::json;

    const GOOD: &str = r#"{"version":1,"intent_id":"wd-000123","wallet":"hot-eth","path":"m/44'/60'/0'/0/0",
        "policy":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "expires_at":"2026-11-21T10:00:00Z","payload":{"type":"evm_transaction","unsigned":"0x02f8"}}"#;

    fn parse(text: &str) -> Result<Intent, json::JsonError> {
        json::parse("intent", text.as_bytes())
    }

    #[test]
    fn the_design_s_own_example() {
        let intent = parse(GOOD).unwrap();
        assert_eq!(intent.payload, Payload::EvmTransaction { unsigned: HexBytes(vec![2, 0xf8]) });
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (from, to) in [
            (r#""version":1"#, r#""version":2"#),
            (r#""version":1"#, r#""version":1,"note":"x""#),
            (r#""wallet":"hot-eth""#, r#""wallet":"hot-eth","wallet":"hot-eth""#),
            ("/0/0\"", "/0/00\""),
            ("10:00:00Z", "10:00:00+00:00"),
            ("0x02f8", "02f8"),
            ("0x02f8", "0x02f"),
            (r#""unsigned""#, r#""digest""#),
            (r#""unsigned":"0x02f8""#, r#""unsigned":"0x02f8","gas":1"#),
            ("evm_transaction", "evm_digest"),
            (
                r#""type":"evm_transaction","#,
                r#""type":"evm_transaction","type":"evm_transaction","#,
            ),
        ] {
            assert!(parse(&GOOD.replace(from, to)).is_err(), "{to}");
        }
    }
}
