#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use Decision::{Allowed, ExplicitlyDenied, NotAllowed};

const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/k";
const IMAGE: &str = "kms:RecipientAttestation:ImageSha384";

fn hex(byte: u8) -> String {
    Pcr::new([byte; 48]).to_string()
}

fn statement(effect: &str, action: Value, condition: Value) -> Value {
    json!({
        "Effect": effect, "Principal": "*", "Action": action, "Resource": "*", "Condition": condition
    })
}

fn decide(statements: &[Value], registers: Option<&BTreeMap<u16, Pcr>>) -> Decision {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    let request = AccessRequest { action: "kms:Decrypt", resource: ARN, registers };
    KeyPolicy::parse(&text).unwrap().decide(&request)
}

/// PCR0 is 0xab…, PCR16 is 0x02….
fn attested(statements: &[Value]) -> Decision {
    let registers = BTreeMap::from([(0, Pcr::new([0xab; 48])), (16, Pcr::new([2; 48]))]);
    decide(statements, Some(&registers))
}

fn unattested(statements: &[Value]) -> Decision {
    decide(statements, None)
}

#[test]
fn an_attestation_condition_wants_the_right_document() {
    let allow = |image: String| {
        [statement("Allow", json!("kms:Decrypt"), json!({"StringEquals": {IMAGE: image}}))]
    };
    assert_eq!(attested(&allow(hex(0xab))), Allowed);
    assert_eq!(unattested(&allow(hex(0xab))), NotAllowed);
    assert_eq!(attested(&allow(hex(9))), NotAllowed);
}

#[test]
fn all_conditions_must_hold_and_one_value_of_each() {
    let policy = |pcr16: Value| {
        let keys = json!({
            "kms:RecipientAttestation:PCR0": hex(0xab), "kms:RecipientAttestation:PCR16": pcr16
        });
        [statement("Allow", json!("kms:*"), json!({"StringEqualsIgnoreCase": keys}))]
    };
    assert_eq!(attested(&policy(json!(hex(2)))), Allowed);
    assert_eq!(attested(&policy(json!([hex(1), hex(2)]))), Allowed);
    assert_eq!(attested(&policy(json!([hex(1), hex(3)]))), NotAllowed);
    let absent = json!({"StringEquals": {"kms:RecipientAttestation:PCR17": hex(0)}});
    assert_eq!(attested(&[statement("Allow", json!("kms:*"), absent)]), NotAllowed);
}

#[test]
fn case_matters_to_one_operator_only() {
    let upper = hex(0xab).to_uppercase();
    let policy =
        |operator: &str| [statement("Allow", json!("kms:*"), json!({operator: {IMAGE: upper}}))];
    assert_eq!(attested(&policy("StringEqualsIgnoreCase")), Allowed);
    assert_eq!(attested(&policy("StringEquals")), NotAllowed);
}

#[test]
fn an_explicit_deny_wins_and_the_default_is_no() {
    let allow = statement("Allow", json!("kms:*"), json!({}));
    let deny = statement("Deny", json!("kms:Decrypt"), json!({"StringEquals": {IMAGE: hex(0xab)}}));
    assert_eq!(attested(&[allow.clone(), deny.clone()]), ExplicitlyDenied);
    assert_eq!(unattested(&[allow, deny.clone()]), Allowed, "the deny is for one image");
    assert_eq!(unattested(&[deny]), NotAllowed);
}

#[test]
fn what_is_not_understood_fails_closed() {
    for condition in [
        json!({"StringLike": {IMAGE: hex(0xab)}}),
        json!({"StringEquals": {"aws:SourceIp": "10.0.0.1"}}),
        json!({"StringEquals": {"kms:RecipientAttestation:PCR00": hex(0xab)}}),
        json!({"StringEquals": {"kms:RecipientAttestation:PCR32": hex(0xab)}}),
        json!({"StringEquals": {IMAGE: hex(0xab)}, "Bool": {"aws:SecureTransport": "true"}}),
    ] {
        let allow = statement("Allow", json!("kms:*"), condition.clone());
        assert_eq!(attested(&[allow]), NotAllowed, "{condition}");
        let always = statement("Allow", json!("kms:*"), json!({}));
        let deny = statement("Deny", json!("kms:*"), condition.clone());
        assert_eq!(attested(&[always, deny]), ExplicitlyDenied, "{condition}");
    }
}

#[test]
fn actions_match_by_name_list_and_prefix() {
    for (action, allowed) in [
        (json!("kms:Decrypt"), true),
        (json!("KMS:decrypt"), true),
        (json!(["kms:Encrypt", "kms:Decrypt"]), true),
        (json!("kms:De*"), true),
        (json!("*"), true),
        (json!("kms:DecryptX"), false),
        (json!("kms:Generate*"), false),
    ] {
        let found = unattested(&[statement("Allow", action.clone(), json!({}))]);
        assert_eq!(found == Allowed, allowed, "{action}");
    }
}

#[test]
fn resources_are_all_or_this_key() {
    for (resource, allowed) in [(json!("*"), true), (json!(ARN), true), (json!(["a", "b"]), false)]
    {
        let mut statement = statement("Allow", json!("kms:*"), json!({}));
        *statement.get_mut("Resource").unwrap() = resource;
        assert_eq!(unattested(&[statement]) == Allowed, allowed);
    }
}

#[test]
fn policies_that_cannot_be_understood_are_refused() {
    let good = r#""Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*""#;
    let one = |members: &str| format!(r#"{{"Statement":{{{members}}}}}"#);
    let condition = |text: &str| one(&format!(r#"{good},"Condition":{text}"#));
    assert!(KeyPolicy::parse(&one(good)).is_ok());
    assert!(KeyPolicy::parse(&condition(r#"{"StringEquals":{"a":"1"}}"#)).is_ok());

    for text in [
        "{}".to_owned(),
        r#"{"Statement":[]}"#.to_owned(),
        format!(r#"{{"Version":"2020-01-01","Statement":{{{good}}}}}"#),
        one(r#""Effect":"Allow","Action":"kms:*","Resource":"*""#),
        one(r#""Effect":"Allow","Principal":"*","NotAction":"kms:*","Resource":"*""#),
        one(&format!(r#"{good},"Extra":1"#)),
        condition(r#"{"StringEquals":{}}"#),
        condition(r#"{"StringEquals":{"a":[]}}"#),
        condition(r#"{"StringEquals":{"a":"1"},"StringEquals":{"b":"1"}}"#),
        condition(r#"{"StringEquals":{"a":"1","a":"2"}}"#),
        one(r#""Effect":"Allow","Principal":"*","Action":"kms:*crypt","Resource":"*""#),
        one(r#""Effect":"Allow","Principal":"*","Action":[],"Resource":"*""#),
        " ".repeat(MAX_POLICY_BYTES + 1),
    ] {
        assert!(KeyPolicy::parse(&text).is_err(), "{text}");
    }
}
