//! The second phase: the policy is locked into PCR17, for the rest of this life.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use strongroom_policy::Policy;
use strongroom_shared::attestation::Binding;
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::Envelope;
use strongroom_shared::id::BootId;
use strongroom_shared::intent::V1;
use strongroom_shared::receipt::{Decision, Event};
use strongroom_shared::wire::{BootMaterial, Booted};

use super::dek::{Origin, UnwrappedDek};
use super::kek::Keks;
use super::{BootError, Measured};
use crate::acts::DoneActs;
use crate::audit::{AuditError, Chain, ReceiptKey};
use crate::clock::Clock;
use crate::enclave::Enclave;
use crate::entropy;
use crate::keys::Keyring;
use crate::kms::HostCredentials;
use crate::ledger::Ledger;
use crate::platform::Transport;
use crate::secret::Dek;

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

    /// The last phase: an enclave that signs.
    pub(crate) fn into_enclave(self, life: Life) -> Enclave {
        let Self { measured: Measured { nsm, config, recipient: _ }, policy, clock, envelope } =
            self;
        let Life { dek, receipt_key, chain, binding, booted } = life;
        let horizon = policy.wallets().map(|wallet| wallet.max_intent_seconds()).max();
        Enclave {
            sealing_key: dek.wallet_sealing_key(),
            dek_id: dek.id(),
            ledger: Arc::new(Ledger::new(horizon.unwrap_or(0))),
            clock: Mutex::new(clock),
            keyring: Keyring::default(),
            acts: DoneActs::default(),
            rejections: AtomicU64::new(0),
            policy_envelope: envelope,
            nsm,
            config,
            policy,
            receipt_key,
            chain,
            binding,
            booted,
        }
    }

    /// Looks at the KEK, asks KMS for the DEK, makes what is new in each life, and writes the receipt of
    /// the boot. What fails leaves this phase as it is: KMS may be away for a while, and the host may
    /// try again.
    pub(crate) async fn begin_life<T: Transport>(
        &mut self,
        material: &BootMaterial,
        transport: Arc<T>,
    ) -> Result<Life, BootError> {
        // KMS may have been away for long: the time is asked for anew, and the policy may have ended.
        self.clock.ask_again(&*self.measured.nsm);
        self.measured.check_not_after(&self.policy, &self.clock)?;
        let Self { measured: Measured { nsm, config, recipient: _ }, policy, clock, envelope: _ } =
            &*self;
        let credentials = HostCredentials::read(&material.credentials)?;
        let keks = Keks::of(&self.measured, *clock, credentials, transport)?;
        let kek = keks.current().await?;
        let stored = material.encrypted_dek.as_ref().map(|encrypted| encrypted.as_slice());
        let (dek, origin) = UnwrappedDek::ask(self, &keks, &kek, stored).await?.into_parts();
        let (dek_id, policy) = (dek.id(), *policy.digest());
        let boot_id = BootId::from_random(entropy::random(&**nsm)?);
        let receipt_key = ReceiptKey::generate(&**nsm, boot_id.clone())?;
        let binding = Binding {
            version: V1,
            boot_id: boot_id.clone(),
            receipt_key: receipt_key.public().clone(),
            policy,
            configuration: config.digest(),
            dek_id,
        };
        let binding = serde_json::to_vec(&binding).map_err(|_| AuditError)?;
        let (encrypted_dek, dek_generated, previous_key_policy) = match origin {
            Origin::Stored => (None, false, None),
            Origin::Generated(encrypted_dek) => (Some(encrypted_dek), true, None),
            Origin::Moved { encrypted_dek, previous_key_policy } => {
                (Some(encrypted_dek), false, Some(previous_key_policy))
            }
        };
        let event = Event::Boot {
            configuration: config.digest(),
            key_policy: kek.key_policy(),
            previous_key_policy,
            dek_id,
            dek_generated,
        };
        let chain = Chain::continue_from(material.position, policy);
        let receipt = chain.append(&receipt_key, event, Decision::Allowed, || clock.now())?;
        let encrypted_dek = encrypted_dek.map(Into::into);
        let booted = Booted { boot_id, policy, dek_id, encrypted_dek, receipt };
        Ok(Life { dek, receipt_key, chain, binding, booted })
    }
}

/// What is new in each life of an enclave.
pub(crate) struct Life {
    dek: Dek,
    receipt_key: ReceiptKey,
    chain: Chain,
    binding: Vec<u8>,
    booted: Booted,
}
