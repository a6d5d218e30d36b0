//! What a caller is told. The same types cross the vsock as CBOR and HTTP as JSON.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::dsse::{Envelope, KeyHint};
use crate::encoding::HexBytes;
use crate::evm::EvmAddress;
use crate::id::{PrincipalId, WalletId};
use crate::path::HdPath;
use crate::receipt::Receipt;
use crate::statement::AddressEntry;

/// A signed intent: `POST /v1/sign` with 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignReply {
    /// SHA-256 of the intent's payload bytes.
    pub intent_digest: Digest,
    /// The wallet that pays.
    pub wallet: WalletId,
    /// One result for each transaction, in order.
    pub results: Vec<SignedTransaction>,
    /// The receipt of this decision.
    pub receipt: Receipt,
    /// Signatures of the envelope that did not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredSignature>,
}

/// One signed transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedTransaction {
    /// The key within the wallet.
    pub path: HdPath,
    /// The sender.
    pub from: EvmAddress,
    /// The serialized signed transaction, ready for `eth_sendRawTransaction`.
    pub signed_transaction: HexBytes,
    /// Its Keccak-256.
    pub transaction_hash: HexBytes,
}

/// A created wallet: `POST /v1/wallets` with 201.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletReply {
    /// The wallet.
    pub wallet: WalletInfo,
    /// The receipt of the act.
    pub receipt: Receipt,
}

/// A wallet that the enclave has opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletInfo {
    /// Its name.
    pub wallet: WalletId,
    /// Its tier in the policy.
    pub tier: String,
    /// SHA-256(`"strongroom-wallet-fingerprint-v1\0"` ‖ the compressed public key at
    /// `m/44'/60'/0'/0`): what a policy pins.
    pub fingerprint: Digest,
}

/// Addresses with the enclave's signed statement about them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressesReply {
    /// The addresses.
    pub addresses: Vec<AddressEntry>,
    /// A [`crate::statement::AddressStatement`], signed by the receipt key.
    pub statement: Envelope,
}

/// The policy in force: `GET /v1/policy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyReply {
    /// SHA-256 of the policy's exact bytes.
    pub digest: Digest,
    /// The envelope as the admins signed it.
    pub envelope: Envelope,
}

/// Approvals are missing: 202.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingReply {
    /// SHA-256 of the payload bytes.
    pub intent_digest: Digest,
    /// The quorums that are short.
    pub missing: Vec<MissingQuorum>,
    /// Signatures of the envelope that did not count.
    pub ignored: Vec<IgnoredSignature>,
}

/// A quorum that is short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingQuorum {
    /// The quorum's name.
    pub quorum: String,
    /// How many it needs.
    pub need: u32,
    /// How many it has.
    pub have: u32,
    /// Who could give one.
    pub could_sign: Vec<PrincipalId>,
}

/// A signature that did not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IgnoredSignature {
    /// What it said it was made by.
    pub keyid: KeyHint,
    /// Why it did not count.
    pub reason: IgnoredBecause,
}

/// Why a signature did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IgnoredBecause {
    /// No principal of that name may sign a document of this kind.
    UnknownPrincipal,
    /// The principal's key does not verify it.
    DoesNotVerify,
    /// The principal has signed already.
    Repeated,
}
