//! Receipts: what was decided, in a chain that nobody can rewrite unseen.
//!
//! Each [`Body`] names the digest of the one before it. A [`Head`] is signed for each group of
//! bodies that became durable together, and names the head before it. A receipt proves the place
//! of its body in the group by a Merkle path (RFC 6962, section 2.1, over SHA-256); a group of one
//! has an empty proof.

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::digest::Digest;
use crate::dsse::Envelope;
use crate::encoding::Base64;
use crate::evm::{Amount, Effect, EvmAddress};
use crate::id::{BootId, DekId, IntentId, PrincipalId, RuleId, WalletId};
use crate::intent::V1;
use crate::path::HdPath;
use crate::problem::Code;
use crate::time::UtcSeconds;

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The format version.
    pub version: V1,
    /// Place in the chain; one more than that of the body before.
    pub sequence: u64,
    /// SHA-256 of the bytes of the body before; absent in the first of all.
    pub previous: Option<Digest>,
    /// The life of the enclave that decided.
    pub boot_id: BootId,
    /// The enclave's trusted time.
    pub time: UtcSeconds,
    /// The policy in force.
    pub policy: Digest,
    /// What was decided about.
    pub event: Event,
    /// What was decided.
    pub decision: Decision,
}

/// What was decided about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The enclave booted.
    Boot {
        /// SHA-256 of the measured configuration.
        configuration: Digest,
        /// SHA-256 of the canonical form of the KEK's key policy, as the enclave saw it before it asked
        /// for the DEK.
        key_policy: Digest,
        /// The same of the previous KEK, where this boot moved the DEK from it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous_key_policy: Option<Digest>,
        /// The DEK that was unwrapped.
        dek_id: DekId,
        /// Whether this boot generated the DEK.
        dek_generated: bool,
    },
    /// An intent was decided.
    Sign {
        /// SHA-256 of the intent's payload bytes.
        intent_digest: Digest,
        /// The caller's own name for it.
        intent_id: IntentId,
        /// Who asked.
        caller: PrincipalId,
        /// Everyone whose signature counted.
        signers: Vec<PrincipalId>,
        /// The wallet that pays.
        wallet: WalletId,
        /// The transactions, as the enclave decoded them; none where they do not decode.
        transactions: Vec<TransactionRecord>,
        /// The limits that this decision moved.
        counters: Vec<Counter>,
    },
    /// An act on a wallet was decided.
    Wallet {
        /// SHA-256 of the act's payload bytes.
        act_digest: Digest,
        /// The admins whose signatures counted.
        signers: Vec<PrincipalId>,
        /// The wallet.
        wallet: WalletId,
        /// The wallet's public-key fingerprint, where there is one now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Digest>,
    },
}

/// A transaction as the enclave decoded it: what a replay of the ledger needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionRecord {
    /// The key within the wallet.
    pub path: HdPath,
    /// The sender, where it was derived: a denial does not need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<EvmAddress>,
    /// EIP-155 chain id.
    pub chain: u64,
    /// The sender's transaction count.
    pub nonce: u64,
    /// The digest that the signature is over, Keccak-256, `0x` hex.
    pub sighash: String,
    /// What it does.
    pub effects: Vec<Effect>,
}

/// A limit before and after a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    /// The rule that has the limit.
    pub rule: RuleId,
    /// What was used of it before.
    pub before: Amount,
    /// What is used of it now.
    pub after: Amount,
}

/// *Denied* (the policy said no) is not *failed* (a fault).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// It was done.
    Allowed,
    /// The policy said no.
    Denied {
        /// The stable code of the cause.
        code: Code,
        /// The rule that said no.
        rule: RuleId,
    },
    /// It was allowed, and a fault kept it from being done.
    Failed {
        /// The stable code of the cause.
        code: Code,
    },
}

/// The payload of a receipt-head envelope, signed by the receipt key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The format version.
    pub version: V1,
    /// The life of the enclave that signed.
    pub boot_id: BootId,
    /// The first sequence number of the group.
    pub first: u64,
    /// The last sequence number of the group.
    pub last: u64,
    /// The Merkle tree hash over the bodies of the group.
    pub root: Digest,
    /// SHA-256 of the payload bytes of the head before; absent in the first of all.
    pub previous: Option<Digest>,
}

/// A receipt as it leaves the enclave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The exact bytes of the [`Body`] as JSON.
    pub body: Base64,
    /// The body's sequence number.
    pub sequence: u64,
    /// The Merkle path from the body to the head's root.
    pub proof: Vec<Digest>,
    /// The signed [`Head`].
    pub head: Envelope,
}

/// The place in a chain after which the next receipt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The last sequence number.
    pub sequence: u64,
    /// SHA-256 of the last body.
    pub body: Digest,
    /// SHA-256 of the last head's payload.
    pub head: Digest,
}

/// The hash of a leaf (RFC 6962: `SHA-256(0x00 ‖ body)`).
pub fn leaf_hash(body: &[u8]) -> Digest {
    let hash = sha2::Sha256::new().chain_update([0]).chain_update(body);
    Digest::from_bytes(hash.finalize().into())
}

/// The hash of an inner node (RFC 6962: `SHA-256(0x01 ‖ left ‖ right)`).
fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let hash = sha2::Sha256::new()
        .chain_update([1])
        .chain_update(left.as_bytes())
        .chain_update(right.as_bytes());
    Digest::from_bytes(hash.finalize().into())
}

/// Whether `body` is the leaf `index` of a tree of `size` leaves with this `root` (RFC 9162,
/// section 2.1.3.2).
pub fn proves(body: &[u8], index: u64, size: u64, proof: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size.saturating_sub(1));
    let mut hash = leaf_hash(body);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_one_has_an_empty_proof() {
        let root = leaf_hash(b"body");
        assert!(proves(b"body", 0, 1, &[], &root));
        assert!(!proves(b"Body", 0, 1, &[], &root));
        assert!(!proves(b"body", 1, 1, &[], &root));
        assert!(!proves(b"body", 0, 2, &[], &root));
        assert!(!proves(b"body", 0, 1, &[root], &root));
    }

    /// Three leaves: root = N(N(a, b), c).
    #[test]
    fn a_group_of_three() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|leaf| leaf_hash(leaf));
        let ab = node_hash(&a, &b);
        let root = node_hash(&ab, &c);
        assert!(proves(b"a", 0, 3, &[b, c], &root));
        assert!(proves(b"b", 1, 3, &[a, c], &root));
        assert!(proves(b"c", 2, 3, &[ab], &root));
        assert!(!proves(b"c", 0, 3, &[ab], &root));
        assert!(!proves(b"a", 0, 3, &[c, b], &root));
    }
}
