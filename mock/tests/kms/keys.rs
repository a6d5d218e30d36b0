//! Keys: made, described, disabled, deleted; and what of them survives.

use serde_json::{Value, json};
use strongroom_attestation::key_policy::canonical;
use strongroom_mock::kms::LocalKms;

use crate::world::{ACCOUNT, DAY, Role, World, allow, kind, now};

fn create(world: &World, role: &Role, request: &Value) -> Value {
    let reply = world.ask(role, "CreateKey", request).unwrap();
    reply.get("KeyMetadata").unwrap().clone()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value.get(member).unwrap().as_str().unwrap()
}

#[test]
fn a_first_policy_lets_everybody_look_and_nobody_use_the_key() {
    let world = World::new();
    let fresh = tempfile::tempdir().unwrap();
    let made = strongroom_mock::kms::init(fresh.path(), "eu-central-1", None).unwrap();
    let kms = LocalKms::open(fresh.path(), world.pki.trust_anchor().unwrap()).unwrap();
    let world = World { arn: made.key_arn.to_string(), kms, dir: fresh, ..world };
    let caller = strongroom_mock::kms::client::Client::new(world.dir.path(), &made.enclave_role);
    let caller = caller.unwrap();
    let request = json!({"KeyId": world.arn, "KeySpec": "AES_256", "Plaintext": "AA=="});
    for (operation, status) in [
        ("DescribeKey", 200),
        ("GetKeyPolicy", 200),
        ("ListGrants", 200),
        ("GenerateDataKey", 400),
        ("Encrypt", 400),
        ("DisableKey", 400),
    ] {
        let at = strongroom_attestation::UnixTime::now();
        let reply = caller.ask(&world.kms, operation, &request, at).unwrap();
        assert_eq!(reply.status, status, "{operation}");
    }
}

#[test]
fn a_key_is_described_as_it_is() {
    let world = World::new();
    let found = world.describe();
    let id = world.arn.rsplit('/').next().unwrap();
    for (member, value) in [
        ("AWSAccountId", json!(ACCOUNT)),
        ("Arn", json!(world.arn)),
        ("KeyId", json!(id)),
        ("Enabled", json!(true)),
        ("KeyManager", json!("CUSTOMER")),
        ("KeyState", json!("Enabled")),
        ("KeyUsage", json!("ENCRYPT_DECRYPT")),
        ("KeySpec", json!("SYMMETRIC_DEFAULT")),
        ("Origin", json!("AWS_KMS")),
        ("MultiRegion", json!(false)),
    ] {
        assert_eq!(found.get(member), Some(&value), "{member}");
    }
    assert!(found.get("MultiRegionConfiguration").is_none() && found.get("DeletionDate").is_none());
    let denied = world.ask(&world.attacker, "DescribeKey", &json!({"KeyId": world.arn}));
    assert_eq!(kind(denied), "AccessDeniedException");
}

/// The default policy leaves all to IAM: root `kms:*`.
#[test]
fn a_key_that_is_made_without_a_policy_is_open_to_its_account() {
    let world = World::new();
    let key = create(&world, &world.admin, &json!({"Description": "a key"}));
    assert_eq!(text(&key, "Description"), "a key");
    let arn = text(&key, "Arn");
    assert!(arn.starts_with("arn:aws:kms:eu-central-1:111122223333:key/"));
    let request = json!({"KeyId": arn});
    let reply = world.ask(&world.attacker, "GetKeyPolicy", &request).unwrap();
    let policy: Value = serde_json::from_str(text(&reply, "Policy")).unwrap();
    let root = "arn:aws:iam::111122223333:root";
    // A list of one may be given as the one.
    let statement = policy.pointer("/Statement/0").or(policy.get("Statement")).unwrap();
    assert_eq!(statement.pointer("/Principal/AWS").unwrap(), root);
    assert_eq!(statement.get("Action").unwrap(), "kms:*");
    let generate = json!({"KeyId": arn, "KeySpec": "AES_256"});
    assert!(world.ask(&world.attacker, "GenerateDataKey", &generate).is_ok());
}

#[test]
fn a_multi_region_key_says_so() {
    let world = World::new();
    let key = create(&world, &world.admin, &json!({"MultiRegion": true}));
    assert_eq!(key.get("MultiRegion").unwrap(), &json!(true));
    assert!(text(&key, "KeyId").starts_with("mrk-"));
    let configuration = "/MultiRegionConfiguration/MultiRegionKeyType";
    assert_eq!(key.pointer(configuration).unwrap(), "PRIMARY");
}

#[test]
fn a_policy_that_locks_its_maker_out_is_refused_unless_it_is_wanted() {
    let world = World::new();
    let policy = json!({"Statement": allow(&world.enclave.arn, &["kms:*"])}).to_string();
    let request = json!({"Policy": policy});
    let refusal = world.ask(&world.admin, "CreateKey", &request).unwrap_err();
    assert_eq!(refusal.kind, "MalformedPolicyDocumentException");
    assert!(refusal.message.contains("will not allow you to update the key policy"));
    assert!(world.ask(&world.enclave, "CreateKey", &request).is_ok());
    let bypass = json!({"Policy": policy, "BypassPolicyLockoutSafetyCheck": true});
    assert!(world.ask(&world.admin, "CreateKey", &bypass).is_ok());
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let world = World::new();
    for (request, expected) in [
        (json!({"KeySpec": "RSA_2048"}), "UnsupportedOperationException"),
        (json!({"CustomerMasterKeySpec": "HMAC_256"}), "UnsupportedOperationException"),
        (json!({"KeyUsage": "SIGN_VERIFY"}), "UnsupportedOperationException"),
        (json!({"Origin": "EXTERNAL"}), "UnsupportedOperationException"),
        (json!({"CustomKeyStoreId": "cks-1"}), "UnsupportedOperationException"),
        (json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]}), "UnsupportedOperationException"),
        (json!({"Description": "x".repeat(8_193)}), "ValidationException"),
        (json!({"Policy": "{}"}), "MalformedPolicyDocumentException"),
        (json!({"Policy": " ".repeat(32_769)}), "LimitExceededException"),
    ] {
        assert_eq!(kind(world.ask(&world.admin, "CreateKey", &request)), expected);
    }
    let usual = json!({
        "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS", "Tags": []
    });
    assert!(world.ask(&world.admin, "CreateKey", &usual).is_ok());
}

#[test]
fn a_disabled_key_is_not_used() {
    let world = World::new();
    let (dek, blob) = world.dek();
    let request = json!({"KeyId": world.arn});
    assert_eq!(kind(world.ask(&world.attacker, "DisableKey", &request)), "AccessDeniedException");
    world.ask(&world.admin, "DisableKey", &request).unwrap();
    let found = world.describe();
    assert_eq!((text(&found, "KeyState"), found.get("Enabled")), ("Disabled", Some(&json!(false))));

    let refusal = world.decrypt(&blob, "dek", &world.nsm).unwrap_err();
    assert_eq!(refusal.kind, "DisabledException");
    assert_eq!(refusal.message, format!("{} is disabled.", world.arn));
    let document = world.document(&world.nsm);
    assert_eq!(kind(world.generate(&document)), "DisabledException");
    for operation in ["RotateKeyOnDemand", "EnableKeyRotation", "DisableKeyRotation"] {
        assert_eq!(kind(world.ask(&world.admin, operation, &request)), "DisabledException");
    }
    assert!(world.ask(&world.admin, "GetKeyPolicy", &request).is_ok());

    world.add_to_policy(&[allow(&world.enclave.arn, &["kms:Encrypt", "kms:ReEncrypt*"])]);
    let encrypt = json!({"KeyId": world.arn, "Plaintext": "AA=="});
    assert_eq!(kind(world.ask(&world.enclave, "Encrypt", &encrypt)), "DisabledException");
    let move_it = json!({"CiphertextBlob": blob, "DestinationKeyId": world.arn});
    assert_eq!(kind(world.ask(&world.enclave, "ReEncrypt", &move_it)), "DisabledException");
    let denied = world.decrypt_unattested(&world.attacker, &blob);
    assert_eq!(kind(denied), "AccessDeniedException", "who may not, does not learn the state");

    world.ask(&world.admin, "EnableKey", &request).unwrap();
    assert_eq!(world.open(&world.decrypt(&blob, "dek", &world.nsm).unwrap()), dek);
}

#[test]
fn a_key_is_deleted_after_a_time_in_which_that_can_be_taken_back() {
    let world = World::new();
    let (_, blob) = world.dek();
    let request = json!({"KeyId": world.arn});
    assert_eq!(
        kind(world.ask(&world.admin, "CancelKeyDeletion", &request)),
        "KMSInvalidStateException"
    );
    for days in [6, 31] {
        let request = json!({"KeyId": world.arn, "PendingWindowInDays": days});
        let answer = world.ask(&world.admin, "ScheduleKeyDeletion", &request);
        assert_eq!(kind(answer), "ValidationException");
    }
    let at = now();
    let week = json!({"KeyId": world.arn, "PendingWindowInDays": 7});
    let reply = world.ask_at(&world.admin, "ScheduleKeyDeletion", &week, at).unwrap();
    assert_eq!(reply.get("DeletionDate").unwrap(), &json!(at + 7 * DAY));
    assert_eq!(text(&world.describe(), "KeyState"), "PendingDeletion");
    assert!(world.describe().get("DeletionDate").is_some());

    let refusal = world.decrypt(&blob, "dek", &world.nsm).unwrap_err();
    assert_eq!(refusal.kind, "KMSInvalidStateException");
    assert_eq!(refusal.message, format!("{} is pending deletion.", world.arn));
    for operation in ["EnableKey", "DisableKey", "ScheduleKeyDeletion", "RotateKeyOnDemand"] {
        let answer = world.ask(&world.admin, operation, &request);
        assert_eq!(kind(answer), "KMSInvalidStateException", "{operation}");
    }

    world.ask(&world.admin, "CancelKeyDeletion", &request).unwrap();
    assert_eq!(text(&world.describe(), "KeyState"), "Disabled");
    world.ask_at(&world.admin, "ScheduleKeyDeletion", &week, at).unwrap();
    let late = at + 7 * DAY;
    assert!(world.ask_at(&world.admin, "DescribeKey", &request, late - 1).is_ok());
    let gone = world.ask_at(&world.admin, "DescribeKey", &request, late);
    assert_eq!(kind(gone), "NotFoundException");
}

#[test]
fn what_was_done_survives_reopening() {
    let mut world = World::new();
    let key = create(&world, &world.admin, &json!({"Description": "kept"}));
    let arn = text(&key, "Arn").to_owned();
    let of_key = json!({"KeyId": arn});
    let encrypt = json!({"KeyId": arn, "Plaintext": "aGVsbG8="});
    let before = world.ask(&world.admin, "Encrypt", &encrypt).unwrap();
    world.ask(&world.admin, "RotateKeyOnDemand", &of_key).unwrap();
    let grant = json!({
        "KeyId": arn, "GranteePrincipal": world.enclave.arn, "Operations": ["Decrypt"],
        "Constraints": {"EncryptionContextSubset": {"a": "1"}}
    });
    world.ask(&world.admin, "CreateGrant", &grant).unwrap();
    let all = |world: &World| {
        ["DescribeKey", "GetKeyPolicy", "ListGrants", "ListKeyRotations", "GetKeyRotationStatus"]
            .map(|operation| {
                let mut reply = world.ask(&world.admin, operation, &of_key).unwrap();
                if let Some(policy) = reply.get_mut("Policy") {
                    *policy = json!(canonical(policy.as_str().unwrap()));
                }
                reply
            })
    };
    let found = all(&world);
    world.kms = LocalKms::open(world.dir.path(), world.pki.trust_anchor().unwrap()).unwrap();
    assert_eq!(all(&world), found);
    let decrypt = json!({"CiphertextBlob": before.get("CiphertextBlob").unwrap()});
    let opened = world.ask(&world.admin, "Decrypt", &decrypt).unwrap();
    assert_eq!(text(&opened, "Plaintext"), "aGVsbG8=");
}

#[test]
fn keys_that_are_made_at_once_are_all_kept() {
    let world = World::new();
    let made: Vec<_> = std::thread::scope(|scope| {
        let make = || scope.spawn(|| create(&world, &world.admin, &json!({})));
        let threads: Vec<_> = (0..6).map(|_| make()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for key in made {
        let request = json!({"KeyId": text(&key, "Arn")});
        assert!(world.ask(&world.admin, "DescribeKey", &request).is_ok());
    }
}

#[test]
fn keys_are_made_so_many_and_no_more() {
    let world = World::new();
    for _ in 1..256 {
        create(&world, &world.admin, &json!({}));
    }
    let refusal = world.ask(&world.admin, "CreateKey", &json!({})).unwrap_err();
    assert_eq!(refusal.kind, "LimitExceededException");
    assert!(world.ask(&world.admin, "DescribeKey", &json!({"KeyId": world.arn})).is_ok());
}

/// AWS spells the member of some errors `Message`, of others `message`.
#[test]
fn refusals_are_spelled_as_those_of_aws() {
    let world = World::new();
    let of = |key: &str| json!({"KeyId": key, "Plaintext": "AA=="});
    let denied = world.refusal(&world.enclave, "Encrypt", &of(&world.arn));
    assert!(denied.get("Message").is_some() && denied.get("message").is_none());
    let unknown = world.refusal(&world.enclave, "Encrypt", &of("none"));
    assert!(unknown.get("message").is_some() && unknown.get("Message").is_none());
    let blob = json!({"CiphertextBlob": "AA=="});
    let garbage = world.refusal(&world.enclave, "Decrypt", &blob);
    assert_eq!(garbage, json!({"__type": "InvalidCiphertextException"}));
}
