//! The change to another KEK: the DEK stays, and with it every sealed key.
//!
//! The enclave opens the DEK under the previous KEK as always, attested, and encrypts it under the
//! new one over its own TLS. `ReEncrypt` could do that in one call, and is not used: it needs no
//! attestation, so a key policy that allows it lets the DEK be carried to anybody's key.
//!
//! `Encrypt` under the new KEK is open to the enclave's role meanwhile, and so to the host, which can
//! make DEKs of its own under it. They are not the one that the policy lists; hence no change of the
//! KEK under a provisioning policy.

use super::dek::UnwrappedDek;
use super::kek::{CheckedKek, Current, Previous};
use super::{BootError, PolicyLocked};

/// Moves the DEK from the KEK `previous` to `kek`.
pub(super) async fn move_dek(
    phase: &PolicyLocked,
    previous: &CheckedKek<'_, Previous>,
    kek: &CheckedKek<'_, Current>,
    stored: &[u8],
) -> Result<UnwrappedDek, BootError> {
    let unwrapped = UnwrappedDek::decrypt(phase, previous, stored).await?;
    let moved = kek.encrypt(&unwrapped.dek().for_another_kek()).await?;
    // The host stores it, and the previous KEK may be deleted one day: it has to open.
    let found = UnwrappedDek::decrypt(phase, kek, &moved).await?.dek().id();
    let expected = unwrapped.dek().id();
    if found != expected {
        return Err(BootError::DekNotMoved { expected, found });
    }
    Ok(unwrapped.moved(moved, previous.key_policy()))
}
