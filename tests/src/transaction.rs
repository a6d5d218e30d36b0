//! Unsigned transactions, made by `alloy`, which the callers use too.

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::primitives::{Address, Bytes, TxKind, U256};

/// USDT on mainnet.
pub const USDT: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";

/// A transfer of `value` wei with modest fees.
pub fn native(chain_id: u64, nonce: u64, to: Address, value: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 30_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        access_list: Default::default(),
        input: Bytes::new(),
    }
}

/// A transfer of `amount` of the token at `token`.
pub fn erc20(chain_id: u64, nonce: u64, token: Address, to: Address, amount: u64) -> TxEip1559 {
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend([0; 12]);
    input.extend(to.as_slice());
    input.extend(U256::from(amount).to_be_bytes::<32>());
    let gas_limit = 100_000;
    TxEip1559 { gas_limit, input: input.into(), ..native(chain_id, nonce, token, 0) }
}

/// The bytes that go into an intent.
pub fn unsigned(transaction: &TxEip1559) -> Vec<u8> {
    transaction.encoded_for_signing()
}
