#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use strongroom_attestation::measure::Pcr;

use super::*;
use Truth::{No, Unknown, Yes};

const CALLER: &str = "arn:aws:iam::111122223333:role/enclave";
const IMAGE: &str = "kms:RecipientAttestation:ImageSha384";
const KEYS: &str = "kms:EncryptionContextKeys";

fn image() -> String {
    Pcr::new([0xab; 48]).to_string()
}

fn holds(
    operator: &str,
    key: &str,
    values: &[&str],
    registers: bool,
    context: &[(&str, &str)],
) -> Truth {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let found = BTreeMap::from([(0, Pcr::new([0xab; 48])), (16, Pcr::new([2; 48]))]);
    let pairs = context.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Condition::new(operator, key, values).holds(&AccessRequest {
        caller: CALLER,
        action: "kms:Decrypt",
        resource: "arn",
        registers: registers.then_some(&found),
        encryption_context: &pairs.collect(),
    })
}

fn attested(operator: &str, key: &str, values: &[&str]) -> Truth {
    holds(operator, key, values, true, &[])
}

fn unattested(operator: &str, key: &str, values: &[&str]) -> Truth {
    holds(operator, key, values, false, &[])
}

#[test]
fn each_operator_compares_as_it_is_called() {
    let (image, upper, other) = (image(), image().to_uppercase(), "cd".repeat(48));
    let (image, upper, other) = (image.as_str(), upper.as_str(), other.as_str());
    for (operator, values, expected) in [
        ("StringEquals", vec![image], Yes),
        ("StringEquals", vec![other, image], Yes),
        ("StringEquals", vec![upper], No),
        ("StringEquals", vec!["*"], No),
        ("StringNotEquals", vec![image], No),
        ("StringNotEquals", vec![other, image], No),
        ("StringNotEquals", vec![upper], Yes),
        ("StringEqualsIgnoreCase", vec![upper], Yes),
        ("StringEqualsIgnoreCase", vec![other], No),
        ("StringNotEqualsIgnoreCase", vec![upper], No),
        ("StringNotEqualsIgnoreCase", vec![other], Yes),
        ("StringLike", vec!["ab*"], Yes),
        ("StringLike", vec!["AB*"], No),
        ("StringLike", vec!["?b*b"], Yes),
        ("StringNotLike", vec!["*"], No),
        ("StringNotLike", vec!["cd*"], Yes),
        ("Null", vec!["false"], Yes),
        ("Null", vec!["true"], No),
    ] {
        assert_eq!(attested(operator, IMAGE, &values), expected, "{operator} {values:?}");
    }
}

/// The hole of `…IfExists`: it holds for who brings no document.
#[test]
fn an_absent_key_is_as_the_operator_says() {
    for (operator, value, expected) in [
        ("StringEquals", "x", No),
        ("StringEqualsIgnoreCase", "x", No),
        ("StringLike", "*", No),
        ("StringNotEquals", "x", Yes),
        ("StringNotEqualsIgnoreCase", "x", Yes),
        ("StringNotLike", "*", Yes),
        ("StringEqualsIfExists", "x", Yes),
        ("StringEqualsIgnoreCaseIfExists", "x", Yes),
        ("StringLikeIfExists", "x", Yes),
        ("StringNotEqualsIfExists", "x", Yes),
        ("BoolIfExists", "true", Yes),
        ("Bool", "true", No),
        ("Null", "true", Yes),
        ("Null", "false", No),
        ("ForAllValues:StringEquals", "x", Yes),
        ("ForAnyValue:StringEquals", "x", No),
        ("ForAnyValue:StringNotEquals", "x", No),
        ("ForAnyValue:StringEqualsIfExists", "x", No),
    ] {
        assert_eq!(unattested(operator, IMAGE, &[value]), expected, "{operator}");
    }
    assert_eq!(attested("StringEqualsIfExists", IMAGE, &["x"]), No, "but a document must fit");
    assert_eq!(attested("StringEquals", "kms:RecipientAttestation:PCR17", &["x"]), No);
}

#[test]
fn keys_are_found_in_the_request() {
    let two = Pcr::new([2; 48]).to_string();
    for (key, value) in [
        ("kms:RecipientAttestation:PCR0", image().as_str()),
        ("KMS:recipientattestation:pcr16", &two),
        ("aws:PrincipalArn", CALLER),
        ("kms:CallerAccount", "111122223333"),
        ("KMS:EncryptionContext:Purpose", "dek"),
    ] {
        let found = |value| holds("StringEquals", key, &[value], true, &[("purpose", "dek")]);
        assert_eq!((found(value), found("x")), (Yes, No), "{key}");
    }
    assert_eq!(unattested("Bool", "aws:SecureTransport", &["TRUE"]), Yes);
    assert_eq!(unattested("Bool", "aws:SecureTransport", &["false"]), No);
}

#[test]
fn what_is_not_understood_is_unknown() {
    for (operator, key, value) in [
        ("StringMatches", IMAGE, "x"),
        ("stringequals", IMAGE, "x"),
        ("NullIfExists", IMAGE, "true"),
        ("ForAnyValue:Null", IMAGE, "true"),
        ("ForSomeValues:StringEquals", IMAGE, "x"),
        ("Null", IMAGE, "maybe"),
        ("Bool", "aws:SecureTransport", "yes"),
        ("StringEquals", "aws:SourceIp", "x"),
        ("StringEquals", "kms:RecipientAttestation:PCR00", "x"),
        ("StringEquals", "kms:RecipientAttestation:PCR32", "x"),
        ("StringEquals", "kms:RecipientAttestation:ImageSha", "x"),
        ("StringEquals", "kms:EncryptionContext:", "x"),
        ("StringEquals", "aws:PrincipalArn", "${aws:PrincipalTag/x}"),
        ("StringEquals", KEYS, "x"),
    ] {
        assert_eq!(attested(operator, key, &[value]), Unknown, "{operator} {key} {value}");
    }
}

#[test]
fn an_encryption_context_is_looked_at_by_name() {
    let key = "kms:EncryptionContext:Purpose";
    let equals = |context: &[(&str, &str)]| holds("StringEquals", key, &["dek"], false, context);
    assert_eq!(equals(&[("Purpose", "dek"), ("other", "x")]), Yes);
    assert_eq!(equals(&[("Purpose", "DEK")]), No);
    assert_eq!(equals(&[("other", "dek")]), No);
    assert_eq!(equals(&[]), No);
    assert_eq!(equals(&[("Purpose", "dek"), ("purpose", "x")]), Unknown, "which is meant?");
}

#[test]
fn names_of_the_context_are_counted() {
    let two: &[(&str, &str)] = &[("a", "1"), ("b", "2")];
    for (operator, values, context, expected) in [
        ("ForAllValues:StringEquals", vec!["a", "b", "c"], two, Yes),
        ("ForAllValues:StringEquals", vec!["a"], two, No),
        ("ForAllValues:StringEquals", vec!["a", "B"], two, No),
        ("ForAllValues:StringEqualsIgnoreCase", vec!["A", "B"], two, Yes),
        ("ForAllValues:StringEquals", vec!["a"], &[], Yes),
        ("ForAllValues:StringNotEquals", vec!["c"], two, Yes),
        ("ForAllValues:StringNotEquals", vec!["a"], two, No),
        ("ForAnyValue:StringEquals", vec!["b", "c"], two, Yes),
        ("ForAnyValue:StringEquals", vec!["c"], two, No),
        ("ForAnyValue:StringEquals", vec!["a"], &[], No),
        ("ForAnyValue:StringNotEquals", vec!["a"], two, Yes),
        ("ForAnyValue:StringLike", vec!["b*"], two, Yes),
        ("Null", vec!["true"], &[], Yes),
        ("Null", vec!["false"], two, Yes),
    ] {
        let found = holds(operator, KEYS, &values, false, context);
        assert_eq!(found, expected, "{operator} {values:?} {context:?}");
    }
}
