//! Addresses never travel bare: the enclave signs what it says about them.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::evm::EvmAddress;
use crate::id::{BootId, WalletId};
use crate::intent::V1;
use crate::path::HdPath;

/// The payload of an address-statement envelope, signed by the receipt key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressStatement {
    /// The format version.
    pub version: V1,
    /// The life of the enclave that says so.
    pub boot_id: BootId,
    /// Whose addresses these are.
    pub wallet: WalletId,
    /// The wallet's public-key fingerprint, as a policy pins it.
    pub fingerprint: Digest,
    /// What the addresses are for.
    pub chain: ChainNamespace,
    /// The addresses.
    pub addresses: Vec<AddressEntry>,
}

/// CAIP-2 namespaces: an EVM address is the same on every EIP-155 chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChainNamespace {
    /// EVM chains.
    #[serde(rename = "eip155")]
    Eip155,
}

/// One address and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressEntry {
    /// The key within the wallet.
    pub path: HdPath,
    /// Its address.
    pub address: EvmAddress,
}
