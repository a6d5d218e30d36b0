#![allow(clippy::unwrap_used)]
use serde_json::{Value, json};

use super::*;
use Decision::{Allowed, ExplicitlyDenied, NotAllowed};

const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/k";
const ENCLAVE: &str = "arn:aws:iam::111122223333:role/enclave";
const IMAGE: &str = "kms:RecipientAttestation:ImageSha384";

fn hex(byte: u8) -> String {
    Pcr::new([byte; 48]).to_string()
}

fn statement(effect: &str, action: Value, condition: Value) -> Value {
    json!({
        "Effect": effect, "Principal": "*", "Action": action, "Resource": "*", "Condition": condition
    })
}

fn with(mut statement: Value, element: &str, value: Value) -> Value {
    *statement.get_mut(element).unwrap() = value;
    statement
}

fn decide(statements: &[Value], registers: Option<&BTreeMap<u16, Pcr>>) -> Decision {
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    KeyPolicy::parse(&text).unwrap().decide(&AccessRequest {
        caller: ENCLAVE,
        action: "kms:Decrypt",
        resource: ARN,
        registers,
        encryption_context: &BTreeMap::new(),
    })
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
fn an_explicit_deny_wins_wherever_it_stands_and_the_default_is_no() {
    let allow = statement("Allow", json!("kms:*"), json!({}));
    let deny = statement("Deny", json!("kms:Decrypt"), json!({"StringEquals": {IMAGE: hex(0xab)}}));
    assert_eq!(attested(&[allow.clone(), deny.clone()]), ExplicitlyDenied);
    assert_eq!(attested(&[deny.clone(), allow.clone()]), ExplicitlyDenied);
    assert_eq!(unattested(&[allow, deny.clone()]), Allowed, "the deny is for one image");
    assert_eq!(unattested(&[deny]), NotAllowed);
}

/// What AWS's own documents advise: deny unless attested. It needs an allow beside it.
#[test]
fn a_deny_of_all_other_images_denies_the_unattested_too() {
    let allow = statement("Allow", json!("kms:*"), json!({}));
    let deny = |operator: &str, image| {
        statement("Deny", json!("kms:Decrypt"), json!({operator: {IMAGE: image}}))
    };
    let statements = [allow.clone(), deny("StringNotEqualsIgnoreCase", hex(0xab))];
    assert_eq!(attested(&statements), Allowed);
    assert_eq!(unattested(&statements), ExplicitlyDenied);
    let statements = [allow, deny("StringNotEqualsIgnoreCase", hex(9))];
    assert_eq!(attested(&statements), ExplicitlyDenied);
}

#[test]
fn a_condition_that_is_not_understood_fails_closed() {
    for condition in [
        json!({"StringEquals": {"aws:SourceIp": "10.0.0.1"}}),
        json!({"StringEquals": {IMAGE: hex(0xab)}, "DateLessThan": {"aws:CurrentTime": "2030"}}),
    ] {
        let allow = statement("Allow", json!("kms:*"), condition.clone());
        assert_eq!(attested(&[allow]), NotAllowed, "{condition}");
        let always = statement("Allow", json!("kms:*"), json!({}));
        let deny = statement("Deny", json!("kms:*"), condition.clone());
        assert_eq!(attested(&[always, deny]), ExplicitlyDenied, "{condition}");
    }
}

#[test]
fn a_deny_that_is_not_understood_but_cannot_apply_does_not() {
    let allow = statement("Allow", json!("kms:*"), json!({}));
    let odd = json!({"StringEquals": {"aws:SourceIp": "10.0.0.1", IMAGE: hex(9)}});
    let deny = statement("Deny", json!("kms:*"), odd);
    assert_eq!(attested(&[allow, deny]), Allowed, "another image is meant in any case");
}

#[test]
fn actions_match_by_name_list_and_wildcards() {
    for (action, allowed) in [
        (json!("kms:Decrypt"), true),
        (json!("KMS:decrypt"), true),
        (json!(["kms:Encrypt", "kms:Decrypt"]), true),
        (json!("kms:De*"), true),
        (json!("kms:*crypt"), true),
        (json!("kms:?ecrypt"), true),
        (json!("*"), true),
        (json!("kms:DecryptX"), false),
        (json!("kms:Generate*"), false),
        (json!("kms:*Encrypt*"), false),
    ] {
        let found = unattested(&[statement("Allow", action.clone(), json!({}))]);
        assert_eq!(found == Allowed, allowed, "{action}");
    }
}

#[test]
fn resources_are_all_or_this_key() {
    for (resource, allowed) in [
        (json!("*"), true),
        (json!(ARN), true),
        (json!("arn:aws:kms:*:111122223333:key/?"), true),
        (json!(["a", "b"]), false),
        (json!(ARN.to_uppercase()), false),
    ] {
        let allow = statement("Allow", json!("kms:*"), json!({}));
        assert_eq!(unattested(&[with(allow, "Resource", resource)]) == Allowed, allowed);
    }
}

#[test]
fn principals_are_the_callers_role_or_account() {
    for (principal, decision) in [
        (json!("*"), Allowed),
        (json!({"AWS": "*"}), Allowed),
        (json!({"AWS": ENCLAVE}), Allowed),
        (json!({"AWS": "111122223333"}), Allowed),
        (json!({"AWS": "arn:aws:iam::111122223333:root"}), Allowed),
        (json!({"AWS": ["444455556666", ENCLAVE]}), Allowed),
        (json!({"AWS": "444455556666"}), NotAllowed),
        (json!({"AWS": "arn:aws:iam::111122223333:role/admin"}), NotAllowed),
        (json!({"AWS": "arn:aws:sts::111122223333:assumed-role/enclave/i-0"}), NotAllowed),
        (json!({"Service": "ec2.amazonaws.com"}), NotAllowed),
    ] {
        let allow = with(statement("Allow", json!("*"), json!({})), "Principal", principal.clone());
        assert_eq!(unattested(&[allow]), decision, "{principal}");
    }
    let allow = statement("Allow", json!("*"), json!({}));
    let deny = |principal| with(statement("Deny", json!("*"), json!({})), "Principal", principal);
    let session = json!({"AWS": "arn:aws:sts::111122223333:assumed-role/enclave/i-0"});
    assert_eq!(unattested(&[allow.clone(), deny(session)]), ExplicitlyDenied, "perhaps this one");
    let other = json!({"AWS": "arn:aws:iam::111122223333:role/admin"});
    assert_eq!(unattested(&[allow, deny(other)]), Allowed);
}

#[test]
fn policies_that_cannot_be_understood_are_refused() {
    let good = r#""Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*""#;
    let one = |members: &str| format!(r#"{{"Statement":{{{members}}}}}"#);
    let condition = |text: &str| one(&format!(r#"{good},"Condition":{text}"#));
    let principal =
        |text: &str| one(&format!(r#""Effect":"Allow",{text},"Action":"kms:*","Resource":"*""#));
    assert!(KeyPolicy::parse(&one(good)).is_ok());
    assert!(KeyPolicy::parse(&condition(r#"{"StringEquals":{"a":"1"}}"#)).is_ok());
    assert!(KeyPolicy::parse(&condition(r#"{"Bool":{"a":true,"b":[1]}}"#)).is_ok());
    assert!(KeyPolicy::parse(&principal(r#""Principal":{"AWS":"*"}"#)).is_ok());

    for text in [
        "{}".to_owned(),
        r#"{"Statement":[]}"#.to_owned(),
        format!(r#"{{"Version":"2020-01-01","Statement":{{{good}}}}}"#),
        r#"["2012-10-17","id",{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]"#
            .into(),
        r#"{"Statement":["sid","Allow","*","kms:*","*",null]}"#.to_owned(),
        r#"{"Statement":[["sid","Allow","*","kms:*","*",null]]}"#.to_owned(),
        one(r#""Effect":"Allow","Action":"kms:*","Resource":"*""#),
        one(r#""Effect":"Allow","Principal":"*","NotAction":"kms:*","Resource":"*""#),
        one(&format!(r#"{good},"Extra":1"#)),
        condition(r#"{"StringEquals":{}}"#),
        condition(r#"{"StringEquals":{"a":[]}}"#),
        condition(r#"{"StringEquals":{"a":{}}}"#),
        condition(r#"{"StringEquals":{"a":"1"},"StringEquals":{"b":"1"}}"#),
        condition(r#"{"StringEquals":{"a":"1","a":"2"}}"#),
        principal(r#""NotPrincipal":{"AWS":"111122223333"}"#),
        principal(r#""Principal":"111122223333""#),
        principal(r#""Principal":{}"#),
        principal(r#""Principal":{"AWS":[]}"#),
        principal(r#""Principal":{"Other":"*"}"#),
        principal(r#""Principal":{"AWS":"arn:aws:iam::111122223333:role/*"}"#),
        principal(r#""Principal":{"AWS":"*"},"Principal":"*""#),
        one(r#""Effect":"Allow","Principal":"*","Action":[],"Resource":"*""#),
        one(r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"${aws:x}""#),
        " ".repeat(MAX_POLICY_BYTES + 1),
    ] {
        assert!(KeyPolicy::parse(&text).is_err(), "{text}");
    }
}
