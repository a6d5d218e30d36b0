//! `GetKeyPolicy` and `PutKeyPolicy`.

use serde_json::{Value, json};

use strongroom_attestation::key_policy::canonical;

use crate::world::{Answer, Role, World, allow, kind, policy};

fn put(world: &World, role: &Role, policy: &str) -> Answer {
    world.ask(role, "PutKeyPolicy", &json!({"KeyId": world.arn, "Policy": policy}))
}

/// The key's policy as it is given, and in a form that says the same of all its spellings.
fn get(world: &World) -> (String, Vec<u8>) {
    let reply = world.ask(&world.admin, "GetKeyPolicy", &json!({"KeyId": world.arn})).unwrap();
    let text = reply.get("Policy").unwrap().as_str().unwrap().to_owned();
    let said = canonical(&text).unwrap();
    (text, said)
}

/// As by the real KMS: what it says stays, the text does not.
#[test]
fn a_policy_is_given_in_other_words_than_it_was_put() {
    let world = World::new();
    let text = policy(&world.sound_policy()) + "  \n";
    assert_eq!(put(&world, &world.admin, &text).unwrap(), json!({}));
    for request in
        [json!({"KeyId": world.arn}), json!({"KeyId": world.arn, "PolicyName": "default"})]
    {
        let reply = world.ask(&world.enclave, "GetKeyPolicy", &request).unwrap();
        assert_eq!(reply.get("PolicyName").unwrap(), "default");
        let given = reply.get("Policy").unwrap().as_str().unwrap();
        assert_eq!(canonical(given), canonical(&text));
    }
    let given: std::collections::BTreeSet<_> = (0..8).map(|_| get(&world).0).collect();
    assert!(given.len() > 1 && !given.contains(&text));
    let stored = std::fs::read_to_string(world.dir.path().join("state.json")).unwrap();
    let stored: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored.pointer("/keys/0/policy").unwrap(), &text, "the file has it as it was put");
    assert!(put(&world, &world.admin, &get(&world).0).is_ok(), "and what was given can be put");
    let other = json!({"KeyId": world.arn, "PolicyName": "other", "Policy": text});
    for operation in ["GetKeyPolicy", "PutKeyPolicy"] {
        assert_eq!(kind(world.ask(&world.admin, operation, &other)), "NotFoundException");
    }
}

#[test]
fn who_may_not_put_a_policy_does_not() {
    let world = World::new();
    let (_, before) = get(&world);
    let open = policy(&[allow("*", &["kms:*"])]);
    for role in [&world.enclave, &world.attacker] {
        let refusal = put(&world, role, &open).unwrap_err();
        assert_eq!(refusal.kind, "AccessDeniedException");
        assert!(refusal.message.contains("perform: kms:PutKeyPolicy on"), "{}", refusal.message);
    }
    assert_eq!(get(&world).1, before);
}

#[test]
fn a_policy_that_is_refused_changes_nothing() {
    let world = World::new();
    let (_, before) = get(&world);
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
    assert_eq!(get(&world).1, before);
}

/// AWS knows the principals of its accounts. Those of others it knows too, and this KMS does not.
#[test]
fn principals_must_exist() {
    let world = World::new();
    let with = |principal: Value| {
        let mut statement = allow("*", &["kms:Decrypt"]);
        statement.as_object_mut().unwrap().insert("Principal".to_owned(), principal);
        policy(&[world.sound_policy(), vec![statement]].concat())
    };
    for principal in [
        json!({"AWS": "arn:aws:iam::111122223333:role/nobody"}),
        json!({"AWS": [world.enclave.arn, "arn:aws:iam::111122223333:role/nobody"]}),
        json!({"AWS": "arn:aws:iam::111122223333:user/anybody"}),
        json!({"AWS": "arn:aws:sts::111122223333:assumed-role/nobody/i-0"}),
        json!({"AWS": "arn:aws:iam::111122223333:role/*"}),
        json!({"AWS": "1111"}),
        json!({"Other": "*"}),
    ] {
        let put = put(&world, &world.admin, &with(principal.clone()));
        let create = json!({"Policy": with(principal.clone())});
        let create = world.ask(&world.admin, "CreateKey", &create);
        for refusal in [put.unwrap_err(), create.unwrap_err()] {
            assert_eq!(refusal.kind, "MalformedPolicyDocumentException", "{principal}");
            let expected = "Policy contains a statement with one or more invalid principals.";
            assert_eq!(refusal.message, expected);
        }
    }
    for principal in [
        json!({"AWS": [world.enclave.arn, world.attacker.arn]}),
        json!({"AWS": "arn:aws:sts::111122223333:assumed-role/attacker/i-0"}),
        json!({"AWS": ["444455556666", "arn:aws:iam::444455556666:role/any"]}),
        json!({"Service": "ec2.amazonaws.com"}),
    ] {
        assert!(put(&world, &world.admin, &with(principal.clone())).is_ok(), "{principal}");
    }
    // Who sits at the disk may.
    world.add_to_policy(&[allow("arn:aws:iam::111122223333:role/nobody", &["kms:Decrypt"])]);
}

/// What would merely never apply here, and is refused there.
#[test]
fn a_policy_against_the_grammar_is_refused() {
    let world = World::new();
    let with = |element: &str, value: Value| {
        let mut statement = allow(&world.enclave.arn, &["kms:Decrypt"]);
        statement.as_object_mut().unwrap().insert(element.to_owned(), value);
        policy(&[world.sound_policy(), vec![statement]].concat())
    };
    let condition = |operator: &str, key: &str| with("Condition", json!({operator: {key: "x"}}));
    let sid = |sid: &str| {
        let mut statement = allow("*", &["kms:PutKeyPolicy"]);
        statement.as_object_mut().unwrap().insert("Sid".to_owned(), json!(sid));
        statement
    };
    let array = r#"["2012-10-17", "id", {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}]"#;
    let statement = r#"{"Statement": [["sid", "Allow", "*", "kms:*", "*", null]]}"#;
    for text in [
        condition("StringMatches", "aws:SourceIp"),
        condition("stringEquals", "aws:SourceIp"),
        condition("StringEquals", "kms:RecipientAttestation:PCR00"),
        condition("StringEquals", "kms:NoSuchKey"),
        with("Action", json!("Decrypt")),
        with("Action", json!(["kms:Decrypt", "kms"])),
        with("Sid", json!("\u{100}")),
        policy(&[sid("one"), sid("one")]),
        array.to_owned(),
        statement.to_owned(),
    ] {
        let answer = put(&world, &world.admin, &text);
        assert_eq!(kind(answer), "MalformedPolicyDocumentException", "{text}");
    }
    for text in [
        condition("StringEquals", "aws:NoSuchKey"),
        condition("DateLessThan", "aws:CurrentTime"),
        condition("StringEquals", "kms:ViaService"),
        with("Action", json!("*")),
        with("Sid", json!("\u{fc}")),
        policy(&[sid("one"), sid("two")]),
    ] {
        assert!(put(&world, &world.admin, &text).is_ok(), "{text}");
        world.set_policy(&world.sound_policy());
    }
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
