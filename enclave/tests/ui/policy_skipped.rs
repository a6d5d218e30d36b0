//! A decoded intent, whose policy was not asked, unlocks no key.
use strongroom_enclave::decode::DecodedIntent;
use strongroom_enclave::keys::UnlockedKey;

fn skip_policy(decoded: DecodedIntent<'_>) {
    let _ = UnlockedKey::unlock(decoded);
}

fn main() {}
