//! The change to another KEK: the DEK stays, and with it every sealed key.
//!
//! The enclave opens the DEK under the previous KEK as always, attested, and encrypts it under the
//! new one over its own TLS. `ReEncrypt` could do that in one call, and is not used: it needs no
//! attestation, so a key policy that allows it lets the DEK be carried to anybody's key.
//!
//! `Encrypt` under the new KEK is open to the enclave's role meanwhile, and so to the host, which can
//! make DEKs of its own under it. They are not the one that the policy lists; hence no change of the
//! KEK under a provisioning policy.

use super::dek::{Origin, UnwrappedDek, decrypt};
use super::kek::{CheckedKek, releases};
use super::{BootError, PolicyLocked};
use crate::config::KeyArn;
use crate::kms::Kms;

/// Moves the DEK from the KEK `previous`, which is checked first, to `kek`.
pub(super) async fn move_dek(
    phase: &PolicyLocked,
    kms: &Kms,
    previous: &KeyArn,
    kek: &CheckedKek<'_>,
    stored: &[u8],
) -> Result<UnwrappedDek, BootError> {
    let releases = releases(&phase.measured)?;
    let config = phase.measured.config.kms();
    let previous = CheckedKek::previous(kms, config, previous, &releases).await?;
    let dek = decrypt(phase, kms, &previous, stored).await?;
    let moved = kms.encrypt(kek.arn(), &dek.for_another_kek()).await?;
    // The host stores it, and the previous KEK may be deleted one day: it has to open.
    let found = decrypt(phase, kms, kek, &moved).await?.id();
    if found != dek.id() {
        return Err(BootError::DekNotMoved { expected: dek.id(), found });
    }
    Ok(UnwrappedDek { dek, origin: Origin::Moved(moved) })
}
