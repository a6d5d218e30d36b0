//! For tests: who gets what by a key policy, computed by brute force and apart from the linter.
//!
//! It is an attacker's best case: `Deny` does not help, IAM allows everything that an account may
//! decide, and a condition on anything but the attestation holds.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use serde_json::Value;

use super::Measurements;
use crate::measure::Pcr;

pub(super) const HOST: &str = "arn:aws:iam::111122223333:role/strongroom-enclave";
pub(super) const ADMIN: &str = "arn:aws:iam::111122223333:role/strongroom-key-admin";
pub(super) const HOST_UNDER_A_PATH: &str =
    "arn:aws:iam::111122223333:role/fleet/a/Strongroom-Enclave";
pub(super) const ADMIN_UNDER_A_PATH: &str =
    "arn:aws:iam::111122223333:role/staff/STRONGROOM-KEY-ADMIN";
pub(super) const STRANGER: &str = "arn:aws:iam::111122223333:role/stranger";
pub(super) const FOREIGN: &str = "arn:aws:iam::444455556666:role/foreign";
pub(super) const USER: &str = "arn:aws:iam::111122223333:user/alice";
pub(super) const CALLERS: [&str; 5] = [HOST, ADMIN, STRANGER, FOREIGN, USER];

/// What nobody may, whoever they are and whatever they attest to.
pub(super) const NEVER: [&str; 11] = [
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:CreateGrant",
    "kms:ReplicateKey",
    "kms:UpdatePrimaryRegion",
    "kms:ImportKeyMaterial",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:DeriveSharedSecret",
    "kms:SomethingThatIsYetToCome",
];

/// What decides whether the key goes on to exist.
pub(super) const MANAGEMENT: [&str; 4] =
    ["kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:EnableKey", "kms:TagResource"];

/// A document: the registers that it names.
pub(super) type Attested = BTreeMap<u16, Pcr>;

pub(super) fn attested(measurements: &Measurements) -> Attested {
    let Measurements { pcr0, pcr16, pcr17 } = *measurements;
    BTreeMap::from([(0, pcr0), (3, Pcr::new([3; 48])), (16, pcr16), (17, pcr17)])
}

/// Whether a statement allows `action` to `caller`, with a document or without.
pub(super) fn allows(
    policy: &Value,
    caller: &str,
    action: &str,
    document: Option<&Attested>,
) -> bool {
    many(&policy["Statement"]).iter().any(|statement| {
        let element = |name: &str| statement.get(name);
        statement["Effect"] == "Allow"
            && either(element("Principal"), element("NotPrincipal"), |p| names(p, caller))
            && either(element("Action"), element("NotAction"), |a| {
                many(a).iter().any(|pattern| glob(&lower(pattern), &action.to_ascii_lowercase()))
            })
            && element("Condition").is_none_or(|condition| {
                condition.as_object().unwrap().iter().all(|(operator, keys)| {
                    let mut keys = keys.as_object().unwrap().iter();
                    keys.all(|(key, values)| holds(operator, key, &many(values), document))
                })
            })
    })
}

fn either(
    positive: Option<&Value>,
    negative: Option<&Value>,
    test: impl Fn(&Value) -> bool,
) -> bool {
    match (positive, negative) {
        (Some(value), _) => test(value),
        (None, Some(value)) => !test(value),
        (None, None) => false,
    }
}

fn names(principal: &Value, caller: &str) -> bool {
    let account = caller.split(':').nth(4).unwrap();
    let aws = |id: &&Value| {
        let id = id.as_str().unwrap();
        id == "*"
            || is_same(id, caller)
            || id == account
            || id == format!("arn:aws:iam::{account}:root")
    };
    match principal {
        Value::String(text) => text == "*",
        // a service or an identity provider acts for anybody
        Value::Object(kinds) => {
            kinds.iter().any(|(kind, ids)| kind != "AWS" || many(ids).iter().any(aws))
        }
        _ => false,
    }
}

/// Whether two ARNs are of one principal: a role is one under any path and in any case.
pub(super) fn is_same(left: &str, right: &str) -> bool {
    let meaning = |arn: &str| {
        let (account, role) = arn.split_once(":role/")?;
        let name = role.split('/').next_back()?;
        Some(format!("{account} {}", name.to_uppercase()))
    };
    left == right || (meaning(left).is_some() && meaning(left) == meaning(right))
}

fn holds(operator: &str, key: &str, values: &[&Value], document: Option<&Attested>) -> bool {
    let key = key.to_ascii_lowercase();
    let Some(register) = key.strip_prefix("kms:recipientattestation:") else { return true };
    let register = if register == "imagesha384" { "pcr0" } else { register };
    let found =
        register.strip_prefix("pcr").and_then(|digits| document?.get(&digits.parse().ok()?));
    if operator == "Null" {
        return values.iter().any(|value| (lower(value) == "true") == found.is_none());
    }
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let (operator, if_empty) = match operator.strip_prefix("ForAllValues:") {
        Some(operator) => (operator, true),
        None => (operator.strip_prefix("ForAnyValue:").unwrap_or(operator), false),
    };
    let Some(found) = found.map(ToString::to_string) else {
        return if_exists || if_empty || operator.starts_with("StringNot");
    };
    let any = |test: &dyn Fn(&str) -> bool| values.iter().any(|v| v.as_str().is_some_and(test));
    match operator {
        "StringEquals" => any(&|value| value == found),
        "StringEqualsIgnoreCase" => any(&|value| value.eq_ignore_ascii_case(&found)),
        "StringLike" => any(&|value| glob(value, &found)),
        "StringNotEquals" => !any(&|value| value == found),
        _ => true,
    }
}

fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn lower(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_ascii_lowercase()
}

/// `*` is any text, `?` any character.
fn glob(pattern: &str, text: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = characters.as_str();
            (0..=text.len()).any(|from| text.get(from..).is_some_and(|text| glob(rest, text)))
        }
        Some(first) => {
            let mut found = text.chars();
            found.next().is_some_and(|c| first == '?' || first == c)
                && glob(characters.as_str(), found.as_str())
        }
    }
}
