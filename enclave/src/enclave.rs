//! An enclave that has booted: the only thing that has a pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_attestation::nsm::{AttestRequest, Nsm, NsmClient, NsmError};
use strongroom_policy::Policy;
use strongroom_shared::attestation::{AttestationReply, Binding};
use strongroom_shared::dsse::Envelope;
use strongroom_shared::encoding::Base64;
use strongroom_shared::id::DekId;
use strongroom_shared::receipt::{Decision, Event, Receipt};
use strongroom_shared::reply::PolicyReply;
use strongroom_shared::time::UtcSeconds;

use crate::acts::DoneActs;
use crate::audit::{AuditError, Chain, ReceiptKey, ReleasedSignature};
use crate::clock::Clock;
use crate::config::Config;
use crate::keys::Keyring;
use crate::ledger::Ledger;
use crate::refusal::Failed;
use crate::secret::SealingKey;
use crate::sign::UnreleasedSignature;

/// Everything that one life of the enclave has. Made by [`crate::boot`] only.
pub struct Enclave {
    pub(crate) nsm: Arc<dyn Nsm>,
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    pub(crate) policy_envelope: Envelope,
    pub(crate) clock: Clock,
    pub(crate) dek_id: DekId,
    pub(crate) sealing_key: SealingKey,
    pub(crate) receipt_key: ReceiptKey,
    pub(crate) binding: Vec<u8>,
    pub(crate) chain: Chain,
    pub(crate) keyring: Keyring,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) acts: DoneActs,
    pub(crate) rejections: AtomicU64,
}

impl Enclave {
    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The wallets that are open.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// What was approved before.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The trusted time.
    pub fn now(&self) -> UtcSeconds {
        self.clock.now()
    }

    /// How many requests nobody known stood behind.
    pub fn rejections(&self) -> u64 {
        self.rejections.load(Ordering::Relaxed)
    }

    pub(crate) fn count_rejection(&self) {
        self.rejections.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes the receipt of a decision.
    pub(crate) fn receipt(&self, event: Event, decision: Decision) -> Result<Receipt, AuditError> {
        self.chain.append(&self.receipt_key, event, decision, self.now())
    }

    /// Step 10 of the pipeline.
    pub(crate) fn release(
        &self,
        signature: UnreleasedSignature,
    ) -> Result<ReleasedSignature, Failed> {
        self.chain.release(&self.receipt_key, signature, self.now())
    }

    /// The policy as its admins signed it.
    pub fn policy_reply(&self) -> PolicyReply {
        PolicyReply { digest: *self.policy.digest(), envelope: self.policy_envelope.clone() }
    }

    /// A fresh document with the caller's nonce and this life's binding. It never carries the key
    /// that KMS encrypts to.
    pub fn attest(&self, nonce: Vec<u8>) -> Result<AttestationReply, NsmError> {
        let document = NsmClient::new(&*self.nsm).attest(AttestRequest {
            user_data: Some(Binding::user_data(&self.binding).as_bytes().to_vec()),
            nonce: Some(nonce),
            public_key: None,
        })?;
        Ok(AttestationReply { document: Base64(document), binding: Base64(self.binding.clone()) })
    }
}
