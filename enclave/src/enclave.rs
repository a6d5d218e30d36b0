//! An enclave that has booted: the only thing that has a pipeline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_attestation::nsm::{AttestRequest, Nsm, NsmClient, NsmError};
use strongroom_policy::Policy;
use strongroom_shared::attestation::{AttestationReply, Binding};
use strongroom_shared::dsse::Envelope;
use strongroom_shared::encoding::Base64;
use strongroom_shared::id::DekId;
use strongroom_shared::receipt::{Decision, Event, Receipt};
use strongroom_shared::reply::{PolicyReply, WalletInfo};
use strongroom_shared::time::UtcSeconds;
use strongroom_shared::wire::Booted;

use crate::acts::DoneActs;
use crate::audit::{AuditError, Chain, ReceiptKey};
use crate::clock::Clock;
use crate::config::Config;
use crate::keys::Keyring;
use crate::ledger::Ledger;
use crate::secret::SealingKey;

/// How old the NSM's last word about the time may be.
const ANCHOR_AGE: Duration = Duration::from_secs(300);

/// Everything that one life of the enclave has. Made by [`crate::boot`] only.
pub struct Enclave {
    pub(crate) nsm: Arc<dyn Nsm>,
    pub(crate) config: Config,
    pub(crate) policy: Policy,
    pub(crate) policy_envelope: Envelope,
    pub(crate) clock: Mutex<Clock>,
    pub(crate) dek_id: DekId,
    pub(crate) sealing_key: SealingKey,
    pub(crate) receipt_key: ReceiptKey,
    pub(crate) binding: Vec<u8>,
    pub(crate) chain: Chain,
    pub(crate) keyring: Keyring,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) acts: DoneActs,
    pub(crate) rejections: AtomicU64,
    pub(crate) booted: Booted,
}

impl Enclave {
    /// The trusted time. Asks the NSM again when its last word is [`ANCHOR_AGE`] old, so that a
    /// monotonic clock that drifts does not keep expired intents alive.
    pub(crate) fn now(&self) -> UtcSeconds {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if clock.age() > ANCHOR_AGE {
            clock.ask_again(&*self.nsm);
        }
        clock.now()
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
        self.chain.append(&self.receipt_key, event, decision, || self.now())
    }

    /// What its boot gave: the host may have lost it on the way.
    pub fn booted(&self) -> &Booted {
        &self.booted
    }

    /// Receipts that the host may have lost on the way.
    pub fn receipts_after(&self, sequence: u64) -> Vec<Receipt> {
        self.chain.after(sequence)
    }

    /// Every open wallet.
    pub fn wallets(&self) -> Vec<WalletInfo> {
        self.keyring.all().iter().map(|wallet| wallet.info()).collect()
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
