//! Grants: what a principal may do with a key beside its policy.
//!
//! A grant only allows, and knows nothing of attestation: where it allows, the conditions of the policy's
//! `Allow` statements do not matter. A `Deny` of the policy wins over it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    blob::EncryptionContext,
    policy::{principal::Principal, truth::Truth},
};

/// What can be granted for a symmetric key (AWS KMS Developer Guide, "Grants in AWS KMS").
const OPERATIONS: [&str; 11] = [
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "RetireGrant",
];
/// The ones that have no encryption context, to which constraints therefore do not apply. (What a grant
/// allows by `CreateGrant`, [`Grant::covers`] limits.)
const WITHOUT_CONTEXT: [&str; 3] = ["CreateGrant", "DescribeKey", "RetireGrant"];
/// Pairs of one constraint.
const MAX_PAIRS: usize = 8;

/// Whether this can be granted for a symmetric key.
pub(super) fn is_operation(name: &str) -> bool {
    OPERATIONS.contains(&name)
}

/// A grant of a key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    /// 64 hexadecimal digits.
    pub(super) id: String,
    /// Unix seconds.
    pub(super) created_at: u64,
    /// The account of who made it.
    pub(super) issuing_account: String,
    pub(super) terms: Terms,
}

/// What a grant says. Two with one name and equal terms are one grant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Terms {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// An ARN.
    pub(super) grantee: String,
    /// An ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retiring: Option<String>,
    /// Without the `kms:` of actions.
    pub(super) operations: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) constraints: Option<Constraints>,
}

/// Which encryption contexts a grant allows: all that is said must hold. Names of pairs are compared
/// without regard to case, values with it (AWS KMS API reference, GrantConstraints).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Constraints {
    /// The pairs, and no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encryption_context_equals: Option<EncryptionContext>,
    /// At least these pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encryption_context_subset: Option<EncryptionContext>,
}

impl Grant {
    /// Whether it allows `caller` (the ARN of a role) the action (such as `kms:Decrypt`) with this
    /// encryption context.
    pub(super) fn allows(&self, caller: &str, action: &str, context: &EncryptionContext) -> bool {
        let Terms { grantee, operations, constraints, .. } = &self.terms;
        let Some(operation) = action.strip_prefix("kms:") else { return false };
        let to_caller = Principal::parse(grantee).is_some_and(|p| p.is(caller) == Truth::Yes);
        let unconstrained = WITHOUT_CONTEXT.contains(&operation);
        let constrained = || constraints.as_ref().is_none_or(|of| of.allow(context));
        to_caller && operations.contains(operation) && (unconstrained || constrained())
    }

    /// Whether `terms` are no more than this grant's, as they must be for who may `CreateGrant` by this
    /// grant alone.
    pub(super) fn covers(&self, terms: &Terms) -> bool {
        let constraints = self.terms.constraints.as_ref();
        terms.operations.is_subset(&self.terms.operations)
            && constraints.is_none_or(|of| of.cover(terms.constraints.as_ref()))
    }
}

impl Constraints {
    /// Whether none has more pairs than AWS takes.
    pub(super) fn are_small(&self) -> bool {
        let Self { encryption_context_equals, encryption_context_subset } = self;
        [encryption_context_equals, encryption_context_subset]
            .into_iter()
            .flatten()
            .all(|pairs| pairs.len() <= MAX_PAIRS)
    }

    fn allow(&self, context: &EncryptionContext) -> bool {
        let Self { encryption_context_equals, encryption_context_subset } = self;
        let found = pairs(context);
        let equals = encryption_context_equals.as_ref().is_none_or(|of| pairs(of) == found);
        let subset = encryption_context_subset.as_ref();
        equals && subset.is_none_or(|of| pairs(of).is_subset(&found))
    }

    /// Whether whatever `others` allow, these allow too.
    fn cover(&self, others: Option<&Self>) -> bool {
        let Some(others) = others else { return false };
        let [equals, subset] =
            [&others.encryption_context_equals, &others.encryption_context_subset];
        if let Some(equals) = equals {
            return self.allow(equals);
        }
        let [Some(wanted), Some(subset)] = [&self.encryption_context_subset, subset] else {
            return false;
        };
        self.encryption_context_equals.is_none() && pairs(wanted).is_subset(&pairs(subset))
    }
}

/// Names in lower case. (A set: two names may differ in case only.)
fn pairs(context: &EncryptionContext) -> BTreeSet<(String, &str)> {
    context.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCLAVE: &str = "arn:aws:iam::111122223333:role/enclave";

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn equals(pairs: &[(&str, &str)]) -> Option<Constraints> {
        let equals = Some(context(pairs));
        Some(Constraints { encryption_context_equals: equals, encryption_context_subset: None })
    }

    fn subset(pairs: &[(&str, &str)]) -> Option<Constraints> {
        let subset = Some(context(pairs));
        Some(Constraints { encryption_context_equals: None, encryption_context_subset: subset })
    }

    fn terms(operations: &[&str], constraints: Option<Constraints>) -> Terms {
        let operations = operations.iter().map(|name| (*name).to_owned()).collect();
        Terms { name: None, grantee: ENCLAVE.to_owned(), retiring: None, operations, constraints }
    }

    fn grant(operations: &[&str], constraints: Option<Constraints>) -> Grant {
        let terms = terms(operations, constraints);
        Grant { id: String::new(), created_at: 0, issuing_account: String::new(), terms }
    }

    #[test]
    fn a_grant_is_for_its_grantee_and_operations() {
        let grant = grant(&["Decrypt"], None);
        assert!(grant.allows(ENCLAVE, "kms:Decrypt", &context(&[])));
        assert!(!grant.allows(ENCLAVE, "kms:Encrypt", &context(&[])));
        let other = "arn:aws:iam::111122223333:role/other";
        assert!(!grant.allows(other, "kms:Decrypt", &context(&[])));
    }

    #[test]
    fn constraints_hold_for_what_has_a_context() {
        let (one, two) = (context(&[("A", "1")]), context(&[("a", "1"), ("b", "2")]));
        let operations = ["Decrypt", "DescribeKey"];
        for (constraints, allowed) in [
            (None, [true, true, true]),
            (equals(&[("a", "1")]), [false, true, false]),
            (subset(&[("a", "1")]), [false, true, true]),
            (equals(&[("a", "2")]), [false, false, false]),
            (subset(&[]), [true, true, true]),
        ] {
            let grant = grant(&operations, constraints);
            let found = [&context(&[]), &one, &two]
                .map(|context| grant.allows(ENCLAVE, "kms:Decrypt", context));
            assert_eq!(found, allowed);
            assert!(grant.allows(ENCLAVE, "kms:DescribeKey", &context(&[])));
        }
    }

    #[test]
    fn a_derived_grant_is_no_wider() {
        for (of, derived, covered) in [
            (None, None, true),
            (None, subset(&[("a", "1")]), true),
            (subset(&[("a", "1")]), None, false),
            (subset(&[("a", "1")]), subset(&[("a", "1"), ("b", "2")]), true),
            (subset(&[("a", "1")]), subset(&[("b", "2")]), false),
            (subset(&[("a", "1")]), equals(&[("a", "1"), ("b", "2")]), true),
            (equals(&[("a", "1")]), equals(&[("a", "1")]), true),
            (equals(&[("a", "1")]), equals(&[("a", "2")]), false),
            (equals(&[("a", "1")]), subset(&[("a", "1")]), false),
        ] {
            let grant = grant(&["CreateGrant", "Decrypt"], of);
            assert_eq!(grant.covers(&terms(&["Decrypt"], derived.clone())), covered);
            assert!(!grant.covers(&terms(&["Encrypt"], derived)));
        }
    }
}
