//! One policy for each hole, and policies that only look as if they had one.

use std::collections::BTreeSet;

use super::*;

/// What is done to the policy for one release, with the break-glass, and the codes that are told.
type Case = (fn(&mut Value), &'static [&'static str]);

fn statements(policy: &mut Value) -> &mut Vec<Value> {
    policy["Statement"].as_array_mut().unwrap()
}

fn allow(policy: &mut Value, action: &str) {
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": STRANGER}, "Action": action, "Resource": "*"});
    statements(policy).push(statement);
}

/// The conditions of the release.
fn registers(policy: &mut Value) -> &mut Value {
    &mut policy["Statement"][0]["Condition"]["StringEqualsIgnoreCase"]
}

/// Moves a condition of the release to another operator.
fn operator(policy: &mut Value, key: &str, operator: &str) {
    let key = format!("kms:RecipientAttestation:{key}");
    let value = registers(policy).as_object_mut().unwrap().remove(&key).unwrap();
    policy["Statement"][0]["Condition"][operator] = json!({ key: value });
}

fn rename(statement: &mut Value, from: &str, to: &str) {
    let members = statement.as_object_mut().unwrap();
    let value = members.remove(from).unwrap();
    members.insert(to.to_owned(), value);
}

const IMAGE: &str = "kms:RecipientAttestation:ImageSha384";

const CASES: &[Case] = &[
    // the document
    (|p| p["Id"] = json!("a".repeat(32_768)), &["too_large"]),
    (|p| *p = json!([]), &["malformed"]),
    (|p| p["Statements"] = json!([]), &["unknown_element"]),
    (|p| p["Statement"] = json!([]), &["malformed"]),
    (|p| p["Statement"][1] = json!("Allow"), &["malformed"]),
    (|p| p["Id"] = json!(1), &["malformed"]),
    (|p| p["Version"] = json!("2008-10-17"), &["version"]),
    (|p| drop(p.as_object_mut().unwrap().remove("Version")), &["version"]),
    (|p| p["Statement"][1]["Owner"] = json!("x"), &["unknown_element"]),
    (|p| p["Statement"][1]["effect"] = json!("Deny"), &["duplicate_member"]),
    (|p| p["Statement"][1]["Effect"] = json!("Permit"), &["malformed"]),
    (|p| rename(&mut p["Statement"][1], "Action", "action"), &["unknown_element"]),
    (|p| p["Statement"][1]["Action"] = json!([]), &["malformed"]),
    (|p| p["Statement"][1]["Action"] = json!([1]), &["malformed"]),
    (|p| p["Statement"][1]["Sid"] = json!(1), &["malformed"]),
    (|p| p["Statement"][1]["Principal"] = json!({}), &["malformed"]),
    (|p| p["Statement"][1]["Principal"] = json!(["*"]), &["malformed"]),
    (|p| p["Statement"][1]["Principal"] = json!({"AWS": {}}), &["malformed"]),
    (
        |p| p["Statement"][1]["Condition"] = json!({"Bool": {"aws:SecureTransport": []}}),
        &["malformed"],
    ),
    (
        |p| p["Statement"][1]["Condition"] = json!({"Bool": {"aws:SecureTransport": null}}),
        &["malformed"],
    ),
    (|p| p["Statement"][1]["Condition"] = json!({"Bool": "true"}), &["malformed"]),
    (|p| p["Statement"][1]["Condition"] = json!([]), &["malformed"]),
    (|p| drop(p["Statement"][1].as_object_mut().unwrap().remove("Resource")), &["malformed"]),
    (|p| registers(p)[IMAGE.to_ascii_uppercase()] = json!("x"), &["duplicate_member"]),
    // letters beyond ASCII: an element, an operator, a condition key, a kind of principal
    (|p| p["Statement"][1]["Re\u{17f}ource"] = json!("*"), &["malformed"]),
    (|p| p["\u{130}d"] = json!("x"), &["malformed", "unknown_element"]),
    (|p| operator(p, "PCR16", "\u{17f}tringEqualsIgnoreCase"), &["malformed"]),
    (|p| registers(p)[IMAGE.replacen('k', "\u{212a}", 1)] = json!("x"), &["malformed"]),
    (|p| p["Statement"][1]["Principal"]["AW\u{17f}"] = json!(HOST), &["malformed"]),
    // who
    (|p| rename(&mut p["Statement"][0], "Principal", "NotPrincipal"), &["negated_element"]),
    (|p| rename(&mut p["Statement"][1], "Action", "NotAction"), &["negated_element"]),
    (|p| rename(&mut p["Statement"][2], "Resource", "NotResource"), &["negated_element"]),
    (|p| p["Statement"][0]["Principal"] = json!("*"), &["anyone"]),
    (|p| p["Statement"][2]["Principal"] = json!({"AWS": [ADMIN, "*"]}), &["anyone"]),
    (|p| p["Statement"][3]["Principal"] = json!({"AWS": "111122223333"}), &["account_root"]),
    (
        |p| p["Statement"][0]["Principal"] = json!({"AWS": "arn:aws:iam::111122223333:root"}),
        &["account_root"],
    ),
    (
        |p| p["Statement"][2]["Principal"] = json!({"AWS": "arn:aws:iam::111122223333:user/alice"}),
        &["other_principal"],
    ),
    (|p| p["Statement"][2]["Principal"] = json!({"AWS": "AROAEXAMPLE"}), &["other_principal"]),
    (
        |p| p["Statement"][2]["Principal"] = json!({"AWS": ADMIN, "Service": "ec2.amazonaws.com"}),
        &["other_principal"],
    ),
    (
        |p| p["Statement"][2]["Principal"] = json!({"Federated": "accounts.google.com"}),
        &["other_principal"],
    ),
    (|p| p["Statement"][2]["Principal"] = json!({"CanonicalUser": "79a5"}), &["other_principal"]),
    (|p| p["Statement"][2]["Principal"] = json!({"aws": ADMIN}), &["other_principal"]),
    // what
    (|p| allow(p, "kms:Get*"), &["action_wildcard"]),
    (|p| allow(p, "*"), &["action_wildcard"]),
    (|p| allow(p, "kms:Decryp?"), &["action_wildcard"]),
    (|p| allow(p, "kms:CreateKey"), &["unlisted_action"]),
    (|p| allow(p, "kms:DeriveSharedSecret"), &["unlisted_action"]),
    (|p| allow(p, "kms:Decrypt"), &["decrypt_unattested"]),
    (|p| allow(p, "KMS:decrypt"), &["decrypt_unattested"]),
    (|p| allow(p, "kms:GenerateDataKey"), &["generate_data_key_unattested"]),
    (|p| allow(p, "kms:GenerateDataKeyWithoutPlaintext"), &["generate_without_plaintext"]),
    (|p| allow(p, "kms:GenerateDataKeyPair"), &["generate_key_pair"]),
    (|p| allow(p, "kms:GenerateDataKeyPairWithoutPlaintext"), &["generate_key_pair"]),
    (|p| allow(p, "kms:Encrypt"), &["encrypt"]),
    (|p| allow(p, "kms:ReEncryptFrom"), &["re_encrypt"]),
    (|p| allow(p, "kms:ReEncryptTo"), &["re_encrypt"]),
    (|p| allow(p, "kms:CreateGrant"), &["create_grant"]),
    (|p| allow(p, "kms:ReplicateKey"), &["replicate_key"]),
    (|p| allow(p, "kms:UpdatePrimaryRegion"), &["replicate_key"]),
    (|p| allow(p, "kms:ImportKeyMaterial"), &["import_key_material"]),
    // a release with an action that has no Recipient
    (|p| p["Statement"][0]["Action"] = json!(["kms:Decrypt", "kms:Encrypt"]), &["encrypt"]),
    // changes
    (
        |p| p["Statement"][3]["Principal"] = json!({"AWS": [ADMIN, HOST]}),
        &["policy_change_by_host"],
    ),
    (
        |p| p["Statement"][3]["Action"] = json!(["kms:PutKeyPolicy", "kms:EnableKey"]),
        &["policy_change_not_alone"],
    ),
    (|p| p["Statement"][2]["Principal"] = json!({"AWS": [ADMIN, HOST]}), &["managed_by_host"]),
    // on which condition
    (|p| operator(p, "ImageSha384", "StringLike"), &["image_not_bound"]),
    (|p| operator(p, "PCR16", "ForAnyValue:StringEquals"), &["configuration_not_bound"]),
    (|p| operator(p, "PCR17", "stringequals"), &["policy_not_bound"]),
    (|p| operator(p, "PCR17", "Null"), &["policy_not_bound"]),
    (|p| operator(p, "PCR17", "StringNotEquals"), &["policy_not_bound"]),
    (
        |p| operator(p, "PCR17", "StringEqualsIfExists"),
        &["passes_without_document", "policy_not_bound"],
    ),
    (
        |p| operator(p, "PCR16", "ForAllValues:StringEquals"),
        &["passes_without_document", "configuration_not_bound"],
    ),
    (
        |p| {
            rename(
                &mut p["Statement"][0]["Condition"],
                "StringEqualsIgnoreCase",
                "StringEqualsIgnoreCaseIfExists",
            )
        },
        &[
            "passes_without_document",
            "passes_without_document",
            "passes_without_document",
            "decrypt_unattested",
            "generate_data_key_unattested",
        ],
    ),
    (|p| rename(registers(p), IMAGE, "kms:RecipientAttestation:PCR00"), &["image_not_bound"]),
    (|p| registers(p)[IMAGE] = json!("*"), &["not_a_measurement"]),
    (|p| registers(p)[IMAGE] = json!("${aws:username}"), &["not_a_measurement"]),
    (|p| registers(p)[IMAGE] = json!([pcr(1), true]), &["not_a_measurement"]),
    (|p| registers(p)[IMAGE] = json!(u64::MAX), &["not_a_measurement"]),
    // a number of 96 digits
    (|p| registers(p)[IMAGE] = json!(1e95), &["not_json"]),
    (|p| registers(p)[IMAGE] = json!([pcr(1), Pcr::ZERO]), &["zero_measurement"]),
    (|p| registers(p)["kms:RecipientAttestation:PCR17"] = json!(Pcr::ZERO), &["zero_measurement"]),
    (
        |p| {
            registers(p)["kms:RecipientAttestation:PCR16"] = json!([pcr(2), pcr(5)]);
            registers(p)["kms:RecipientAttestation:PCR17"] = json!([pcr(3), pcr(6)]);
        },
        &["mixed_measurements"],
    ),
];

#[test]
fn each_hole_is_found() {
    for (number, (change, expected)) in CASES.iter().enumerate() {
        let mut policy = generated(&[measured(1, 2, 3)], Changes::BreakGlass);
        change(&mut policy);
        assert_eq!(
            codes(&policy, &rules(Changes::BreakGlass)),
            *expected,
            "case {number}: {policy}"
        );
    }
}

#[test]
fn the_root_with_everything() {
    let root = json!({"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"}});
    let policy = json!({"Version": "2012-10-17", "Statement": root});
    let findings = lint(&policy.to_string(), &rules(Changes::BreakGlass));
    let text = findings[0].to_string();
    assert!(text.starts_with(r#"statement 1 ("Enable IAM User Permissions"): "#), "{text}");
    assert!(text.contains("(arn:aws:iam::111122223333:root)") && text.contains("IAM"), "{text}");
    assert_eq!(codes(&policy, &rules(Changes::BreakGlass)), ["account_root", "action_wildcard"]);
}

#[test]
fn no_hole_is_without_a_test_or_an_explanation() {
    let elsewhere = ["other_measurements", "policy_change", "other_admin"];
    let tested: BTreeSet<_> =
        CASES.iter().flat_map(|(_, codes)| codes.iter().copied()).chain(elsewhere).collect();
    let all: BTreeSet<_> = Hole::ALL.iter().map(|hole| hole.code()).collect();
    assert_eq!(tested, all);
    assert_eq!(all.len(), Hole::ALL.len());
    let explanations: BTreeSet<_> = Hole::ALL.iter().map(|hole| hole.exploit()).collect();
    for (number, hole) in Hole::ALL.into_iter().enumerate() {
        assert_eq!(hole as usize, number);
        assert!(hole.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(hole.exploit().len() > 40 && hole.to_string() != hole.exploit());
    }
    assert!(explanations.len() >= Hole::ALL.len() - 1, "two holes of syntax share theirs");
}

#[test]
fn what_only_narrows_is_no_finding() {
    let cases: [fn(&mut Value); 10] = [
        |p| operator(p, "PCR16", "StringEquals"),
        |p| rename(registers(p), IMAGE, "KMS:recipientattestation:pcr0"),
        |p| p["Statement"][0]["Condition"]["StringEquals"] = json!({IMAGE: pcr(9)}),
        |p| p["Statement"][0]["Condition"]["Bool"] = json!({"aws:SecureTransport": true}),
        |p| {
            p["Statement"][0]["Condition"]["NumericLessThan"] = json!({"aws:MultiFactorAuthAge": 5})
        },
        |p| registers(p)[IMAGE] = json!([pcr(1), pcr(9)]),
        |p| p["Statement"][0]["Resource"] = json!(["arn:aws:kms:eu-central-1:111122223333:key/1"]),
        // anybody may look
        |p| p["Statement"][1]["Principal"] = json!({"AWS": ["*", "111122223333"], "Service": "x"}),
        // to take away is harmless, whatever it is
        |p| {
            statements(p).push(json!({"Effect": "Deny", "NotPrincipal": {"AWS": ADMIN}, "Action": "kms:*",
                "Resource": "*", "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": false}}}));
        },
        |p| p["Statement"] = p["Statement"][0].clone(),
    ];
    for (number, change) in cases.iter().enumerate() {
        let mut policy = generated(&[measured(1, 2, 3)], Changes::BreakGlass);
        change(&mut policy);
        assert!(codes(&policy, &rules(Changes::BreakGlass)).is_empty(), "case {number}: {policy}");
    }
}

#[test]
fn a_deny_is_never_relied_upon() {
    let mut policy = generated(&[measured(1, 2, 3)], Changes::Immutable);
    allow(&mut policy, "kms:Decrypt");
    let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
        "Condition": {"Null": {IMAGE: "true"}}});
    statements(&mut policy).push(deny);
    assert_eq!(codes(&policy, &rules(Changes::Immutable)), ["decrypt_unattested"]);
}
