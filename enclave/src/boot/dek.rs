//! The DEK: released by KMS to what is measured, and known by its own id.

use strongroom_policy::DekRule;
use strongroom_shared::digest::Digest;

use super::kek::{CheckedKek, Current, Keks, Role};
use super::{BootError, PolicyLocked, kek_change};
use crate::kms::{KmsError, Refusal};
use crate::secret::Dek;

/// A DEK that came from KMS and that the policy accepts.
pub(super) struct UnwrappedDek {
    dek: Dek,
    origin: Origin,
}

/// Where a DEK comes from, and what the host has to store of it.
pub(super) enum Origin {
    /// The host has it in store.
    Stored,
    /// KMS generated it in this boot: the DEK as KMS encrypted it.
    Generated(Vec<u8>),
    /// It was moved from the previous KEK in this boot.
    Moved {
        /// The DEK as KMS encrypted it under the new KEK.
        encrypted_dek: Vec<u8>,
        /// SHA-256 of the canonical form of the previous KEK's key policy.
        previous_key_policy: Digest,
    },
}

impl UnwrappedDek {
    /// Decrypts the DEK that the host has in store, or, where the policy is provisioning and there
    /// is none, has KMS generate one.
    pub(super) async fn ask(
        phase: &PolicyLocked,
        keks: &Keks<'_>,
        kek: &CheckedKek<'_, Current>,
        stored: Option<&[u8]>,
    ) -> Result<Self, BootError> {
        let Some(stored) = stored else {
            return Self::generate(phase, kek).await;
        };
        let under_another = |error: &KmsError| {
            matches!(error.refusal(), Some(Refusal::IncorrectKey | Refusal::InvalidCiphertext))
        };
        match Self::decrypt(phase, kek, stored).await {
            Err(BootError::Kms(error)) if under_another(&error) => match keks.previous().await? {
                Some(previous) => kek_change::move_dek(phase, &previous, kek, stored).await,
                None => Err(error.into()),
            },
            result => result,
        }
    }

    /// Attested `Decrypt` of a DEK, which the policy must know.
    pub(super) async fn decrypt<R: Role>(
        phase: &PolicyLocked,
        kek: &CheckedKek<'_, R>,
        encrypted_dek: &[u8],
    ) -> Result<Self, BootError> {
        let documents = || phase.measured.document_for_kms();
        let dek = open(phase, &kek.decrypt(encrypted_dek, &documents).await?)?;
        // KMS says that the DEK was encrypted under our KEK; it does not say by whom. Whoever may
        // call Encrypt on the KEK knows the DEK that they made. The policy knows the right one.
        match phase.policy.dek_rule() {
            DekRule::Provisioning => {}
            DekRule::Listed(ids) if ids.contains(&dek.id()) => {}
            DekRule::Listed(_) => return Err(BootError::DekNotListed(dek.id())),
        }
        Ok(Self { dek, origin: Origin::Stored })
    }

    async fn generate(
        phase: &PolicyLocked,
        kek: &CheckedKek<'_, Current>,
    ) -> Result<Self, BootError> {
        match phase.policy.dek_rule() {
            DekRule::Provisioning => {}
            DekRule::Listed(_) => return Err(BootError::DekMissing),
        }
        let documents = || phase.measured.document_for_kms();
        let generated = kek.generate(&documents).await?;
        let dek = open(phase, &generated.ciphertext_for_recipient)?;
        Ok(Self { dek, origin: Origin::Generated(generated.encrypted_dek) })
    }

    /// The same DEK, as KMS encrypted it under the new KEK.
    pub(super) fn moved(self, encrypted_dek: Vec<u8>, previous_key_policy: Digest) -> Self {
        Self { origin: Origin::Moved { encrypted_dek, previous_key_policy }, ..self }
    }

    /// The DEK.
    pub(super) fn dek(&self) -> &Dek {
        &self.dek
    }

    /// The DEK, and where it comes from.
    pub(super) fn into_parts(self) -> (Dek, Origin) {
        let Self { dek, origin } = self;
        (dek, origin)
    }
}

fn open(phase: &PolicyLocked, ciphertext_for_recipient: &[u8]) -> Result<Dek, BootError> {
    let plaintext = phase.measured.recipient.open(ciphertext_for_recipient)?;
    Dek::from_kms(&plaintext).ok_or(BootError::DekLength)
}
