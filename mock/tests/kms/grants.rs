//! `CreateGrant`, `ListGrants`, `RevokeGrant`.

use serde_json::{Value, json};

use crate::world::{Answer, Role, World, allow, deny, kind};

/// The admin may grant.
fn granting_world() -> World {
    let world = World::new();
    world.add_to_policy(&[allow(&world.admin.arn, &["kms:CreateGrant"])]);
    world
}

fn grant(world: &World, by: &Role, to: &Role, operations: &[&str], more: Value) -> Answer {
    let mut request =
        json!({"KeyId": world.arn, "GranteePrincipal": to.arn, "Operations": operations});
    let members = more.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(members);
    world.ask(by, "CreateGrant", &request)
}

fn list(world: &World, more: Value) -> Value {
    let mut request = json!({"KeyId": world.arn});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.ask(&world.admin, "ListGrants", &request).unwrap()
}

fn grants(listed: &Value) -> &Vec<Value> {
    listed.get("Grants").unwrap().as_array().unwrap()
}

fn encrypt(world: &World, role: &Role, context: Value) -> Answer {
    let request = json!({"KeyId": world.arn, "Plaintext": "AA==", "EncryptionContext": context});
    world.ask(role, "Encrypt", &request)
}

#[test]
fn a_grant_works_until_it_is_revoked() {
    let world = granting_world();
    assert_eq!(kind(encrypt(&world, &world.attacker, json!({}))), "AccessDeniedException");
    let more = json!({"Name": "backup", "RetiringPrincipal": world.admin.arn});
    let made = grant(&world, &world.admin, &world.attacker, &["Encrypt"], more).unwrap();
    let id = made.get("GrantId").unwrap();
    assert!(made.get("GrantToken").is_some());
    assert!(encrypt(&world, &world.attacker, json!({})).is_ok());
    assert_eq!(kind(encrypt(&world, &world.enclave, json!({}))), "AccessDeniedException");

    let listed = list(&world, json!({}));
    assert_eq!(listed.get("Truncated").unwrap(), &json!(false));
    let found = grants(&listed).first().unwrap();
    for (member, value) in [
        ("KeyId", json!(world.arn)),
        ("GrantId", id.clone()),
        ("Name", json!("backup")),
        ("GranteePrincipal", json!(world.attacker.arn)),
        ("RetiringPrincipal", json!(world.admin.arn)),
        ("IssuingAccount", json!("arn:aws:iam::111122223333:root")),
        ("Operations", json!(["Encrypt"])),
    ] {
        assert_eq!(found.get(member), Some(&value), "{member}");
    }
    assert!(found.get("Constraints").is_none());

    let request = json!({"KeyId": world.arn, "GrantId": id});
    let denied = world.ask(&world.attacker, "RevokeGrant", &request);
    assert_eq!(kind(denied), "AccessDeniedException");
    world.ask(&world.admin, "RevokeGrant", &request).unwrap();
    assert_eq!(kind(world.ask(&world.admin, "RevokeGrant", &request)), "NotFoundException");
    assert_eq!(kind(encrypt(&world, &world.attacker, json!({}))), "AccessDeniedException");
    assert!(grants(&list(&world, json!({}))).is_empty());
}

#[test]
fn a_grant_is_refused_that_makes_no_sense() {
    let world = granting_world();
    let to = |grantee: &str, operations: &[&str], more: Value| {
        let role = &world.admin;
        let mut request =
            json!({"KeyId": world.arn, "GranteePrincipal": grantee, "Operations": operations});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        kind(world.ask(role, "CreateGrant", &request))
    };
    let arn = world.enclave.arn.as_str();
    let pairs: serde_json::Map<_, _> = (0..9).map(|n| (n.to_string(), json!("x"))).collect();
    for (grantee, operations, more, expected) in [
        ("*", vec!["Decrypt"], json!({}), "InvalidArnException"),
        ("111122223333", vec!["Decrypt"], json!({}), "InvalidArnException"),
        (arn, vec!["Decrypt"], json!({"RetiringPrincipal": "x"}), "InvalidArnException"),
        (arn, vec![], json!({}), "ValidationException"),
        (arn, vec!["Sign"], json!({}), "ValidationException"),
        (arn, vec!["PutKeyPolicy"], json!({}), "ValidationException"),
        (arn, vec!["Decrypt"], json!({"Name": "not a name"}), "ValidationException"),
        (
            arn,
            vec!["Decrypt"],
            json!({"Constraints": {"EncryptionContextSubset": pairs}}),
            "ValidationException",
        ),
        (arn, vec!["Decrypt"], json!({"KeyId": "none"}), "NotFoundException"),
        (arn, vec!["Decrypt"], json!({"DryRun": true}), "DryRunOperationException"),
    ] {
        assert_eq!(to(grantee, &operations, more.clone()), expected, "{operations:?} {more}");
    }
    assert!(grants(&list(&world, json!({}))).is_empty());
    let denied = grant(&world, &world.enclave, &world.enclave, &["Decrypt"], json!({}));
    assert_eq!(kind(denied), "AccessDeniedException");

    world.ask(&world.admin, "DisableKey", &json!({"KeyId": world.arn})).unwrap();
    let answer = grant(&world, &world.admin, &world.enclave, &["Decrypt"], json!({}));
    assert_eq!(kind(answer), "DisabledException");
}

#[test]
fn constraints_limit_the_encryption_context() {
    let world = granting_world();
    let subset = json!({"Constraints": {"EncryptionContextSubset": {"purpose": "dek"}}});
    grant(&world, &world.admin, &world.attacker, &["Encrypt"], subset.clone()).unwrap();
    let equals = json!({"Constraints": {"EncryptionContextEquals": {"purpose": "dek"}}});
    grant(&world, &world.admin, &world.enclave, &["Encrypt"], equals).unwrap();
    for (context, wide, exact) in [
        (json!({"purpose": "dek"}), true, true),
        (json!({"purpose": "dek", "x": "1"}), true, false),
        (json!({"purpose": "other"}), false, false),
        (json!({}), false, false),
    ] {
        assert_eq!(encrypt(&world, &world.attacker, context.clone()).is_ok(), wide, "{context}");
        assert_eq!(encrypt(&world, &world.enclave, context.clone()).is_ok(), exact, "{context}");
    }
    let listed = list(&world, json!({"GranteePrincipal": world.attacker.arn}));
    let found = grants(&listed).first().unwrap().get("Constraints").unwrap();
    assert_eq!(found, subset.get("Constraints").unwrap());
}

#[test]
fn a_deny_of_the_policy_wins_over_a_grant() {
    let world = granting_world();
    grant(&world, &world.admin, &world.attacker, &["Encrypt"], json!({})).unwrap();
    let more = [allow(&world.admin.arn, &["kms:CreateGrant"]), deny("*", &["kms:Encrypt"])];
    world.add_to_policy(&more);
    let refusal = encrypt(&world, &world.attacker, json!({})).unwrap_err();
    assert!(refusal.message.ends_with("with an explicit deny in a resource-based policy"));
}

#[test]
fn who_may_grant_by_a_grant_gives_no_more_than_it() {
    let world = granting_world();
    let more = json!({"Constraints": {"EncryptionContextSubset": {"purpose": "dek"}}});
    let operations = ["CreateGrant", "Decrypt"];
    grant(&world, &world.admin, &world.attacker, &operations, more.clone()).unwrap();
    let derived = |operations: &[&str], more: Value| {
        grant(&world, &world.attacker, &world.enclave, operations, more)
    };
    assert_eq!(kind(derived(&["Decrypt"], json!({}))), "ValidationException");
    assert_eq!(kind(derived(&["Encrypt"], more.clone())), "ValidationException");
    assert!(derived(&["Decrypt"], more).is_ok());
}

#[test]
fn a_named_grant_that_is_asked_for_again_is_the_same() {
    let world = granting_world();
    let id = |operations: &[&str], more: Value| {
        let made = grant(&world, &world.admin, &world.enclave, operations, more).unwrap();
        made.get("GrantId").unwrap().clone()
    };
    let named = || json!({"Name": "one"});
    let first = id(&["Decrypt"], named());
    assert_eq!(id(&["Decrypt"], named()), first);
    assert_ne!(id(&["Encrypt"], named()), first);
    assert_ne!(id(&["Decrypt"], json!({})), id(&["Decrypt"], json!({})), "without a name");
}

/// Whoever looks for grants must find all of them.
#[test]
fn grants_are_listed_page_by_page() {
    let world = granting_world();
    for _ in 0..5 {
        grant(&world, &world.admin, &world.enclave, &["Decrypt"], json!({})).unwrap();
    }
    let all = list(&world, json!({}));
    let mut found = Vec::new();
    let mut marker = json!({});
    let sizes = [2, 2, 1].map(|size| {
        let mut request = json!({"Limit": 2});
        request.as_object_mut().unwrap().extend(marker.as_object().unwrap().clone());
        let page = list(&world, request);
        found.extend(grants(&page).clone());
        let next = page.get("NextMarker");
        assert_eq!(page.get("Truncated").unwrap(), &json!(next.is_some()));
        marker = next.map_or(json!({}), |next| json!({"Marker": next}));
        (size, grants(&page).len())
    });
    assert!(sizes.iter().all(|(expected, size)| expected == size), "{sizes:?}");
    assert_eq!(&found, grants(&all));

    let id = found.get(3).unwrap().get("GrantId").unwrap();
    assert_eq!(grants(&list(&world, json!({"GrantId": id}))).len(), 1);
    for (more, expected) in [
        (json!({"Limit": 0}), "ValidationException"),
        (json!({"Limit": 101}), "ValidationException"),
        (json!({"Marker": "x"}), "InvalidMarkerException"),
    ] {
        let mut request = json!({"KeyId": world.arn});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(kind(world.ask(&world.admin, "ListGrants", &request)), expected);
    }
    let denied = world.ask(&world.attacker, "ListGrants", &json!({"KeyId": world.arn}));
    assert_eq!(kind(denied), "AccessDeniedException");
}

#[test]
fn a_key_has_so_many_grants_and_no_more() {
    let world = granting_world();
    let named = |name: usize| {
        let more = json!({"Name": format!("grant-{name}")});
        grant(&world, &world.admin, &world.enclave, &["Decrypt"], more)
    };
    for name in 0..256 {
        named(name).unwrap();
    }
    assert_eq!(kind(named(256)), "LimitExceededException");
    assert!(named(7).is_ok(), "what is there already");
}
