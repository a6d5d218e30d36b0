//! What a transaction does, for people and for programs.

use std::fmt;
use std::io::Write;

use alloy_primitives::{Address, U256};
use serde::Serialize;
use strongroom_shared::encoding::{HexBytes, parse_hex};
use strongroom_shared::evm::{Amount, EvmAddress};

use super::{SignedTransaction, Transaction, TransactionError};
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;

/// The selector of `transfer(address,uint256)`.
pub(super) const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The serialized signed transaction.
    #[arg(value_name = "SIGNED_HEX")]
    signed: String,
    /// Exit 1 unless this address signed it.
    #[arg(long, value_name = "ADDRESS")]
    expect_from: Option<EvmAddress>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let bytes = parse_hex(&self.signed).ok_or(TransactionError::Hex)?;
        let SignedTransaction { transaction, from, hash } = SignedTransaction::decode(&bytes)?;
        let shown = Shown {
            from: Some(from),
            hash: Some(HexBytes(hash.to_vec())),
            ..Shown::of(&transaction)
        };
        if self.json {
            files::write_json(&shown, out)?;
        } else {
            write!(out, "{shown}")?;
        }
        match self.expect_from {
            Some(expected) if expected != from => {
                Err(TransactionError::From { expected, found: from }.into())
            }
            _ => Ok(Outcome::Done),
        }
    }
}

/// What a transaction does. Amounts are in wei or the token's smallest unit.
#[derive(Serialize)]
pub(crate) struct Shown {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Absent in a legacy transaction without EIP-155, which every chain takes.
    chain: Option<u64>,
    nonce: u64,
    /// Absent where a contract is created.
    to: Option<EvmAddress>,
    value: Amount,
    gas_limit: u64,
    max_fee_per_gas: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_priority_fee_per_gas: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erc20_transfer: Option<TokenTransfer>,
    data: HexBytes,
    sighash: HexBytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<EvmAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<HexBytes>,
}

/// An ERC-20 `transfer`.
#[derive(Serialize)]
struct TokenTransfer {
    token: EvmAddress,
    to: EvmAddress,
    amount: Amount,
}

impl Shown {
    /// What an unsigned transaction does.
    pub(crate) fn of(transaction: &Transaction) -> Self {
        let members = transaction.members();
        let to = members.to().map(EvmAddress);
        let amount = |wei: u128| Amount(U256::from(wei));
        Self {
            kind: transaction.kind(),
            chain: members.chain_id(),
            nonce: members.nonce(),
            to,
            value: Amount(members.value()),
            gas_limit: members.gas_limit(),
            max_fee_per_gas: amount(members.max_fee_per_gas()),
            max_priority_fee_per_gas: members.max_priority_fee_per_gas().map(amount),
            erc20_transfer: to.and_then(|token| token_transfer(token, members.input())),
            data: HexBytes(members.input().to_vec()),
            sighash: HexBytes(transaction.sighash().to_vec()),
            from: None,
            hash: None,
        }
    }
}

/// Exactly 4 + 2 · 32 bytes, and the upper 12 bytes of the address are zero; anything else is not
/// called a transfer.
fn token_transfer(token: EvmAddress, data: &[u8]) -> Option<TokenTransfer> {
    let (to, amount) = data.strip_prefix(&TRANSFER)?.split_at_checked(32)?;
    let (zero, to) = to.split_at_checked(12)?;
    if zero.iter().any(|byte| *byte != 0) {
        return None;
    }
    let amount: [u8; 32] = amount.try_into().ok()?;
    let to = EvmAddress(Address::from(<[u8; 20]>::try_from(to).ok()?));
    Some(TokenTransfer { token, to, amount: Amount(U256::from_be_bytes(amount)) })
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "type      {}", self.kind)?;
        match self.chain {
            Some(chain) => writeln!(f, "chain     {chain}")?,
            None => writeln!(f, "chain     none: every chain takes it")?,
        }
        if let Some(from) = self.from {
            writeln!(f, "from      {from}")?;
        }
        writeln!(f, "nonce     {}", self.nonce)?;
        match self.to {
            Some(to) => writeln!(f, "to        {to}")?,
            None => writeln!(f, "to        none: it creates a contract")?,
        }
        writeln!(f, "value     {} wei", self.value)?;
        writeln!(f, "gas limit {}", self.gas_limit)?;
        writeln!(f, "max fee   {} wei per gas", self.max_fee_per_gas)?;
        match &self.erc20_transfer {
            Some(TokenTransfer { token, to, amount }) => {
                writeln!(f, "transfer  {amount} of token {token} to {to}")?;
            }
            None if self.data.0.is_empty() => {}
            None => writeln!(f, "data      {}", self.data)?,
        }
        writeln!(f, "sighash   {}", self.sighash)?;
        match &self.hash {
            Some(hash) => writeln!(f, "hash      {hash}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const EIP155_SIGNED: &str = "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";

    fn show(expect_from: &str, json: bool) -> (Result<Outcome, Error>, String) {
        let expect_from = Some(expect_from.parse().unwrap());
        let mut out = Vec::new();
        let result = Args { signed: EIP155_SIGNED.into(), expect_from, json }.run(&mut out);
        (result, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_sender_is_compared() {
        let (result, text) = show("0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F", false);
        assert_eq!(result.unwrap(), Outcome::Done);
        assert!(text.contains("from      0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F\n"), "{text}");
        let (result, text) = show("0x3535353535353535353535353535353535353535", true);
        assert!(matches!(result, Err(Error::Transaction(TransactionError::From { .. }))));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["value"], "1000000000000000000");
        // the hash that explorers and ethers give for the example of EIP-155
        assert_eq!(
            json["hash"],
            "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788"
        );
    }

    #[test]
    fn a_transfer_is_exactly_a_transfer() {
        let token = EvmAddress(Address::repeat_byte(1));
        let mut data = [&TRANSFER[..], &[0; 12], &[0x35; 20], &[0; 31], &[7]].concat();
        let found = token_transfer(token, &data).unwrap();
        assert_eq!(
            (found.to.0, found.amount.to_string()),
            (Address::repeat_byte(0x35), "7".into())
        );
        assert!(token_transfer(token, &data[..67]).is_none());
        assert!(token_transfer(token, &[&data[..], &[0]].concat()).is_none());
        data[4] = 1;
        assert!(token_transfer(token, &data).is_none());
        data[4] = 0;
        data[0] = 0;
        assert!(token_transfer(token, &data).is_none());
    }
}
