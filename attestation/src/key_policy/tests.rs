#![allow(clippy::unwrap_used)]

mod admins;
mod holes;
mod leak;
mod mutations;
mod spelling;

use serde_json::{Value, json};

use super::model::{
    ADMIN, ADMIN_UNDER_A_PATH, CALLERS, HOST, HOST_UNDER_A_PATH, STRANGER, allows, attested,
};
use super::*;

fn pcr(byte: u8) -> Pcr {
    Pcr::new([byte; 48])
}

fn measured(pcr0: u8, pcr16: u8, pcr17: u8) -> Measurements {
    Measurements { pcr0: pcr(pcr0), pcr16: pcr(pcr16), pcr17: pcr(pcr17) }
}

fn role(arn: &str) -> RoleArn {
    RoleArn::parse(arn).unwrap()
}

fn spec(releases: &[Measurements], changes: Changes) -> KeyPolicySpec {
    KeyPolicySpec {
        releases: releases.iter().copied().map(Release::from).collect(),
        enclave_roles: vec![role(HOST)],
        admin_roles: vec![role(ADMIN)],
        changes,
    }
}

fn generated(releases: &[Measurements], changes: Changes) -> Value {
    serde_json::from_str(&spec(releases, changes).to_json().unwrap()).unwrap()
}

fn rules(changes: Changes) -> Rules<'static> {
    Rules { releases: Releases::Complete, changes, kek_change: false, admins: None }
}

/// The codes that the linter tells of a policy.
fn codes(policy: &Value, rules: &Rules<'_>) -> Vec<&'static str> {
    lint(&policy.to_string(), rules).iter().map(|finding| finding.hole.code()).collect()
}

#[test]
fn the_policy_that_is_written() {
    let mut spec = spec(&[measured(1, 2, 3)], Changes::BreakGlass);
    spec.releases[0].pcr8 = Some(pcr(8));
    let policy: Value = serde_json::from_str(&spec.to_json().unwrap()).unwrap();
    let hex = |byte: &str| byte.repeat(48);
    let statements = policy["Statement"].as_array().unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    assert_eq!(
        statements[0],
        json!({
            "Sid": "ReleaseToTheMeasuredEnclave1",
            "Effect": "Allow",
            "Principal": {"AWS": [HOST]},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringEqualsIgnoreCase": {
                "kms:RecipientAttestation:ImageSha384": hex("01"),
                "kms:RecipientAttestation:PCR16": hex("02"),
                "kms:RecipientAttestation:PCR17": hex("03"),
                "kms:RecipientAttestation:PCR8": hex("08"),
            }}
        })
    );
    assert_eq!(
        statements[1]["Action"],
        json!(["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"])
    );
    assert_eq!(statements[1]["Principal"], json!({"AWS": [HOST]}));
    assert_eq!(statements[2]["Principal"], json!({"AWS": [ADMIN]}));
    assert_eq!(statements[3]["Action"], json!(["kms:PutKeyPolicy"]));
    assert!(statements[3]["Sid"].as_str().unwrap().contains("CloudTrail"));
    assert_eq!(statements.len(), 4);
    spec.changes = Changes::Immutable;
    assert!(!spec.to_json().unwrap().contains("PutKeyPolicy"));
}

#[test]
fn each_release_has_a_statement_of_its_own_and_images_do_not_mix() {
    let releases = [measured(1, 2, 3), measured(4, 5, 6)];
    let policy = generated(&releases, Changes::BreakGlass);
    let open = |m: Measurements| allows(&policy, HOST, "kms:Decrypt", Some(&attested(&m)));
    assert!(open(releases[0]) && open(releases[1]));
    for mixed in [measured(1, 5, 6), measured(4, 2, 6), measured(1, 2, 6), measured(4, 5, 3)] {
        assert!(!open(mixed));
    }
    for caller in CALLERS {
        assert_eq!(allows(&policy, caller, "kms:PutKeyPolicy", None), caller == ADMIN, "{caller}");
        assert!(!allows(&policy, caller, "kms:Decrypt", None), "{caller}");
    }
    assert!(allows(&policy, ADMIN, "kms:ScheduleKeyDeletion", None));
    assert!(allows(&policy, HOST, "kms:GetKeyPolicy", None));
    assert!(!allows(&policy, STRANGER, "kms:DescribeKey", None));
}

#[test]
fn what_is_not_written() {
    let good = spec(&[measured(1, 2, 3)], Changes::BreakGlass);
    let refused = |change: fn(&mut KeyPolicySpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        spec.to_json().unwrap_err()
    };
    assert_eq!(refused(|s| s.releases.clear()), SpecError::Empty("releases"));
    assert_eq!(refused(|s| s.enclave_roles.clear()), SpecError::Empty("enclave roles"));
    assert_eq!(refused(|s| s.admin_roles.clear()), SpecError::Empty("admin roles"));
    assert_eq!(refused(|s| s.releases[0].measurements.pcr0 = Pcr::ZERO), SpecError::Zero("pcr0"));
    assert_eq!(refused(|s| s.releases[0].measurements.pcr16 = Pcr::ZERO), SpecError::Zero("pcr16"));
    assert_eq!(refused(|s| s.releases[0].measurements.pcr17 = Pcr::ZERO), SpecError::Zero("pcr17"));
    assert_eq!(refused(|s| s.releases[0].pcr3 = Some(Pcr::ZERO)), SpecError::Zero("pcr3"));
    assert_eq!(refused(|s| s.releases[0].pcr8 = Some(Pcr::ZERO)), SpecError::Zero("pcr8"));
    let both = refused(|s| s.admin_roles.push(role(HOST)));
    assert_eq!(both, SpecError::BothRoles(role(HOST)));
    let path = refused(|s| s.admin_roles[0] = role(HOST_UNDER_A_PATH));
    assert_eq!(path, SpecError::BothRoles(role(HOST_UNDER_A_PATH)));
    // a hundred releases do not fit into a key policy
    let large = refused(|s| s.releases = s.releases.repeat(100));
    let SpecError::Refused(finding) = large else { unreachable!("{large}") };
    assert_eq!(finding.hole, Hole::TooLarge);
}

#[test]
fn a_policy_to_create_a_key_with_releases_to_nobody() {
    let spec =
        |releases: &[Measurements], changes| spec(releases, changes).to_json_released_to_nobody();
    let text = spec(&[], Changes::BreakGlass).unwrap();
    let policy: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(codes(&policy, &rules(Changes::BreakGlass)), [""; 0]);
    assert!(!releases_to_somebody(&text));
    for action in ["kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"] {
        for role in [HOST, ADMIN] {
            assert!(!allows(&policy, role, action, None), "{role} {action}");
        }
    }
    assert!(allows(&policy, HOST, "kms:GetKeyPolicy", None));
    assert!(allows(&policy, ADMIN, "kms:PutKeyPolicy", None));
    assert_eq!(spec(&[], Changes::Immutable), Err(SpecError::ImmutableNobody));
    assert_eq!(spec(&[measured(1, 2, 3)], Changes::BreakGlass), Err(SpecError::NotNobody));
}

#[test]
fn an_immutable_policy_is_one_that_can_stay() {
    let both = [measured(1, 2, 3), measured(4, 5, 6)];
    let two = spec(&both, Changes::Immutable);
    assert_eq!(two.to_json(), Err(SpecError::ImmutableReleases));
    let mut one = spec(&[both[0]; 2], Changes::Immutable);
    assert_eq!(one.to_json_for_kek_change(), Err(SpecError::ImmutableKekChange));
    // one enclave, on parents of two roles
    one.releases[0].pcr3 = Some(pcr(7));
    one.releases[1].pcr3 = Some(pcr(8));
    assert!(one.to_json().is_ok());
}

#[test]
fn whether_anything_is_released() {
    let mut policy = generated(&[measured(1, 2, 3)], Changes::BreakGlass);
    assert!(releases_to_somebody(&policy.to_string()));
    policy["Statement"][0]["Effect"] = json!("Deny");
    assert!(!releases_to_somebody(&policy.to_string()));
    policy["Statement"][0]["Effect"] = json!("Allow");
    policy["Statement"][0]["Action"] = json!("KMS:generatedatakey");
    assert!(releases_to_somebody(&policy.to_string()));
    policy["Statement"][0]["Action"] = json!("kms:DescribeKey");
    assert!(!releases_to_somebody(&policy.to_string()));
}

#[test]
fn exactly_these_measurements_and_no_others() {
    let releases = [measured(1, 2, 3), measured(4, 5, 6)];
    let policy = generated(&releases, Changes::BreakGlass);
    let exactly =
        |allowed| Rules { releases: Releases::Exactly(allowed), ..rules(Changes::BreakGlass) };
    assert!(codes(&policy, &exactly(&releases)).is_empty());
    assert!(codes(&policy, &rules(Changes::BreakGlass)).is_empty());
    assert!(codes(&generated(&releases[..1], Changes::BreakGlass), &exactly(&releases)).is_empty());
    assert_eq!(codes(&policy, &exactly(&releases[..1])), ["other_measurements"]);
    assert_eq!(codes(&policy, &exactly(&[])), ["other_measurements"; 2]);

    // every combination of the values of one statement must be allowed
    let mut mixed = generated(&releases[..1], Changes::BreakGlass);
    let registers = &mut mixed["Statement"][0]["Condition"]["StringEqualsIgnoreCase"];
    registers["kms:RecipientAttestation:ImageSha384"] = json!([pcr(1), pcr(4)]);
    let both = [measured(1, 2, 3), measured(4, 2, 3)];
    assert!(codes(&mixed, &exactly(&both)).is_empty());
    assert_eq!(codes(&mixed, &exactly(&releases)), ["other_measurements"]);
    let registers = &mut mixed["Statement"][0]["Condition"]["StringEqualsIgnoreCase"];
    registers["kms:RecipientAttestation:PCR16"] = json!([pcr(2), pcr(5)]);
    assert_eq!(codes(&mixed, &exactly(&both)), ["other_measurements"]);
    assert_eq!(codes(&mixed, &rules(Changes::BreakGlass)), ["mixed_measurements"]);
}

#[test]
fn while_the_kek_changes_roles_may_encrypt_under_the_new_one() {
    let mut policy = generated(&[measured(1, 2, 3)], Changes::Immutable);
    let encrypt = json!({"Effect": "Allow", "Principal": {"AWS": HOST}, "Action": "kms:Encrypt", "Resource": "*"});
    policy["Statement"].as_array_mut().unwrap().push(encrypt);
    assert_eq!(codes(&policy, &rules(Changes::Immutable)), ["encrypt"]);
    let change = Rules { kek_change: true, ..rules(Changes::Immutable) };
    assert!(codes(&policy, &change).is_empty());
    policy["Statement"][3]["Principal"] = json!("*");
    assert_eq!(codes(&policy, &change), ["anyone"]);

    let spec = spec(&[measured(1, 2, 3)], Changes::BreakGlass);
    let change = Rules { kek_change: true, ..rules(Changes::BreakGlass) };
    let written: Value = serde_json::from_str(&spec.to_json_for_kek_change().unwrap()).unwrap();
    assert!(codes(&written, &change).is_empty());
    assert_eq!(codes(&written, &rules(Changes::BreakGlass)), ["encrypt"]);
    assert!(allows(&written, HOST, "kms:Encrypt", None));
    assert!(!allows(&written, ADMIN, "kms:Encrypt", None));
}

#[test]
fn all_findings_are_told_in_the_order_of_statements() {
    let mut policy = generated(&[measured(1, 2, 3)], Changes::BreakGlass);
    policy["Statement"][0].as_object_mut().unwrap().remove("Condition");
    policy["Statement"][2]["Principal"] = json!("*");
    policy["Version"] = json!("2008-10-17");
    let findings = lint(&policy.to_string(), &rules(Changes::Immutable));
    let told: Vec<_> = findings
        .iter()
        .map(|f| (f.statement.as_ref().map(|place| place.number), f.hole.code()))
        .collect();
    assert_eq!(
        told,
        [
            (None, "version"),
            (Some(1), "decrypt_unattested"),
            (Some(1), "generate_data_key_unattested"),
            (Some(3), "anyone"),
            (Some(4), "policy_change"),
        ]
    );
    let text = findings[1].to_string();
    assert!(
        text.starts_with("statement 1 (\"ReleaseToTheMeasuredEnclave1\"): kms:Decrypt"),
        "{text}"
    );
    assert!(text.ends_with(Hole::DecryptUnattested.exploit()), "{text}");
}

#[test]
fn the_number_of_findings_is_bounded() {
    let statement =
        json!({"Effect": "Allow", "Action": vec!["*"; 2_000], "Principal": "*", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": statement});
    assert_eq!(codes(&policy, &rules(Changes::Immutable)).len(), MAX_FINDINGS);
}

#[test]
fn changes_in_text() {
    for changes in [Changes::Immutable, Changes::BreakGlass] {
        assert_eq!(changes.to_string().parse(), Ok(changes));
        assert_eq!(serde_json::to_value(changes).unwrap(), json!(changes.to_string()));
    }
    assert_eq!("root".parse::<Changes>(), Err(ParseChangesError));
}

#[test]
fn measurements_follow_from_the_bytes_that_are_measured() {
    let found = Measurements::of(pcr(1), b"configuration", b"policy");
    let expected = Measurements {
        pcr0: pcr(1),
        pcr16: measure::extend_from_zero(b"configuration"),
        pcr17: measure::extend_from_zero(b"policy"),
    };
    assert_eq!(found, expected);
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Measurements>(&text).unwrap(), expected);
    assert!(serde_json::from_str::<Measurements>(&text.replace("pcr0", "PCR0")).is_err());
}
