//! What kind of key a KEK is.

use aws_sdk_kms::types::{
    KeyManagerType, KeyMetadata, KeySpec, KeyState, KeyUsageType, OriginType,
};

use super::{KekError, Which};
use crate::kms::printable;

/// The most characters of a value of KMS that is not the one that was expected.
const MAX_VALUE: usize = 40;

/// A symmetric key of this account's own, in use, whose material KMS made, in one region.
pub(super) fn check(key: &KeyMetadata, which: Which) -> Result<(), KekError> {
    let state = key.key_state();
    let origin = key.origin();
    let from_kms = [OriginType::AwsKms, OriginType::AwsCloudhsm];
    let enabled = if key.enabled() { "true" } else { "false" };
    let multi_region = key.multi_region().map(|yes| if yes { "true" } else { "false" });
    // What is true of it, its name, what is expected, and what was found.
    for (holds, field, expected, found) in [
        (
            key.key_manager() == Some(&KeyManagerType::Customer),
            "KeyManager",
            "CUSTOMER",
            key.key_manager().map(KeyManagerType::as_str),
        ),
        (key.enabled(), "Enabled", "true", Some(enabled)),
        (state == Some(&KeyState::Enabled), "KeyState", "Enabled", state.map(KeyState::as_str)),
        (
            origin.is_some_and(|origin| from_kms.contains(origin)),
            "Origin",
            "AWS_KMS or AWS_CLOUDHSM",
            origin.map(OriginType::as_str),
        ),
        (
            key.key_spec() == Some(&KeySpec::SymmetricDefault),
            "KeySpec",
            "SYMMETRIC_DEFAULT",
            key.key_spec().map(KeySpec::as_str),
        ),
        (
            key.key_usage() == Some(&KeyUsageType::EncryptDecrypt),
            "KeyUsage",
            "ENCRYPT_DECRYPT",
            key.key_usage().map(KeyUsageType::as_str),
        ),
        // A replica in another region has a key policy of its own, which nobody looks at here.
        (key.multi_region() == Some(false), "MultiRegion", "false", multi_region),
    ] {
        if !holds {
            let found = printable(found.unwrap_or("nothing"), MAX_VALUE);
            return Err(KekError::Key { which, field, expected, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_sdk_kms::types::builders::KeyMetadataBuilder;

    use super::*;

    fn good() -> KeyMetadataBuilder {
        KeyMetadata::builder()
            .key_id("0a")
            .key_manager(KeyManagerType::Customer)
            .enabled(true)
            .key_state(KeyState::Enabled)
            .origin(OriginType::AwsKms)
            .key_spec(KeySpec::SymmetricDefault)
            .key_usage(KeyUsageType::EncryptDecrypt)
            .multi_region(false)
    }

    #[test]
    fn a_customer_s_own_key_is_taken() {
        check(&good().build().unwrap(), Which::Current).unwrap();
        let in_a_cluster = good().origin(OriginType::AwsCloudhsm).build().unwrap();
        check(&in_a_cluster, Which::Current).unwrap();
    }

    #[test]
    fn any_other_key_is_refused_by_name() {
        for (key, expected) in [
            (good().key_manager(KeyManagerType::Aws), "KeyManager: expected CUSTOMER, found AWS"),
            (good().set_key_manager(None), "KeyManager: expected CUSTOMER, found nothing"),
            (good().enabled(false), "Enabled: expected true, found false"),
            (good().key_state(KeyState::PendingDeletion), "KeyState: expected Enabled"),
            (good().origin(OriginType::External), "found EXTERNAL"),
            (good().origin(OriginType::ExternalKeyStore), "found EXTERNAL_KEY_STORE"),
            (good().key_spec(KeySpec::Rsa2048), "KeySpec: expected SYMMETRIC_DEFAULT"),
            (good().key_usage(KeyUsageType::SignVerify), "KeyUsage: expected ENCRYPT_DECRYPT"),
            (good().multi_region(true), "MultiRegion: expected false, found true"),
            (good().set_multi_region(None), "MultiRegion: expected false, found nothing"),
        ] {
            let error = check(&key.build().unwrap(), Which::Previous).unwrap_err().to_string();
            assert!(error.starts_with("previous kek: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
