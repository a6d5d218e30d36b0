//! An unsigned EVM transaction, read exactly.
//!
//! Accepted are the forms that a signature is made over: legacy with EIP-155 (nine items), EIP-2930
//! and EIP-1559. Each has one spelling: what is decoded is encoded again for signing, and has to be
//! the same bytes. Nothing that was not judged is ever signed, and no digest is ever taken on trust.

use alloy_consensus::transaction::{SignableTransaction as _, Transaction as _};
use alloy_consensus::{TxEip1559, TxEip2930, TxLegacy, TypedTransaction};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::Decodable;
use strongroom_shared::problem::Code;

use crate::document::WalletPolicy;
use crate::evaluate::Denial;

/// Why bytes are not a transaction that can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is longer than any transaction that is signed here.
    #[error("payload.unsigned: expected at most {MAX_UNSIGNED} bytes, found {0}")]
    TooLong(usize),
    /// There is nothing.
    #[error("payload.unsigned: expected a transaction, found no bytes")]
    Empty,
    /// EIP-4844 (3) or EIP-7702 (4): understood, and not allowed. A denial, not a malformed request.
    #[error(
        "payload.unsigned: expected a transaction of type legacy, 1 or 2, found type {0}, which the policy does not allow"
    )]
    UnsupportedType(u8),
    /// No type of EIP-2718 that is known here, and no list.
    #[error("payload.unsigned: expected an RLP list or a transaction type, found the byte {0}")]
    UnknownType(u8),
    /// Not the RLP of such a transaction.
    #[error("payload.unsigned: {0}")]
    Rlp(alloy_rlp::Error),
    /// A legacy transaction of six items: it would be valid on every chain (EIP-155).
    #[error("payload.unsigned: chain_id: expected an EIP-155 chain id, found none")]
    ChainIdMissing,
    /// Chain id zero: no chain has it.
    #[error("payload.unsigned: chain_id: expected a chain id above zero, found 0")]
    ChainIdZero,
    /// EIP-1559: no block takes it.
    #[error("payload.unsigned: max_priority_fee_per_gas: expected at most max_fee_per_gas")]
    PriorityFeeAboveMaxFee,
    /// It reads as a transaction, and that transaction is written otherwise.
    #[error("payload.unsigned: expected the canonical encoding for signing, found another")]
    NotCanonical,
}

impl DecodeError {
    /// The denial that this is under `wallet`; `None` where the request is malformed.
    pub fn denial(&self, wallet: &WalletPolicy) -> Option<Denial> {
        match self {
            Self::UnsupportedType(_) => Some(Denial {
                code: Code::TransactionTypeDenied,
                rule: wallet.rules().transaction.clone(),
                detail: self.to_string(),
            }),
            Self::Empty
            | Self::TooLong(_)
            | Self::UnknownType(_)
            | Self::Rlp(_)
            | Self::ChainIdMissing
            | Self::ChainIdZero
            | Self::PriorityFeeAboveMaxFee
            | Self::NotCanonical => None,
        }
    }

    /// The stable code of the cause.
    pub const fn code(&self) -> Code {
        match self {
            Self::UnsupportedType(_) => Code::TransactionTypeDenied,
            Self::Empty
            | Self::TooLong(_)
            | Self::UnknownType(_)
            | Self::Rlp(_)
            | Self::ChainIdMissing
            | Self::ChainIdZero
            | Self::PriorityFeeAboveMaxFee
            | Self::NotCanonical => Code::MalformedTransaction,
        }
    }
}

/// A decoded transaction of type legacy (EIP-155), EIP-2930 or EIP-1559, and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    typed: TypedTransaction,
    chain_id: u64,
    sighash: B256,
}

/// The longest unsigned transaction, in bytes. Transfers have about 150; an access list that is paid
/// for takes the rest. What is stored of an intent is bounded by it.
pub const MAX_UNSIGNED: usize = 4_096;

/// Reads the whole of `unsigned` as one transaction in its canonical encoding for signing.
pub fn decode(unsigned: &[u8]) -> Result<Transaction, DecodeError> {
    if unsigned.len() > MAX_UNSIGNED {
        return Err(DecodeError::TooLong(unsigned.len()));
    }
    let (first, rest) = unsigned.split_first().ok_or(DecodeError::Empty)?;
    let typed = match first {
        0xc0..=0xff => TypedTransaction::Legacy(read::<TxLegacy>(unsigned)?),
        0x01 => TypedTransaction::Eip2930(read::<TxEip2930>(rest)?),
        0x02 => {
            let tx = read::<TxEip1559>(rest)?;
            if tx.max_priority_fee_per_gas > tx.max_fee_per_gas {
                return Err(DecodeError::PriorityFeeAboveMaxFee);
            }
            TypedTransaction::Eip1559(tx)
        }
        0x03 | 0x04 => return Err(DecodeError::UnsupportedType(*first)),
        other => return Err(DecodeError::UnknownType(*other)),
    };
    let chain_id = match typed.chain_id() {
        None => return Err(DecodeError::ChainIdMissing),
        Some(0) => return Err(DecodeError::ChainIdZero),
        Some(id) => id,
    };
    // The decoders of alloy leave trailing bytes, and forgive other values than zero in place of
    // EIP-155's last two items. None of it survives this comparison.
    if typed.encoded_for_signing() != unsigned {
        return Err(DecodeError::NotCanonical);
    }
    Ok(Transaction { chain_id, sighash: keccak256(unsigned), typed })
}

fn read<T: Decodable>(mut bytes: &[u8]) -> Result<T, DecodeError> {
    T::decode(&mut bytes).map_err(DecodeError::Rlp)
}

impl Transaction {
    /// The EIP-155 chain id; never zero.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The sender's transaction count.
    pub fn nonce(&self) -> u64 {
        self.typed.nonce()
    }

    /// Who is called or paid; `None` creates a contract.
    pub fn to(&self) -> Option<Address> {
        self.typed.to()
    }

    /// The native value, in wei.
    pub fn value(&self) -> U256 {
        self.typed.value()
    }

    /// The most gas that it can use.
    pub fn gas_limit(&self) -> u64 {
        self.typed.gas_limit()
    }

    /// The most that a unit of gas can cost, in wei: `maxFeePerGas`, or `gasPrice` before EIP-1559.
    pub fn max_fee_per_gas(&self) -> u128 {
        self.typed.max_fee_per_gas()
    }

    /// The most that can be paid as fee, in wei: gas limit × max fee per gas.
    pub fn max_fee(&self) -> U256 {
        // 64 bits × 128 bits: it cannot reach 2²⁵⁶, and if it could it would stay above any cap.
        U256::from(self.gas_limit()).saturating_mul(U256::from(self.max_fee_per_gas()))
    }

    /// The calldata.
    pub fn input(&self) -> &[u8] {
        self.typed.input()
    }

    /// What the signature is made over: Keccak-256 of the unsigned bytes.
    pub const fn sighash(&self) -> B256 {
        self.sighash
    }

    /// The transaction as alloy has it, to be put together with its signature.
    pub const fn typed(&self) -> &TypedTransaction {
        &self.typed
    }
}

#[cfg(test)]
mod tests;
