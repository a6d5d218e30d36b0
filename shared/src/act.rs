//! Acts of policy admins on wallets: the payload of a wallet-act envelope.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::WalletId;
use crate::intent::V1;
use crate::time::UtcSeconds;

/// One act, which a quorum of policy admins signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletAct {
    /// The format version.
    pub version: V1,
    /// What is to be done.
    pub act: Act,
    /// The wallet's name, which must stand in the policy.
    pub wallet: WalletId,
    /// The digest of the policy that the admins have seen.
    pub policy: Digest,
    /// After this second the act is refused.
    pub expires_at: UtcSeconds,
}

/// The acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Generate the wallet's HD seed in the enclave, and seal it.
    CreateHdWallet,
}
