//! One approval, one key, one signature.
use strongroom_enclave::keys::UnlockedKey;
use strongroom_enclave::sign::UnreleasedSignature;

fn sign_twice(key: UnlockedKey<'_>) {
    let _ = UnreleasedSignature::sign(key);
    let _ = UnreleasedSignature::sign(key);
}

fn main() {}
