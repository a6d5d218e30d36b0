//! Making an unsigned transaction by hand.

use std::io::Write;

use alloy_consensus::{TxEip1559, TxLegacy};
use alloy_primitives::{TxKind, U256};
use strongroom_shared::encoding::{HexBytes, parse_hex};
use strongroom_shared::evm::{Amount, EvmAddress};

use super::show::TRANSFER;
use super::{Transaction, TransactionError};
use crate::error::Error;
use crate::outcome::Outcome;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The EIP-155 chain id.
    #[arg(long)]
    chain: u64,
    /// The sender's transaction count.
    #[arg(long)]
    nonce: u64,
    /// Who is paid; with --token the recipient of the tokens.
    #[arg(long, value_name = "ADDRESS")]
    to: EvmAddress,
    /// How much of the native asset, in wei.
    #[arg(long, value_name = "WEI", default_value = "0")]
    value: Amount,
    /// The ERC-20 contract whose token is paid.
    #[arg(long, value_name = "ADDRESS", requires = "amount")]
    token: Option<EvmAddress>,
    /// How much of the token, in its smallest unit.
    #[arg(long, requires = "token")]
    amount: Option<Amount>,
    /// Calldata, for another call than an ERC-20 transfer.
    #[arg(long, value_name = "HEX", conflicts_with = "token")]
    data: Option<String>,
    /// The most gas that it may use.
    #[arg(long)]
    gas_limit: u64,
    /// The most that is paid for a unit of gas, in wei.
    #[arg(long, value_name = "WEI", required_unless_present = "legacy")]
    max_fee_per_gas: Option<u128>,
    /// The most that the validator gets of that, in wei.
    #[arg(long, value_name = "WEI", required_unless_present = "legacy")]
    max_priority_fee_per_gas: Option<u128>,
    /// Make a legacy transaction with EIP-155.
    #[arg(
        long,
        requires = "gas_price",
        conflicts_with_all = ["max_fee_per_gas", "max_priority_fee_per_gas"]
    )]
    legacy: bool,
    /// What a legacy transaction pays for a unit of gas, in wei.
    #[arg(long, value_name = "WEI", requires = "legacy")]
    gas_price: Option<u128>,
}

impl Args {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        writeln!(out, "{}", HexBytes(self.build()?.encode()))?;
        Ok(Outcome::Done)
    }

    fn build(&self) -> Result<Transaction, Error> {
        let (to, input) = match (self.token, self.amount) {
            (Some(token), Some(amount)) if self.value.0 == U256::ZERO => {
                (token, transfer(self.to, amount))
            }
            (Some(_), _) => {
                return Err(Error::Usage("an erc-20 transfer carries no --value, only --amount"));
            }
            (None, _) => {
                let data = self.data.as_deref().unwrap_or_default();
                (self.to, parse_hex(data).ok_or(TransactionError::Hex)?)
            }
        };
        let Self { chain, nonce, gas_limit, value, .. } = *self;
        let (to, value, input) = (TxKind::Call(to.0), value.0, input.into());
        Ok(match self.gas_price {
            Some(gas_price) => {
                let chain_id = Some(chain);
                Transaction::Legacy(TxLegacy {
                    chain_id,
                    nonce,
                    gas_price,
                    gas_limit,
                    to,
                    value,
                    input,
                })
            }
            None => Transaction::Eip1559(TxEip1559 {
                chain_id: chain,
                nonce,
                gas_limit,
                max_fee_per_gas: self.max_fee_per_gas.unwrap_or_default(),
                max_priority_fee_per_gas: self.max_priority_fee_per_gas.unwrap_or_default(),
                to,
                value,
                access_list: Default::default(),
                input,
            }),
        })
    }
}

/// Calldata of `transfer(address,uint256)`.
fn transfer(to: EvmAddress, amount: Amount) -> Vec<u8> {
    let amount: [u8; 32] = amount.0.to_be_bytes();
    [&TRANSFER[..], to.0.into_word().as_slice(), &amount].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn build(line: &str) -> Result<String, String> {
        let line = Line::try_parse_from(std::iter::once("build").chain(line.split_whitespace()))
            .map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        line.args.run(&mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap().trim_end().to_owned())
    }

    const TO: &str = "--to 0x3535353535353535353535353535353535353535";

    /// The example of EIP-155: nonce 9, gas price 20 gwei, gas limit 21000, 1 ether.
    #[test]
    fn the_example_of_eip_155() {
        let line = format!(
            "--chain 1 --nonce 9 {TO} --value 1000000000000000000 --gas-limit 21000 \
             --legacy --gas-price 20000000000"
        );
        assert_eq!(
            build(&line).unwrap(),
            "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
        );
    }

    /// Spelled out by hand from EIP-2718 and EIP-1559:
    /// 02 ‖ rlp([1, 9, 1 gwei, 20 gwei, 21000, 0x35…35, 1 ether, "", []]).
    #[test]
    fn eip_1559() {
        let line = format!(
            "--chain 1 --nonce 9 {TO} --value 1000000000000000000 --gas-limit 21000 \
             --max-fee-per-gas 20000000000 --max-priority-fee-per-gas 1000000000"
        );
        assert_eq!(
            build(&line).unwrap(),
            "0x02f00109843b9aca008504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080c0"
        );
    }

    #[test]
    fn a_token_transfer() {
        let line = format!(
            "--chain 1 --nonce 0 {TO} --token 0xdAC17F958D2ee523a2206206994597C13D831ec7 \
             --amount 25000000 --gas-limit 80000 --max-fee-per-gas 2 --max-priority-fee-per-gas 1"
        );
        let calldata = "a9059cbb\
            0000000000000000000000003535353535353535353535353535353535353535\
            00000000000000000000000000000000000000000000000000000000017d7840";
        let built = build(&line).unwrap();
        assert!(
            built
                .contains(&format!("94dac17f958d2ee523a2206206994597c13d831ec780b844{calldata}c0"))
        );
        assert!(build(&format!("{line} --value 1")).unwrap_err().contains("no --value"));
        assert!(build(&format!("{line} --data 0x00")).is_err());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let base = format!("--chain 1 --nonce 0 {TO} --gas-limit 1");
        for wrong in [
            "",
            "--legacy",
            "--gas-price 1",
            "--legacy --gas-price 1 --max-fee-per-gas 1",
            "--max-fee-per-gas 1",
            "--legacy --gas-price 1 --amount 1",
            "--legacy --gas-price 1 --data 0xz",
            "--legacy --gas-price 1 --value 0x1",
        ] {
            assert!(build(&format!("{base} {wrong}")).is_err(), "{wrong}");
        }
    }
}
