//! EVM transactions: who signed one really, and making one by hand.
//!
//! The sender is recovered by libsecp256k1, an implementation that the enclave does not contain;
//! only decoding and the signature hash are alloy's.

mod build;
mod decode;
mod show;

use std::io::Write;

use clap::Subcommand;
use strongroom_shared::evm::EvmAddress;

use crate::error::Error;
use crate::outcome::Outcome;

pub(crate) use decode::{SignedTransaction, Transaction};
pub(crate) use show::Shown;

/// Show signed transactions, and make unsigned ones.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Decode a signed transaction and recover who signed it.
    ///
    /// Decodes legacy, EIP-2930 and EIP-1559 transactions, and recovers the sender with
    /// libsecp256k1, an implementation that the enclave does not contain. With --expect-from it
    /// exits 1 when the sender is another.
    #[command(
        after_help = "Example:\n  strongroom transaction show 0x02f8… --expect-from 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"
    )]
    Show(show::Args),
    /// Make an unsigned transaction.
    ///
    /// Prints the serialized unsigned transaction as `strongroom intent sign --unsigned` takes it:
    /// EIP-1559, or with --legacy one of the old kind (EIP-155). With --token it is an ERC-20
    /// transfer of --amount to --to. Amounts are in the smallest unit (wei).
    #[command(
        after_help = "Examples:\n  strongroom transaction build --chain 1 --nonce 0 --to 0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f \\\n    --value 1000000000000000000 --gas-limit 21000 --max-fee-per-gas 30000000000 --max-priority-fee-per-gas 1000000000\n  strongroom transaction build --chain 1 --nonce 1 --to 0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f \\\n    --token 0xdAC17F958D2ee523a2206206994597C13D831ec7 --amount 25000000 \\\n    --gas-limit 80000 --max-fee-per-gas 30000000000 --max-priority-fee-per-gas 1000000000"
    )]
    Build(Box<build::Args>),
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        match self {
            Self::Show(args) => args.run(out),
            Self::Build(args) => args.run(out),
        }
    }
}

/// Why bytes are not a transaction, or not the one that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransactionError {
    /// Not hex.
    #[error("transaction: expected 0x and hex digits")]
    Hex,
    /// Of another type.
    #[error("transaction: expected a legacy, eip-2930 or eip-1559 transaction")]
    Type,
    /// Not the canonical encoding of one.
    #[error("transaction: {kind}: expected its canonical rlp encoding, and nothing after it")]
    Encoding {
        /// The type that it has by its first byte.
        kind: &'static str,
    },
    /// `s` is in the upper half of the group (EIP-2).
    #[error("transaction: signature: expected s in the lower half of the group (eip-2)")]
    HighS,
    /// No key makes this signature.
    #[error("transaction: signature: no public key can be recovered from it")]
    Signature,
    /// Somebody else signed.
    #[error("transaction: from: expected {expected}, found {found}")]
    From {
        /// Who should have signed.
        expected: EvmAddress,
        /// Who did.
        found: EvmAddress,
    },
}
