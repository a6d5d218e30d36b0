//! Key material at rest: AES-256-GCM (NIST SP 800-38D) under a key derived from the DEK.
//!
//! The AAD is the key's canonical identity, so a blob that is moved to another row, relabelled, or
//! put under another DEK does not open.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use serde_bytes::ByteBuf;
use strongroom_attestation::nsm::Nsm;
use strongroom_shared::id::{DekId, KeyId, WalletId};
use strongroom_shared::wire::{KeyKind, SealedKey};
use zeroize::Zeroizing;

use crate::entropy::{self, EntropyError};
use crate::secret::SealingKey;

/// The length of a seed that is generated here, in bytes (BIP-32 asks for 16 to 64).
const SEED_BYTES: usize = 32;

/// The seed of an HD wallet. Wiped on drop; the only way out is [`Seed::seal`].
pub struct Seed(Zeroizing<[u8; SEED_BYTES]>);

/// Why a seed could not be made or sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// AES-GCM refused; it does so only for inputs of more than 64 GiB.
    #[error("seal: encryption failed")]
    Encrypt,
}

/// The blob is not this key of this wallet under this DEK. Which part is wrong cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed key does not open: it was altered, relabelled, or sealed under another DEK")]
pub struct OpenError;

impl Seed {
    /// A new seed, of the NSM's and the kernel's randomness.
    pub fn generate(nsm: &dyn Nsm) -> Result<Self, EntropyError> {
        entropy::random_32(nsm).map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Seals this seed as a new key of `wallet`, with an id and a nonce of its own. The nonce is
    /// random: a DEK seals a handful of wallets, far from the 2³² that 12 random bytes allow.
    pub fn seal(
        &self,
        key: &SealingKey,
        dek_id: DekId,
        wallet: &WalletId,
        nsm: &dyn Nsm,
    ) -> Result<SealedKey, SealError> {
        let nonce = entropy::random::<12>(nsm)?;
        let mut sealed = SealedKey {
            key_id: new_key_id(nsm)?,
            kind: KeyKind::HdSeed,
            wallet: wallet.clone(),
            dek_id,
            nonce: ByteBuf::from(nonce),
            ciphertext: ByteBuf::new(),
        };
        let aad = identity(&sealed);
        let payload = Payload { msg: self.as_bytes(), aad: &aad };
        let cipher = Aes256Gcm::new(key.as_bytes().into());
        let ciphertext =
            cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::Encrypt)?;
        sealed.ciphertext = ByteBuf::from(ciphertext);
        Ok(sealed)
    }

    /// Opens a sealed seed, if it is exactly what its labels say.
    pub fn open(key: &SealingKey, dek_id: DekId, sealed: &SealedKey) -> Result<Self, OpenError> {
        if sealed.dek_id != dek_id {
            return Err(OpenError);
        }
        let nonce: [u8; 12] = sealed.nonce.as_slice().try_into().map_err(|_| OpenError)?;
        let aad = identity(sealed);
        let payload = Payload { msg: &sealed.ciphertext, aad: &aad };
        let cipher = Aes256Gcm::new(key.as_bytes().into());
        let opened = cipher.decrypt(&Nonce::from(nonce), payload).map_err(|_| OpenError)?;
        let opened = Zeroizing::new(opened);
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        if opened.len() != seed.len() {
            return Err(OpenError);
        }
        seed.copy_from_slice(&opened);
        Ok(Self(seed))
    }
}

fn new_key_id(nsm: &dyn Nsm) -> Result<KeyId, EntropyError> {
    Ok(KeyId::from_random(entropy::random::<16>(nsm)?))
}

/// What a blob is bound to: format version, key id, kind, wallet, DEK id; each with its length.
fn identity(sealed: &SealedKey) -> Vec<u8> {
    let SealedKey { key_id, kind, wallet, dek_id, nonce: _, ciphertext: _ } = sealed;
    let mut aad = b"strongroom-sealed-key-v1\0".to_vec();
    let dek_id = dek_id.to_string();
    for part in [key_id.as_str(), kind.as_str(), wallet.as_str(), &dek_id] {
        // every part is bounded by its type: at most 64 bytes
        aad.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        aad.extend_from_slice(part.as_bytes());
    }
    aad
}
