//! The actions of KMS that a key policy may name, one by one, and what the dangerous others give away.
//!
//! Names are compared without regard to case, as AWS does.

use super::hole::Hole;

/// What the enclave does with its KEK, always with an attestation document.
pub(super) const ATTESTED: [&str; 2] = [DECRYPT, GENERATE_DATA_KEY];
/// What the enclave looks at before it asks for the DEK.
pub(super) const INSPECTION: [&str; 3] = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"];
/// The break-glass.
pub(super) const PUT_KEY_POLICY: &str = "kms:PutKeyPolicy";

/// What moves a DEK to this KEK.
pub(super) const ENCRYPT: &str = "kms:Encrypt";

const DECRYPT: &str = "kms:Decrypt";
const GENERATE_DATA_KEY: &str = "kms:GenerateDataKey";

/// They show the key's settings, and nothing that it protects.
pub(super) const READ: [&str; 7] = [
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
];

/// They change what does not decide who gets the DEK. The worst of them destroy: availability is the
/// account's to keep.
pub(super) const MANAGE: [&str; 15] = [
    "kms:CancelKeyDeletion",
    // The enclave names its key by the ARN: an alias leads it nowhere.
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    // They take a grant away.
    "kms:RetireGrant",
    "kms:RevokeGrant",
    // Old key material stays, and is bound by the same key policy.
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    // A condition on a tag can only narrow a statement here, and IAM policies decide nothing where
    // the account is no principal.
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
];

/// Actions with a hole of their own.
const DANGEROUS: [(&str, Hole); 9] = [
    ("kms:ReEncryptFrom", Hole::ReEncrypt),
    ("kms:ReEncryptTo", Hole::ReEncrypt),
    ("kms:CreateGrant", Hole::CreateGrant),
    ("kms:ReplicateKey", Hole::ReplicateKey),
    ("kms:UpdatePrimaryRegion", Hole::ReplicateKey),
    ("kms:ImportKeyMaterial", Hole::ImportKeyMaterial),
    ("kms:GenerateDataKeyWithoutPlaintext", Hole::GenerateWithoutPlaintext),
    ("kms:GenerateDataKeyPair", Hole::GenerateKeyPair),
    ("kms:GenerateDataKeyPairWithoutPlaintext", Hole::GenerateKeyPair),
];

/// What a statement may do with an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Anybody may.
    Read,
    /// Admin roles may, and never the host's.
    Manage,
    /// Attested enclaves may.
    Decrypt,
    /// Attested enclaves may.
    GenerateDataKey,
    /// The break-glass.
    PutKeyPolicy,
    /// While a change to this KEK is under way.
    Encrypt,
    /// Nobody may.
    Never(Hole),
}

/// Looks an action up. What is in no table is for nobody.
pub(super) fn classify(action: &str) -> Class {
    let is = |name: &str| action.eq_ignore_ascii_case(name);
    if action.contains(['*', '?']) {
        Class::Never(Hole::ActionWildcard)
    } else if READ.into_iter().any(is) {
        Class::Read
    } else if MANAGE.into_iter().any(is) {
        Class::Manage
    } else if is(DECRYPT) {
        Class::Decrypt
    } else if is(GENERATE_DATA_KEY) {
        Class::GenerateDataKey
    } else if is(PUT_KEY_POLICY) {
        Class::PutKeyPolicy
    } else if is(ENCRYPT) {
        Class::Encrypt
    } else {
        let dangerous = DANGEROUS.into_iter().find(|(name, _)| is(name));
        Class::Never(dangerous.map_or(Hole::UnlistedAction, |(_, hole)| hole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_known_in_any_case() {
        assert_eq!(classify("KMS:DESCRIBEKEY"), Class::Read);
        assert_eq!(classify("kms:schedulekeydeletion"), Class::Manage);
        assert_eq!(classify("kms:decrypt"), Class::Decrypt);
        assert_eq!(classify("Kms:generatedatakey"), Class::GenerateDataKey);
        assert_eq!(classify("kms:REENCRYPTfrom"), Class::Never(Hole::ReEncrypt));
    }

    #[test]
    fn what_is_in_no_table_is_for_nobody() {
        // the second begins with the Kelvin sign, which folds to a k
        for other in ["", "\u{212a}ms:DescribeKey", "DescribeKey", "s3:GetObject", "kms:Sign"] {
            assert_eq!(classify(other), Class::Never(Hole::UnlistedAction), "{other}");
        }
        for other in ["*", "kms:*", "kms:Get*", "kms:Decryp?", "kms:ReEncrypt*"] {
            assert_eq!(classify(other), Class::Never(Hole::ActionWildcard), "{other}");
        }
    }
}
