//! The DEK: released by KMS to what is measured, and known by its own id.

use strongroom_policy::DekRule;

use super::kek::CheckedKek;
use super::{BootError, PolicyLocked, kek_change};
use crate::kms::{Kms, KmsError, Refusal};
use crate::secret::Dek;

/// A DEK that came from KMS and that the policy accepts.
pub(super) struct UnwrappedDek {
    pub(super) dek: Dek,
    pub(super) origin: Origin,
}

/// Where a DEK comes from, and what the host has to store of it.
pub(super) enum Origin {
    /// The host has it in store.
    Stored,
    /// KMS generated it in this boot: the DEK as KMS encrypted it.
    Generated(Vec<u8>),
    /// It was moved from the previous KEK in this boot: the DEK as KMS encrypted it under the new one.
    Moved(Vec<u8>),
}

impl UnwrappedDek {
    /// Decrypts the DEK that the host has in store, or, where the policy is provisioning and there
    /// is none, has KMS generate one.
    pub(super) async fn ask(
        phase: &PolicyLocked,
        kms: &Kms,
        kek: &CheckedKek<'_>,
        stored: Option<&[u8]>,
    ) -> Result<Self, BootError> {
        let Some(stored) = stored else {
            return Self::generate(phase, kms, kek).await;
        };
        let under_another = |error: &KmsError| {
            matches!(error.refusal(), Some(Refusal::IncorrectKey | Refusal::InvalidCiphertext))
        };
        match (decrypt(phase, kms, kek, stored).await, phase.previous_kek()) {
            (Err(BootError::Kms(error)), Some(previous)) if under_another(&error) => {
                kek_change::move_dek(phase, kms, previous, kek, stored).await
            }
            (result, _) => Ok(Self { dek: result?, origin: Origin::Stored }),
        }
    }

    async fn generate(
        phase: &PolicyLocked,
        kms: &Kms,
        kek: &CheckedKek<'_>,
    ) -> Result<Self, BootError> {
        match phase.policy.dek_rule() {
            DekRule::Provisioning => {}
            DekRule::Listed(_) => return Err(BootError::DekMissing),
        }
        let documents = || phase.measured.document_for_kms();
        let generated = kms.generate(kek.arn(), &documents).await?;
        let dek = open(phase, &generated.ciphertext_for_recipient)?;
        Ok(Self { dek, origin: Origin::Generated(generated.encrypted_dek) })
    }
}

/// Attested `Decrypt` of a DEK, which the policy must know.
pub(super) async fn decrypt(
    phase: &PolicyLocked,
    kms: &Kms,
    kek: &CheckedKek<'_>,
    encrypted: &[u8],
) -> Result<Dek, BootError> {
    let documents = || phase.measured.document_for_kms();
    let dek = open(phase, &kms.decrypt(kek.arn(), encrypted, &documents).await?)?;
    // KMS says that the DEK was encrypted under our KEK; it does not say by whom. Whoever may
    // call Encrypt on the KEK knows the DEK that they made. The policy knows the right one.
    match phase.policy.dek_rule() {
        DekRule::Provisioning => {}
        DekRule::Listed(ids) if ids.contains(&dek.id()) => {}
        DekRule::Listed(_) => return Err(BootError::DekNotListed(dek.id())),
    }
    Ok(dek)
}

fn open(phase: &PolicyLocked, ciphertext_for_recipient: &[u8]) -> Result<Dek, BootError> {
    let plaintext = phase.measured.recipient.open(ciphertext_for_recipient)?;
    Dek::from_kms(&plaintext).ok_or(BootError::DekLength)
}
