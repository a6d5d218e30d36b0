//! Step 10: every decision leaves a receipt, in one chain; and no signature leaves without one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::Signature;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use strongroom_attestation::nsm::Nsm;
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::{self, Envelope, KeyHint, PayloadType};
use strongroom_shared::encoding::Base64;
use strongroom_shared::id::BootId;
use strongroom_shared::intent::V1;
use strongroom_shared::key::PublicKey;
use strongroom_shared::receipt::{Body, Decision, Event, Head, Position, Receipt, leaf_hash};
use strongroom_shared::time::UtcSeconds;

use crate::approve::ApprovedIntent;
use crate::entropy::{self, EntropyError};
use crate::refusal::Failed;
use crate::sign::UnreleasedSignature;

/// The key that signs receipts and statements in one life of the enclave; the attestation document
/// binds its public half. No `Debug`, no `Clone`.
pub struct ReceiptKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
    boot_id: BootId,
}

/// Why there is no receipt key.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptKeyError {
    /// There is no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The library refused the seed.
    #[error("receipt key: generation failed")]
    Generate,
}

/// The receipt could not be written; what it was for must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receipt could not be written")]
pub struct AuditError;

/// A signature whose receipt is written.
pub struct ReleasedSignature<'e> {
    approved: ApprovedIntent<'e>,
    signature: Signature,
    receipt: Receipt,
}

/// How many receipts are kept for a host that lost them on the way. More than the requests of a
/// connection can be.
const KEPT: usize = 1_024;
/// How many of them a reply has; they fit into a frame many times.
const REPLAYED: usize = 64;

/// The chain of receipts of one life of the enclave.
pub struct Chain {
    policy: Digest,
    end: Mutex<End>,
}

/// The end of the chain: where the next receipt goes, and the last ones, oldest first.
struct End {
    place: Option<Position>,
    kept: VecDeque<Receipt>,
}

impl ReceiptKey {
    /// A new key, for the life `boot_id`.
    pub(crate) fn generate(nsm: &dyn Nsm, boot_id: BootId) -> Result<Self, ReceiptKeyError> {
        let seed = entropy::random_32(nsm)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
            .map_err(|_| ReceiptKeyError::Generate)?;
        let public =
            pair.public_key().as_ref().try_into().map_err(|_| ReceiptKeyError::Generate)?;
        Ok(Self { pair, public: PublicKey::ed25519(public), boot_id })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The life that it signs for.
    pub fn boot_id(&self) -> &BootId {
        &self.boot_id
    }

    /// Signs a document. Only heads and statements are signed with this key.
    pub(crate) fn sign(&self, payload_type: PayloadType, payload: Vec<u8>) -> Option<Envelope> {
        let signature = self.pair.sign(&dsse::pae(payload_type, &payload));
        let mut envelope = Envelope::unsigned(payload_type, payload);
        let keyid = KeyHint::parse(self.boot_id.as_str())?;
        let sig = Base64(signature.as_ref().to_vec());
        envelope.signatures.push(dsse::Signature { keyid, sig });
        Some(envelope)
    }
}

impl Chain {
    /// The chain goes on after `position`, which is what the host says: a lie shows as a gap or a
    /// fork to anyone who holds a later head.
    pub(crate) fn continue_from(place: Option<Position>, policy: Digest) -> Self {
        Self { policy, end: Mutex::new(End { place, kept: VecDeque::new() }) }
    }

    /// Writes the receipt of a decision, in a group of one.
    pub(crate) fn append(
        &self,
        key: &ReceiptKey,
        event: Event,
        decision: Decision,
        clock: impl FnOnce() -> UtcSeconds,
    ) -> Result<Receipt, AuditError> {
        let mut end = self.lock();
        let place = end.place;
        let sequence = match place {
            None => 1,
            Some(last) => last.sequence.checked_add(1).ok_or(AuditError)?,
        };
        let body = Body {
            version: V1,
            sequence,
            previous: place.map(|last| last.body),
            boot_id: key.boot_id().clone(),
            time: clock(), // read under the lock: times in the chain do not run backwards
            policy: self.policy,
            event,
            decision,
        };
        let body = serde_json::to_vec(&body).map_err(|_| AuditError)?;
        let head = Head {
            version: V1,
            boot_id: key.boot_id().clone(),
            first: sequence,
            last: sequence,
            root: leaf_hash(&body),
            previous: place.map(|last| last.head),
        };
        let head = serde_json::to_vec(&head).map_err(|_| AuditError)?;
        let position = Position { sequence, body: Digest::of(&body), head: Digest::of(&head) };
        let head = key.sign(PayloadType::ReceiptHead, head).ok_or(AuditError)?;
        let receipt = Receipt { body: Base64(body), sequence, proof: Vec::new(), head };
        end.place = Some(position);
        if end.kept.len() >= KEPT {
            end.kept.pop_front();
        }
        end.kept.push_back(receipt.clone());
        Ok(receipt)
    }

    /// Receipts above `sequence` that the host may have lost on the way, oldest first; not all at
    /// once.
    pub fn after(&self, sequence: u64) -> Vec<Receipt> {
        let end = self.lock();
        let lost = end.kept.iter().filter(|receipt| receipt.sequence > sequence);
        lost.take(REPLAYED).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'e> ReleasedSignature<'e> {
    /// Writes the receipt of a signature, and only then makes the signature readable.
    pub fn release(unreleased: UnreleasedSignature<'e>) -> Result<Self, Failed> {
        let (approved, signature) = unreleased.into_parts();
        match approved.enclave().receipt(approved.event().clone(), Decision::Allowed) {
            Ok(receipt) => Ok(Self { approved, signature, receipt }),
            Err(AuditError) => Err(approved.failed("the receipt could not be written")),
        }
    }

    pub(crate) fn into_parts(self) -> (ApprovedIntent<'e>, Signature, Receipt) {
        (self.approved, self.signature, self.receipt)
    }
}
