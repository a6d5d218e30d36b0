//! `GetKeyPolicy` and `PutKeyPolicy`.

use serde_json::{Value, json};

use crate::world::{Answer, Role, World, allow, kind, policy};

fn put(world: &World, role: &Role, policy: &str) -> Answer {
    world.ask(role, "PutKeyPolicy", &json!({"KeyId": world.arn, "Policy": policy}))
}

#[test]
fn a_policy_is_given_as_it_was_put() {
    let world = World::new();
    let text = policy(&world.sound_policy()) + "  \n";
    assert_eq!(put(&world, &world.admin, &text).unwrap(), json!({}));
    for request in
        [json!({"KeyId": world.arn}), json!({"KeyId": world.arn, "PolicyName": "default"})]
    {
        let reply = world.ask(&world.enclave, "GetKeyPolicy", &request).unwrap();
        assert_eq!(reply, json!({"Policy": text, "PolicyName": "default"}));
    }
    let other = json!({"KeyId": world.arn, "PolicyName": "other", "Policy": text});
    for operation in ["GetKeyPolicy", "PutKeyPolicy"] {
        assert_eq!(kind(world.ask(&world.admin, operation, &other)), "NotFoundException");
    }
}

#[test]
fn who_may_not_put_a_policy_does_not() {
    let world = World::new();
    let before = world.ask(&world.admin, "GetKeyPolicy", &json!({"KeyId": world.arn})).unwrap();
    let open = policy(&[allow("*", &["kms:*"])]);
    for role in [&world.enclave, &world.attacker] {
        let refusal = put(&world, role, &open).unwrap_err();
        assert_eq!(refusal.kind, "AccessDeniedException");
        assert!(refusal.message.contains("perform: kms:PutKeyPolicy on"), "{}", refusal.message);
    }
    let after = world.ask(&world.admin, "GetKeyPolicy", &json!({"KeyId": world.arn})).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_policy_that_is_refused_changes_nothing() {
    let world = World::new();
    let before = world.ask(&world.admin, "GetKeyPolicy", &json!({"KeyId": world.arn})).unwrap();
    let with = |element: &str, value: Value| {
        let mut statement = allow("*", &["kms:*"]);
        statement.as_object_mut().unwrap().insert(element.to_owned(), value);
        policy(&[statement])
    };
    let malformed = "MalformedPolicyDocumentException";
    for (text, expected) in [
        (String::new(), malformed),
        ("{}".to_owned(), malformed),
        (with("NotPrincipal", json!({"AWS": "111122223333"})), malformed),
        (with("Principal", json!({"AWS": "arn:aws:iam::111122223333:role/*"})), malformed),
        (with("Effect", json!("allow")), malformed),
        (policy(&[allow(&world.enclave.arn, &["kms:*"])]), malformed),
        (policy(&[allow(&world.admin.arn, &["kms:Decrypt"])]), malformed),
        (" ".repeat(32_769), "LimitExceededException"),
    ] {
        assert_eq!(kind(put(&world, &world.admin, &text)), expected, "{text}");
    }
    let after = world.ask(&world.admin, "GetKeyPolicy", &json!({"KeyId": world.arn})).unwrap();
    assert_eq!(before, after);
}

/// `immutable`: nobody can change the policy any more.
#[test]
fn an_admin_can_lock_everybody_out_on_purpose() {
    let world = World::new();
    let text = policy(&[allow("*", &["kms:GetKeyPolicy"])]);
    assert_eq!(kind(put(&world, &world.admin, &text)), "MalformedPolicyDocumentException");
    let request =
        json!({"KeyId": world.arn, "Policy": text, "BypassPolicyLockoutSafetyCheck": true});
    world.ask(&world.admin, "PutKeyPolicy", &request).unwrap();
    assert_eq!(kind(put(&world, &world.admin, &text)), "AccessDeniedException");
}
