//! What the real KMS refuses in a policy that is put, besides what cannot be read at all.
//!
//! IAM User Guide, "Grammar of the IAM JSON policy language"; AWS KMS API reference, `PutKeyPolicy`; AWS KMS
//! Developer Guide, "Condition keys for AWS KMS". Keys of other services are not looked at.

use std::collections::BTreeSet;

use super::{
    PolicyError, condition,
    syntax::{Document, StatementText},
};

/// Operators that take the suffix `IfExists`, in the spelling that is asked for.
const OPERATORS: [&str; 26] = [
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "BinaryEquals",
    "Bool",
    "DateEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateNotEquals",
    "IpAddress",
    "NotIpAddress",
    "NumericEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericNotEquals",
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
];

/// Keys of KMS that are not evaluated here, in lower case and without `kms:`.
const KEYS: [&str; 31] = [
    "bypasspolicylockoutsafetycheck",
    "customermasterkeyspec",
    "customermasterkeyusage",
    "datakeypairspec",
    "encryptionalgorithm",
    "expirationmodel",
    "grantconstrainttype",
    "grantisforawsresource",
    "grantoperations",
    "granteeprincipal",
    "keyagreementalgorithm",
    "keyorigin",
    "keyspec",
    "keyusage",
    "macalgorithm",
    "messagetype",
    "multiregion",
    "multiregionkeytype",
    "primaryregion",
    "reencryptonsamekey",
    "replicaregion",
    "requestalias",
    "resourcealiases",
    "retiringprincipal",
    "rotationperiodindays",
    "schedulekeydeletionpendingwindowindays",
    "signingalgorithm",
    "validto",
    "viaservice",
    "wrappingalgorithm",
    "wrappingkeyspec",
];

pub(super) fn check(text: &str, document: &Document) -> Result<(), PolicyError> {
    if !text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')) {
        return Err(PolicyError::Character);
    }
    let mut sids = BTreeSet::new();
    for (statement, text) in document.statement.as_slice().iter().enumerate() {
        let StatementText { sid, action, condition, .. } = &text.0;
        if sid.as_ref().is_some_and(|sid| !sid.is_empty() && !sids.insert(sid)) {
            return Err(PolicyError::Sid { statement });
        }
        if !action.as_slice().iter().all(|action| is_action(action)) {
            return Err(PolicyError::Action { statement });
        }
        for (operator, keys) in condition.iter().flat_map(|condition| &condition.0) {
            if !is_operator(operator) {
                return Err(PolicyError::Operator { statement });
            }
            if !keys.0.keys().all(|key| is_key(key)) {
                return Err(PolicyError::Key { statement });
            }
        }
    }
    Ok(())
}

/// `*`, or `service:name`.
fn is_action(action: &str) -> bool {
    let service = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    action == "*"
        || action
            .split_once(':')
            .is_some_and(|(of, name)| !of.is_empty() && of.bytes().all(service) && !name.is_empty())
}

fn is_operator(name: &str) -> bool {
    let quantified = ["ForAllValues:", "ForAnyValue:"].iter().find_map(|of| name.strip_prefix(of));
    let name = quantified.unwrap_or(name);
    name == "Null" || OPERATORS.contains(&name.strip_suffix("IfExists").unwrap_or(name))
}

/// Whether this is a key of KMS, or of no concern to it.
fn is_key(key: &str) -> bool {
    let lower = key.to_lowercase();
    lower.strip_prefix("kms:").is_none_or(|name| {
        let of_tpm = name.strip_prefix("recipientattestation:nitrotpmpcr");
        condition::is_understood(key)
            || KEYS.contains(&name)
            || of_tpm.is_some_and(condition::is_register)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_name_their_service() {
        for action in ["*", "kms:*", "kms:Decrypt", "kms:De?rypt*", "access-analyzer:Get"] {
            assert!(is_action(action), "{action}");
        }
        for action in ["", "Decrypt", "kms", ":Decrypt", "kms:", "k*:Decrypt", "*:*", "k ms:X"] {
            assert!(!is_action(action), "{action}");
        }
    }

    #[test]
    fn operators_are_spelled_as_they_are() {
        for operator in [
            "StringEquals",
            "ForAllValues:StringLike",
            "ForAnyValue:StringNotEqualsIgnoreCaseIfExists",
            "DateLessThan",
            "Null",
        ] {
            assert!(is_operator(operator), "{operator}");
        }
        for operator in [
            "stringequals",
            "StringMatches",
            "NullIfExists",
            "ForSomeValues:StringEquals",
            "ForAllValues:ForAnyValue:StringEquals",
            "StringEqualsIfExistsIfExists",
            "IfExists",
            "",
        ] {
            assert!(!is_operator(operator), "{operator}");
        }
    }

    #[test]
    fn keys_of_kms_are_known_and_others_are_left_alone() {
        for key in [
            "kms:RecipientAttestation:ImageSha384",
            "KMS:recipientattestation:pcr31",
            "kms:RecipientAttestation:NitroTPMPCR4",
            "kms:EncryptionContext:a b:c",
            "kms:EncryptionContextKeys",
            "kms:ViaService",
            "kms:WrappingKeySpec",
            "aws:NoSuchKey",
            "saml:aud",
        ] {
            assert!(is_key(key), "{key}");
        }
        for key in [
            "kms:RecipientAttestation:PCR00",
            "kms:RecipientAttestation:PCR32",
            "kms:RecipientAttestation:ImageSha256",
            "kms:RecipientAttestation:NitroTPMPCR04",
            "kms:RecipientAttestation:NitroTPMImageSha384",
            "kms:EncryptionContext:",
            "kms:ImageSha384",
            "kms:",
        ] {
            assert!(!is_key(key), "{key}");
        }
    }
}
