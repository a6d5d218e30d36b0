//! EVM values as they stand in JSON.

use alloy_primitives::{Address, U256};

/// An EVM address. Written with its EIP-55 checksum; read with it, or in lower case only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EvmAddress(pub Address);

impl EvmAddress {
    /// Reads `0x` and 40 hex digits: all lower case, or mixed with a right EIP-55 checksum.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x")?;
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        let address = Address::from(bytes);
        let lower = !digits.bytes().any(|b| b.is_ascii_uppercase());
        (lower || address.to_checksum(None) == text).then_some(Self(address))
    }
}

impl std::fmt::Display for EvmAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_checksum(None))
    }
}

impl std::fmt::Debug for EvmAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

crate::serde_as_text!(EvmAddress, "an address: 0x and 40 hex digits, lower case or EIP-55");

/// An amount of an asset in its smallest unit (wei); written in decimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Amount(pub U256);

impl Amount {
    /// Reads a decimal number below 2²⁵⁶ without sign or leading zero.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = text == "0"
            || (!text.is_empty()
                && !text.starts_with('0')
                && text.bytes().all(|b| b.is_ascii_digit()));
        if !canonical {
            return None;
        }
        U256::from_str_radix(text, 10).ok().map(Self)
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::fmt::Debug for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

crate::serde_as_text!(Amount, "an amount in the smallest unit: a decimal number in a string");

/// An asset on a chain: the native one, or the token at `contract`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct AssetRef {
    /// EIP-155 chain id.
    pub chain: u64,
    /// The ERC-20 contract; absent for the native asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<EvmAddress>,
}

/// What a transaction does to what the wallet owns.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// `amount` of `asset` leaves for `to`.
    Transfer {
        /// What leaves.
        asset: AssetRef,
        /// Who gets it: for a token the recipient in the calldata, never the contract.
        to: EvmAddress,
        /// How much, in the smallest unit.
        amount: Amount,
    },
    /// At most `amount` of the chain's native asset is paid as fee: gas limit × max fee per gas.
    Fee {
        /// The chain's native asset.
        asset: AssetRef,
        /// The most that can be paid, in wei.
        amount: Amount,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_checked() {
        // EIP-55's own examples
        let text = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(EvmAddress::parse(text).unwrap().to_string(), text);
        assert_eq!(EvmAddress::parse(&text.to_lowercase()).unwrap().to_string(), text);
        for wrong in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            "5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1bea",
        ] {
            assert_eq!(EvmAddress::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn amounts_have_one_spelling() {
        let max = U256::MAX.to_string();
        assert_eq!(Amount::parse(&max), Some(Amount(U256::MAX)));
        for wrong in ["", "01", "-1", "+1", "1.0", "0x1", "1_000", " 1", &format!("{max}0")] {
            assert_eq!(Amount::parse(wrong), None, "{wrong}");
        }
    }
}
