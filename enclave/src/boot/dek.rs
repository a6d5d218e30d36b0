//! The DEK: released by KMS to what is measured, and known by its own id.

use std::sync::Arc;

use strongroom_attestation::nsm::{AttestRequest, NsmClient};
use strongroom_policy::DekRule;
use strongroom_shared::wire::BootMaterial;

use super::{BootError, PolicyLocked};
use crate::kms::{Kms, Released};
use crate::platform::Transport;
use crate::secret::Dek;

/// A DEK that came from KMS and that the policy accepts.
pub(super) struct UnwrappedDek {
    pub(super) dek: Dek,
    pub(super) encrypted_dek: Option<Vec<u8>>,
}

impl UnwrappedDek {
    /// Decrypts the DEK that the host has in store, or, where the policy is provisioning and there
    /// is none, has KMS generate one.
    pub(super) async fn ask<T: Transport>(
        phase: &PolicyLocked,
        material: &BootMaterial,
        transport: Arc<T>,
    ) -> Result<Self, BootError> {
        let PolicyLocked { measured, policy, clock, .. } = phase;
        let kms = Kms::new(&measured.config, *clock, &material.credentials, transport)?;
        // A fresh document for each call: KMS refuses those of more than five minutes.
        let document = NsmClient::new(&*measured.nsm).attest(AttestRequest {
            public_key: Some(measured.recipient.public_key_der().to_vec()),
            ..AttestRequest::default()
        })?;
        let released = match (&material.encrypted_dek, policy.dek_rule()) {
            (Some(encrypted), _) => kms.decrypt(encrypted.to_vec(), document).await?,
            (None, DekRule::Provisioning) => kms.generate(document).await?,
            (None, DekRule::Listed(_)) => return Err(BootError::DekMissing),
        };
        let Released { ciphertext_for_recipient, encrypted_dek } = released;
        let plaintext = measured.recipient.open(&ciphertext_for_recipient)?;
        let dek = Dek::from_kms(&plaintext).ok_or(BootError::DekLength)?;
        // KMS says that the DEK was encrypted under our KEK; it does not say by whom. Whoever may
        // call Encrypt on the KEK knows the DEK that they made. The policy knows the right one.
        match policy.dek_rule() {
            DekRule::Provisioning => {}
            DekRule::Listed(ids) if ids.contains(&dek.id()) => {}
            DekRule::Listed(_) => return Err(BootError::DekNotListed(dek.id())),
        }
        Ok(Self { dek, encrypted_dek })
    }
}
