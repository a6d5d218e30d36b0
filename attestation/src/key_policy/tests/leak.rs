//! Who gets what they should not, by the model.

use super::super::model::{Attested, MANAGEMENT, NEVER, is_same};
use super::*;

/// Stands behind the name of a member that the text has twice.
pub(super) const AGAIN: &str = "#again";

/// Documents of every mix of two releases, of others, of debug images, and none at all.
fn documents() -> Vec<Option<Measurements>> {
    let mut documents = vec![None];
    for pcr0 in [1, 4] {
        for pcr16 in [2, 5] {
            documents.extend([3, 6].map(|pcr17| Some(measured(pcr0, pcr16, pcr17))));
        }
    }
    for other in [0, 9] {
        documents.push(Some(measured(other, 2, 3)));
        documents.push(Some(measured(1, other, 3)));
        documents.push(Some(measured(1, 2, other)));
    }
    documents
}

/// The text, with members that stand twice.
pub(super) fn text(policy: &Value) -> String {
    policy.to_string().replace(&format!("{AGAIN}\":"), "\":")
}

/// The text as a reader finds it that takes the last of two members, or the first.
fn reading(policy: &Value, takes_the_last: bool) -> Value {
    match policy {
        Value::Array(items) => items.iter().map(|item| reading(item, takes_the_last)).collect(),
        Value::Object(members) => {
            let (again, once): (Vec<_>, Vec<_>) =
                members.iter().partition(|(name, _)| name.ends_with(AGAIN));
            let mut read: serde_json::Map<_, _> = once
                .into_iter()
                .map(|(name, value)| (name.clone(), reading(value, takes_the_last)))
                .collect();
            for (name, value) in again {
                let name = name.trim_end_matches(AGAIN);
                if takes_the_last || !read.contains_key(name) {
                    read.insert(name.to_owned(), reading(value, takes_the_last));
                }
            }
            Value::Object(read)
        }
        one => one.clone(),
    }
}

/// Somebody who gets what they should not, by the model, in either reading.
pub(super) fn leak(policy: &Value, rules: &Rules<'_>) -> Option<String> {
    let (first, last) = (reading(policy, false), reading(policy, true));
    let of_last = || if last == first { None } else { leak_of_reading(&last, rules) };
    leak_of_reading(&first, rules).or_else(of_last)
}

fn leak_of_reading(policy: &Value, rules: &Rules<'_>) -> Option<String> {
    if policy["Version"] != "2012-10-17" {
        return Some("another version may mean anything".to_owned());
    }
    let is_allowed = |document: &Measurements| match rules.releases {
        Releases::Exactly(allowed) => allowed.contains(document),
        Releases::Complete => {
            let Measurements { pcr0, pcr16, pcr17 } = document;
            ![pcr0, pcr16, pcr17].iter().any(|pcr| pcr.is_zero())
        }
    };
    for caller in CALLERS {
        let mut is_host = false;
        let (mut may_change, mut may_manage) = (false, false);
        for document in documents() {
            let attested: Option<Attested> = document.as_ref().map(attested);
            let may = |action: &str| allows(policy, caller, action, attested.as_ref());
            let decrypts = may("kms:Decrypt") || may("kms:GenerateDataKey");
            if decrypts && !document.as_ref().is_some_and(is_allowed) {
                return Some(format!("{caller} gets the dek with {document:?}"));
            }
            if let Some(action) = NEVER.into_iter().find(|action| may(action)) {
                return Some(format!("{caller} may {action}"));
            }
            if may("kms:Encrypt") && !rules.kek_change {
                return Some(format!("{caller} may encrypt"));
            }
            is_host |= decrypts;
            may_change |= may("kms:PutKeyPolicy");
            may_manage |= MANAGEMENT.into_iter().any(may);
        }
        if may_manage && is_host {
            return Some(format!("{caller} is the host and manages the key"));
        }
        let is_admin = |admins: &[RoleArn]| admins.iter().any(|a| is_same(a.as_str(), caller));
        if (may_change || may_manage) && !rules.admins.is_none_or(is_admin) {
            return Some(format!("{caller} keeps the key and is no admin"));
        }
        if may_change && (is_host || rules.changes == Changes::Immutable) {
            return Some(format!("{caller} may change the policy"));
        }
    }
    None
}

#[test]
fn the_model_sees_the_holes_that_it_is_there_for() {
    let rules = rules(Changes::BreakGlass);
    let good = generated(&[measured(1, 2, 3)], Changes::BreakGlass);
    assert_eq!(leak(&good, &rules), None);
    let sees = |statement: Value| {
        let mut policy = good.clone();
        policy["Statement"].as_array_mut().unwrap().push(statement);
        leak(&policy, &rules).is_some()
    };
    let allow = |principal: Value, action: &str| json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"});
    assert!(!sees(allow(json!({"AWS": ADMIN}), "kms:DescribeKey")));
    assert!(sees(allow(json!({"AWS": ADMIN}), "kms:Decrypt")));
    assert!(sees(allow(json!({"AWS": "111122223333"}), "kms:*")));
    assert!(sees(allow(json!({"AWS": HOST}), "kms:PutKeyPolicy")));
    assert!(sees(allow(json!("*"), "kms:ReEncrypt*")));
    assert!(sees(allow(json!({"AWS": HOST_UNDER_A_PATH}), "kms:PutKeyPolicy")));
    assert!(sees(allow(json!({"AWS": HOST_UNDER_A_PATH}), "kms:ScheduleKeyDeletion")));
    assert!(!sees(allow(json!({"AWS": STRANGER}), "kms:PutKeyPolicy")));
    let admins = [role(ADMIN_UNDER_A_PATH)];
    let known = Rules { admins: Some(&admins), ..rules };
    assert_eq!(leak(&good, &known), None);
    let mut other = good.clone();
    other["Statement"][2]["Principal"] = json!({"AWS": STRANGER});
    assert!(leak(&other, &known).is_some());
    // a member that stands twice is dangerous in one of its readings
    let mut twice = good.clone();
    twice["Statement"][0][format!("Principal{AGAIN}")] = json!({"AWS": ADMIN});
    assert!(text(&twice).contains(r#""Principal":{"AWS":["#) && !text(&twice).contains(AGAIN));
    assert!(leak(&twice, &rules).is_some());
    let mut old = good;
    old["Version"] = json!("2008-10-17");
    assert!(leak(&old, &rules).is_some());
}
