//! Randomness: the NSM's and the kernel's together, so that neither alone decides.

use sha2::{Digest as _, Sha256};
use strongroom_attestation::nsm::{Nsm, NsmClient, NsmError};
use zeroize::Zeroizing;

/// Why there is no randomness.
#[derive(Debug, thiserror::Error)]
pub enum EntropyError {
    /// The NSM gave none.
    #[error(transparent)]
    Nsm(#[from] NsmError),
    /// The kernel gave none.
    #[error("entropy: the kernel gave none")]
    Kernel,
}

/// 32 bytes: SHA-256 over a domain, 32 bytes of the NSM and 32 bytes of the kernel. They are
/// unpredictable as long as either source is.
pub fn random_32(nsm: &dyn Nsm) -> Result<Zeroizing<[u8; 32]>, EntropyError> {
    let mut device = Zeroizing::new([0; 32]);
    NsmClient::new(nsm).random(device.as_mut_slice())?;
    let mut kernel = Zeroizing::new([0; 32]);
    getrandom::fill(kernel.as_mut_slice()).map_err(|_| EntropyError::Kernel)?;
    let hash = Sha256::new()
        .chain_update(b"strongroom-entropy-v1\0")
        .chain_update(device.as_slice())
        .chain_update(kernel.as_slice());
    let mut mixed = Zeroizing::new([0; 32]);
    hash.finalize_into((&mut *mixed).into());
    Ok(mixed)
}

/// `N` bytes (at most 32) of [`random_32`], for values that are no secret: ids and nonces.
pub fn random<const N: usize>(nsm: &dyn Nsm) -> Result<[u8; N], EntropyError> {
    const { assert!(N <= 32) };
    let mixed = random_32(nsm)?;
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(mixed.iter()) {
        *to = *from;
    }
    Ok(bytes)
}
