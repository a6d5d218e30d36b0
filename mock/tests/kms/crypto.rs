//! `Encrypt`, `Decrypt`, `ReEncrypt`, `GenerateDataKey`, `GenerateRandom`: what they give and refuse.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::world::{World, allow, bytes, kind, recipient};

/// A world in which the enclave's role may do anything with the key, unattested.
fn open_world() -> World {
    let world = World::new();
    world.add_to_policy(&[allow(&world.enclave.arn, &["kms:*"])]);
    world
}

fn ask(world: &World, operation: &str, request: Value) -> Value {
    world.ask(&world.enclave, operation, &request).unwrap()
}

fn refused(world: &World, operation: &str, request: Value) -> String {
    kind(world.ask(&world.enclave, operation, &request))
}

fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[test]
fn what_is_encrypted_is_decrypted() {
    let world = open_world();
    let context = json!({"a": "1", "b": "2"});
    let sealed = ask(
        &world,
        "Encrypt",
        json!({"KeyId": world.arn, "Plaintext": text(b"hello"), "EncryptionContext": context}),
    );
    assert_eq!(sealed.get("KeyId").unwrap(), &world.arn);
    let blob = sealed.get("CiphertextBlob").unwrap();
    let opened =
        ask(&world, "Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": context}));
    assert_eq!(bytes(opened.get("Plaintext").unwrap()), b"hello");
    assert_eq!(opened.get("KeyId").unwrap(), &world.arn);
    for context in [json!({}), json!({"a": "1"}), json!({"A": "1", "b": "2"})] {
        let request = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        assert_eq!(refused(&world, "Decrypt", request), "InvalidCiphertextException");
    }
}

#[test]
fn sizes_and_algorithms_are_limited() {
    let world = open_world();
    let arn = &world.arn;
    for (operation, request, kind) in [
        ("Encrypt", json!({"KeyId": arn, "Plaintext": ""}), "ValidationException"),
        ("Encrypt", json!({"KeyId": arn, "Plaintext": text(&[0; 4097])}), "ValidationException"),
        (
            "Encrypt",
            json!({"KeyId": arn, "Plaintext": "AA==", "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}),
            "UnsupportedOperationException",
        ),
        ("Encrypt", json!({"KeyId": arn, "Plaintext": "not base64"}), "SerializationException"),
        ("GenerateDataKey", json!({"KeyId": arn}), "ValidationException"),
        ("GenerateDataKey", json!({"KeyId": arn, "NumberOfBytes": 0}), "ValidationException"),
        ("GenerateDataKey", json!({"KeyId": arn, "NumberOfBytes": 1025}), "ValidationException"),
        ("GenerateDataKey", json!({"KeyId": arn, "KeySpec": "AES_512"}), "ValidationException"),
        (
            "GenerateDataKey",
            json!({"KeyId": arn, "KeySpec": "AES_256", "NumberOfBytes": 32}),
            "ValidationException",
        ),
        ("GenerateRandom", json!({}), "ValidationException"),
        ("GenerateRandom", json!({"NumberOfBytes": 1025}), "ValidationException"),
        (
            "GenerateRandom",
            json!({"NumberOfBytes": 1, "CustomKeyStoreId": "cks-1"}),
            "UnsupportedOperationException",
        ),
        ("Decrypt", json!({"CiphertextBlob": text(&[0; 6144])}), "InvalidCiphertextException"),
        ("Decrypt", json!({"CiphertextBlob": text(&[0; 6145])}), "ValidationException"),
        ("Decrypt", json!({"CiphertextBlob": ""}), "ValidationException"),
        ("Decrypt", json!({"KeyId": arn, "CiphertextBlob": ""}), "ValidationException"),
        ("Sign", json!({"KeyId": arn}), "UnknownOperationException"),
    ] {
        assert_eq!(refused(&world, operation, request.clone()), kind, "{operation} {request}");
    }
    let largest = json!({"KeyId": arn, "Plaintext": text(&[0; 4096])});
    ask(&world, "Encrypt", largest);
    for (request, length) in [
        (json!({"KeyId": arn, "KeySpec": "AES_256"}), 32),
        (json!({"KeyId": arn, "KeySpec": "AES_128"}), 16),
        (json!({"KeyId": arn, "NumberOfBytes": 1024}), 1024),
    ] {
        let reply = ask(&world, "GenerateDataKey", request);
        assert_eq!(bytes(reply.get("Plaintext").unwrap()).len(), length);
        assert!(reply.get("CiphertextForRecipient").is_none());
    }
}

/// `Encrypt` and `ReEncrypt` know no `Recipient`: what a document says is no attribute of theirs.
#[test]
fn a_recipient_of_an_operation_without_one_is_ignored() {
    let world = World::new();
    let document = recipient(&world.document(&world.nsm));
    let request = json!({"KeyId": world.arn, "Plaintext": "AA==", "Recipient": document});
    assert_eq!(refused(&world, "Encrypt", request.clone()), "AccessDeniedException");
    world.add_to_policy(&[allow(&world.enclave.arn, &["kms:Encrypt"])]);
    assert!(ask(&world, "Encrypt", request).get("CiphertextBlob").is_some());
}

#[test]
fn random_bytes_are_for_every_caller() {
    let world = World::new();
    for role in [&world.enclave, &world.admin, &world.attacker] {
        let reply = world.ask(role, "GenerateRandom", &json!({"NumberOfBytes": 24})).unwrap();
        assert_eq!(bytes(reply.get("Plaintext").unwrap()).len(), 24);
    }
}

#[test]
fn keys_are_found_by_arn_and_id_only() {
    let world = open_world();
    let id = world.arn.rsplit('/').next().unwrap();
    let encrypt = |key: &str| {
        world.ask(&world.enclave, "Encrypt", &json!({"KeyId": key, "Plaintext": "AA=="}))
    };
    for key in [world.arn.as_str(), id] {
        assert_eq!(encrypt(key).unwrap().get("KeyId").unwrap(), &world.arn);
    }
    for key in ["", "alias/none", &world.arn.to_uppercase(), &format!("{id}0")] {
        assert_eq!(kind(encrypt(key)), "NotFoundException", "{key}");
    }
}

#[test]
fn re_encrypt_moves_a_ciphertext_and_asks_both_keys() {
    let world = open_world();
    let policy = json!({"Statement": allow("*", &["kms:Decrypt", "kms:PutKeyPolicy"])});
    let create = json!({"Policy": policy.to_string()});
    let made = world.ask(&world.enclave, "CreateKey", &create).unwrap();
    let other = made.pointer("/KeyMetadata/Arn").unwrap();
    let sealed = ask(&world, "Encrypt", json!({"KeyId": world.arn, "Plaintext": text(b"hello")}));
    let blob = sealed.get("CiphertextBlob").unwrap();
    let request = json!({
        "CiphertextBlob": blob, "SourceKeyId": world.arn, "DestinationKeyId": other,
        "DestinationEncryptionContext": {"a": "1"}
    });
    let refusal = world.ask(&world.enclave, "ReEncrypt", &request).unwrap_err();
    assert_eq!(refusal.kind, "AccessDeniedException");
    assert!(refusal.message.ends_with("allows the kms:ReEncryptTo action"), "{}", refusal.message);

    let open = json!({"Statement": allow("*", &["kms:*"])}).to_string();
    let put = json!({"KeyId": other, "Policy": open});
    world.ask(&world.enclave, "PutKeyPolicy", &put).unwrap();
    let moved = ask(&world, "ReEncrypt", request.clone());
    assert_eq!(moved.get("SourceKeyId").unwrap(), &world.arn);
    assert_eq!(moved.get("KeyId").unwrap(), other);
    let moved = moved.get("CiphertextBlob").unwrap();
    let context = json!({"a": "1"});
    let decrypt = json!({"CiphertextBlob": moved, "EncryptionContext": context, "KeyId": other});
    assert_eq!(bytes(ask(&world, "Decrypt", decrypt).get("Plaintext").unwrap()), b"hello");
    let elsewhere =
        json!({"CiphertextBlob": moved, "EncryptionContext": context, "KeyId": world.arn});
    assert_eq!(refused(&world, "Decrypt", elsewhere), "IncorrectKeyException");

    let with = |member: &str, value: Value| {
        let mut request = request.clone();
        request.as_object_mut().unwrap().insert(member.to_owned(), value);
        refused(&world, "ReEncrypt", request)
    };
    assert_eq!(with("SourceKeyId", other.clone()), "IncorrectKeyException");
    assert_eq!(with("SourceEncryptionContext", context), "InvalidCiphertextException");
    assert_eq!(with("DestinationKeyId", json!("none")), "NotFoundException");
    let unsupported = "UnsupportedOperationException";
    assert_eq!(with("SourceEncryptionAlgorithm", json!("SM2PKE")), unsupported);

    // From the key, as its policy says.
    world.set_policy(&world.sound_policy());
    let refusal = world.ask(&world.enclave, "ReEncrypt", &request).unwrap_err();
    assert!(refusal.message.ends_with("allows the kms:ReEncryptFrom action"));
}

const REFERS: &str = "The ciphertext refers to a customer master key that does not exist, does not exist \
                      in this region, or you are not allowed to access.";

/// Without a key's name, who may not use the key does not learn whether there is one.
#[test]
fn a_ciphertext_says_nothing_of_keys_that_do_not_exist_or_are_not_allowed() {
    let world = open_world();
    let own = world.ask(&world.attacker, "CreateKey", &json!({})).unwrap();
    let own = own.pointer("/KeyMetadata/Arn").unwrap();
    let sealed = ask(&world, "Encrypt", json!({"KeyId": world.arn, "Plaintext": text(b"hello")}));
    let blob = sealed.get("CiphertextBlob").unwrap();
    let id = world.arn.rsplit('/').next().unwrap().as_bytes();
    let mut elsewhere = bytes(blob);
    let place = elsewhere.windows(id.len()).position(|part| part == id).unwrap();
    elsewhere.splice(place..place + 4, *b"gone");
    let gone = json!(text(&elsewhere));

    for blob in [blob, &gone] {
        for (operation, request) in [
            ("Decrypt", json!({"CiphertextBlob": blob})),
            ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": own})),
        ] {
            let refusal = world.ask(&world.attacker, operation, &request).unwrap_err();
            assert_eq!((refusal.status, refusal.kind.as_str()), (400, "AccessDeniedException"));
            assert_eq!(refusal.message, REFERS, "{operation}");
        }
    }
    let refusal = world.ask(&world.enclave, "Decrypt", &json!({"CiphertextBlob": gone}));
    assert_eq!(refusal.unwrap_err().message, REFERS);
}

/// With a key's name, it is asked first: a ciphertext is looked at for who may use that key.
#[test]
fn a_key_that_is_named_is_asked_before_the_ciphertext_is_looked_at() {
    let world = open_world();
    let own = world.ask(&world.attacker, "CreateKey", &json!({})).unwrap();
    let own = own.pointer("/KeyMetadata/Arn").unwrap();
    let encrypt = json!({"KeyId": own, "Plaintext": text(b"hello")});
    let foreign = world.ask(&world.attacker, "Encrypt", &encrypt).unwrap();
    let foreign = foreign.get("CiphertextBlob").unwrap();
    for (blob, expected) in
        [(foreign, "IncorrectKeyException"), (&json!("AA=="), "InvalidCiphertextException")]
    {
        let decrypt = json!({"KeyId": world.arn, "CiphertextBlob": blob});
        let move_it = json!({
            "SourceKeyId": world.arn, "CiphertextBlob": blob, "DestinationKeyId": own
        });
        for (operation, request) in [("Decrypt", decrypt), ("ReEncrypt", move_it)] {
            assert_eq!(refused(&world, operation, request.clone()), expected, "{operation}");
            let denied = world.ask(&world.attacker, operation, &request);
            assert_eq!(kind(denied), "AccessDeniedException", "{operation}");
        }
    }
}

#[test]
fn a_dry_run_gives_nothing_but_what_would_be_refused() {
    let world = open_world();
    let arn = &world.arn;
    let sealed = ask(&world, "Encrypt", json!({"KeyId": arn, "Plaintext": "AA=="}));
    let blob = sealed.get("CiphertextBlob").unwrap();
    for (operation, request) in [
        ("Encrypt", json!({"KeyId": arn, "Plaintext": "AA==", "DryRun": true})),
        ("Decrypt", json!({"CiphertextBlob": blob, "DryRun": true})),
        ("GenerateDataKey", json!({"KeyId": arn, "KeySpec": "AES_256", "DryRun": true})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": arn, "DryRun": true})),
    ] {
        let refusal = world.ask(&world.enclave, operation, &request).unwrap_err();
        assert_eq!((refusal.status, refusal.kind.as_str()), (412, "DryRunOperationException"));
        let denied = world.ask(&world.attacker, operation, &request);
        assert_eq!(kind(denied), "AccessDeniedException", "{operation}");
    }
}

/// Bound to the encryption context by the policy: other contexts are no business of this caller.
#[test]
fn a_policy_can_ask_for_an_encryption_context() {
    let world = World::new();
    let mut statement = allow(&world.enclave.arn, &["kms:Encrypt"]);
    let condition = json!({
        "StringEquals": {"kms:EncryptionContext:Purpose": "dek"},
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["Purpose", "Version"]}
    });
    statement.as_object_mut().unwrap().insert("Condition".to_owned(), condition);
    world.add_to_policy(&[statement]);
    for (context, allowed) in [
        (json!({"Purpose": "dek"}), true),
        (json!({"Purpose": "dek", "Version": "1"}), true),
        (json!({"purpose": "dek"}), false),
        (json!({"Purpose": "dek", "Other": "1"}), false),
        (json!({"Purpose": "other"}), false),
        (json!({}), false),
    ] {
        let request =
            json!({"KeyId": world.arn, "Plaintext": "AA==", "EncryptionContext": context});
        let answer = world.ask(&world.enclave, "Encrypt", &request);
        assert_eq!(answer.is_ok(), allowed, "{context}");
    }
}
