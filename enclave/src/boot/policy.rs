//! The second phase: the policy is locked into PCR17, for the rest of this life.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use strongroom_policy::Policy;
use strongroom_shared::attestation::Binding;
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::Envelope;
use strongroom_shared::id::BootId;
use strongroom_shared::intent::V1;
use strongroom_shared::receipt::{Decision, Event, Position};
use strongroom_shared::wire::{BootMaterial, Booted};

use super::dek::UnwrappedDek;
use super::{BootError, Measured};
use crate::acts::DoneActs;
use crate::audit::{AuditError, Chain, ReceiptKey};
use crate::clock::Clock;
use crate::enclave::Enclave;
use crate::entropy;
use crate::keys::Keyring;
use crate::ledger::Ledger;
use crate::platform::Transport;

/// An enclave whose configuration and policy are measured. It waits for its DEK.
pub struct PolicyLocked {
    pub(super) measured: Measured,
    pub(super) policy: Policy,
    pub(super) clock: Clock,
    envelope: Envelope,
}

impl PolicyLocked {
    pub(super) fn new(
        measured: Measured,
        envelope: Envelope,
        policy: Policy,
        clock: Clock,
    ) -> Self {
        Self { measured, policy, clock, envelope }
    }

    /// The digest of the policy that is locked.
    pub fn digest(&self) -> Digest {
        *self.policy.digest()
    }

    /// Asks KMS for the DEK. A failure leaves everything as it is: the host may try again.
    pub async fn unwrap_dek<T: Transport>(
        &self,
        material: &BootMaterial,
        transport: Arc<T>,
    ) -> Result<UnwrappedDek, BootError> {
        UnwrappedDek::ask(self, material, transport).await
    }

    /// The last phase: with the DEK, an enclave that signs. It writes the receipt of its boot.
    pub fn into_enclave(
        self,
        dek: UnwrappedDek,
        position: Option<Position>,
    ) -> Result<(Enclave, Booted), BootError> {
        let Self { measured: Measured { nsm, config, recipient: _ }, policy, clock, envelope } =
            self;
        let UnwrappedDek { dek, encrypted_dek } = dek;
        let (dek_id, policy_digest) = (dek.id(), *policy.digest());
        let boot_id = BootId::from_random(entropy::random(&*nsm)?);
        let receipt_key = ReceiptKey::generate(&*nsm, boot_id.clone())?;
        let binding = Binding {
            version: V1,
            boot_id: boot_id.clone(),
            receipt_key: receipt_key.public().clone(),
            policy: policy_digest,
            configuration: config.digest(),
            dek_id,
        };
        let binding = serde_json::to_vec(&binding).map_err(|_| AuditError)?;
        let horizon = policy.wallets().map(|wallet| wallet.max_intent_seconds()).max();
        let event = Event::Boot {
            configuration: config.digest(),
            dek_id,
            dek_generated: encrypted_dek.is_some(),
        };
        let enclave = Enclave {
            sealing_key: dek.wallet_sealing_key(),
            dek_id,
            chain: Chain::continue_from(position, policy_digest),
            ledger: Arc::new(Ledger::new(horizon.unwrap_or(0))),
            keyring: Keyring::default(),
            acts: DoneActs::default(),
            rejections: AtomicU64::new(0),
            policy_envelope: envelope,
            nsm,
            config,
            policy,
            clock,
            receipt_key,
            binding,
        };
        let receipt = enclave.receipt(event, Decision::Allowed)?;
        let encrypted_dek = encrypted_dek.map(Into::into);
        let booted = Booted { boot_id, policy: policy_digest, dek_id, encrypted_dek, receipt };
        Ok((enclave, booted))
    }
}
