//! What a transaction does to what the wallet owns; or that this cannot be said.
//!
//! Two shapes are understood: native value without calldata, and ERC-20
//! `transfer(address,uint256)` on a token that the policy lists. Everything else is unreadable, and
//! so it is denied.

use alloy_primitives::{Address, U256};
use strongroom_shared::evm::{Amount, AssetRef, Effect, EvmAddress};
use strongroom_shared::problem::Code;

use crate::decode::Transaction;
use crate::document::{Policy, WalletPolicy};
use crate::evaluate::Denial;

/// The selector of `transfer(address,uint256)` (ERC-20).
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// The exact length of a `transfer`: a selector and two words.
const TRANSFER_LEN: usize = 4 + 2 * 32;

/// Why the effects of a transaction cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It has no `to`.
    #[error("to: expected an address, found a contract creation")]
    ContractCreation,
    /// It has calldata, and `to` is no token of the policy on that chain.
    #[error("to: expected a token that the policy lists on chain {chain}, since there is calldata")]
    NotAToken {
        /// The transaction's chain.
        chain: u64,
    },
    /// Calldata of a `transfer` has one length.
    #[error("input: expected {TRANSFER_LEN} bytes of calldata or none, found {found}")]
    Length {
        /// How many bytes there are.
        found: usize,
    },
    /// Another function.
    #[error("input: expected the selector of transfer(address,uint256), found another")]
    Selector,
    /// The upper 12 bytes of the recipient's word are not zero.
    #[error("input: expected an address of 20 bytes in a word, found a larger number")]
    AddressTooLarge,
    /// A token transfer that sends native value too.
    #[error("value: expected 0 in a token transfer, found more")]
    ValueWithToken,
}

impl Unreadable {
    /// The denial that this is under `wallet`.
    pub fn denial(&self, wallet: &WalletPolicy) -> Denial {
        let code = match self {
            Self::ContractCreation => Code::ContractCreationDenied,
            Self::NotAToken { .. }
            | Self::Length { .. }
            | Self::Selector
            | Self::AddressTooLarge
            | Self::ValueWithToken => Code::CalldataDenied,
        };
        Denial { code, rule: wallet.rules().calldata.clone(), detail: self.to_string() }
    }
}

/// What `tx` does: one transfer, and the most that it can pay as fee, which leaves the wallet as
/// surely as the transfer does.
pub fn effects(policy: &Policy, tx: &Transaction) -> Result<Vec<Effect>, Unreadable> {
    let to = tx.to().ok_or(Unreadable::ContractCreation)?;
    let native = AssetRef { chain: tx.chain_id(), contract: None };
    let transfer = if tx.input().is_empty() {
        Effect::Transfer { asset: native, to: EvmAddress(to), amount: Amount(tx.value()) }
    } else {
        token_transfer(policy, tx, to)?
    };
    Ok(vec![transfer, Effect::Fee { asset: native, amount: Amount(tx.max_fee()) }])
}

fn token_transfer(policy: &Policy, tx: &Transaction, to: Address) -> Result<Effect, Unreadable> {
    let chain = tx.chain_id();
    let token = AssetRef { chain, contract: Some(EvmAddress(to)) };
    if policy.asset(&token).is_none() {
        return Err(Unreadable::NotAToken { chain });
    }
    let (recipient, amount) = decode_transfer(tx.input())?;
    if !tx.value().is_zero() {
        return Err(Unreadable::ValueWithToken);
    }
    Ok(Effect::Transfer { asset: token, to: EvmAddress(recipient), amount: Amount(amount) })
}

/// Reads the calldata of a `transfer`: the recipient, and the amount in the token's smallest unit.
///
/// Not with an ABI library: they take bytes after the arguments, and by default an address whose
/// upper 12 bytes are dirty, because contracts do. A fixed layout of 68 bytes is read here without
/// any leniency, and in fewer lines than a library's would have to be checked in.
fn decode_transfer(input: &[u8]) -> Result<(Address, U256), Unreadable> {
    let length = Unreadable::Length { found: input.len() };
    let (selector, arguments) = input.split_first_chunk::<4>().ok_or(length)?;
    if *selector != TRANSFER {
        return Err(Unreadable::Selector);
    }
    let (padding, rest) = arguments.split_first_chunk::<12>().ok_or(length)?;
    let (recipient, amount) = rest.split_first_chunk::<20>().ok_or(length)?;
    let amount: [u8; 32] = amount.try_into().map_err(|_| length)?;
    if *padding != [0; 12] {
        return Err(Unreadable::AddressTooLarge);
    }
    Ok((Address::from(*recipient), U256::from_be_bytes(amount)))
}

#[cfg(test)]
mod tests;
