//! Secrets are not cloned or printed.
use strongroom_enclave::keys::UnlockedKey;
use strongroom_enclave::keys::seal::Seed;
use strongroom_enclave::secret::Dek;

fn leak(dek: &Dek, seed: &Seed, key: &UnlockedKey<'_>) {
    let _ = dek.clone();
    let _ = format!("{seed:?}");
    let _ = format!("{key:?}");
}

fn main() {}
