//! Attested requests: the right document gets the key sealed, and no other does.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use strongroom_attestation::nsm::{AttestRequest, NsmClient};
use strongroom_mock::{nsm::MockNsm, pki::MockPki};

use crate::world::{IMAGE, World, bytes, deny, kind, recipient, started};

#[test]
fn a_data_key_is_generated_sealed_and_decrypted_again() {
    let world = World::new();
    let (dek, blob) = world.dek();
    assert_eq!(dek.len(), 32);
    assert!(!bytes(&blob).windows(32).any(|window| window == dek));

    let again = world.decrypt(&blob, "dek", &world.nsm).unwrap();
    assert_eq!(world.open(&again), dek);
    assert_eq!(again.get("EncryptionAlgorithm").unwrap(), "SYMMETRIC_DEFAULT");
}

#[test]
fn random_bytes_are_sealed_too() {
    let world = World::new();
    let request = json!({"NumberOfBytes": 40, "Recipient": recipient(&world.document(&world.nsm))});
    let reply = world.ask(&world.enclave, "GenerateRandom", &request).unwrap();
    assert_eq!(world.unseal(&reply).len(), 40);
}

/// A client that takes an empty one for a data key has a wallet that anybody can open.
#[test]
fn what_is_not_said_is_not_said_in_each_way_of_the_real_kms() {
    let world = World::new();
    let document = recipient(&world.document(&world.nsm));
    let mut ways: Vec<_> = (0..64)
        .map(|_| {
            let request = json!({"NumberOfBytes": 8, "Recipient": document});
            let reply = world.ask(&world.enclave, "GenerateRandom", &request).unwrap();
            format!("{:?}", reply.get("Plaintext").map(Value::to_string))
        })
        .collect();
    ways.sort();
    ways.dedup();
    assert_eq!(ways, ["None", r#"Some("\"\"")"#, r#"Some("null")"#]);
}

#[test]
fn another_image_configuration_or_role_or_no_document_is_refused() {
    let world = World::new();
    let (_, blob) = world.dek();

    let other_image = started(MockNsm::new(world.pki.clone(), "other-image").unwrap());
    let unmeasured = MockNsm::new(world.pki.clone(), IMAGE).unwrap();
    for nsm in [&other_image, &unmeasured] {
        assert_eq!(kind(world.generate(&world.document(nsm))), "AccessDeniedException");
        assert_eq!(kind(world.decrypt(&blob, "dek", nsm)), "AccessDeniedException");
    }
    let request = json!({
        "CiphertextBlob": blob, "EncryptionContext": {"purpose": "dek"},
        "Recipient": recipient(&world.document(&world.nsm))
    });
    assert_eq!(kind(world.ask(&world.attacker, "Decrypt", &request)), "AccessDeniedException");

    let context = json!({"purpose": "dek"});
    let request = json!({"KeyId": world.arn, "CiphertextBlob": blob, "EncryptionContext": context});
    let refusal = world.ask(&world.enclave, "Decrypt", &request).unwrap_err();
    assert_eq!((refusal.status, refusal.kind.as_str()), (400, "AccessDeniedException"));
    let expected = format!(
        "User: arn:aws:sts::111122223333:assumed-role/strongroom-enclave/local-kms is not \
         authorized to perform: kms:Decrypt on resource: {} because no resource-based policy allows \
         the kms:Decrypt action",
        world.arn
    );
    assert_eq!(refusal.message, expected);
}

#[test]
fn an_explicit_deny_is_said_to_be_one() {
    let world = World::new();
    world.add_to_policy(&[deny("*", &["kms:*DataKey"])]);
    let refusal = world.generate(&world.document(&world.nsm)).unwrap_err();
    assert_eq!(refusal.kind, "AccessDeniedException");
    let tail = "with an explicit deny in a resource-based policy";
    assert!(refusal.message.ends_with(tail), "{}", refusal.message);
}

#[test]
fn a_document_that_was_tampered_with_is_refused() {
    let world = World::new();
    let document = world.document(&world.nsm);
    for index in [100, document.len() / 2, document.len() - 1] {
        let mut tampered = document.clone();
        *tampered.get_mut(index).unwrap() ^= 1;
        assert_eq!(kind(world.generate(&tampered)), "ValidationException", "byte {index}");
    }
    assert_eq!(kind(world.generate(b"")), "ValidationException");
}

#[test]
fn a_document_of_another_pki_is_refused() {
    let world = World::new();
    let foreign = MockNsm::new(MockPki::ephemeral().unwrap(), IMAGE).unwrap();
    assert_eq!(kind(world.generate(&world.document(&started(foreign)))), "ValidationException");
}

#[test]
fn a_document_older_than_five_minutes_is_refused() {
    let world = World::new();
    let at_age = |seconds| {
        let clock = move || SystemTime::now() - Duration::from_secs(seconds);
        let nsm = started(MockNsm::with_clock(world.pki.clone(), IMAGE, clock).unwrap());
        world.generate(&world.document(&nsm))
    };
    assert!(at_age(290).is_ok());
    let refusal = at_age(302).unwrap_err();
    assert_eq!(refusal.kind, "ValidationException");
    assert!(refusal.message.contains("timestamp"), "{}", refusal.message);
}

#[test]
fn a_document_without_a_public_key_is_refused() {
    let world = World::new();
    let document = NsmClient::new(&world.nsm).attest(AttestRequest::default()).unwrap();
    assert_eq!(kind(world.generate(&document)), "ValidationException");
}

#[test]
fn a_recipient_that_is_not_whole_is_refused() {
    let world = World::new();
    let whole = recipient(&world.document(&world.nsm));
    for (member, value) in [
        ("KeyEncryptionAlgorithm", json!("RSAES_OAEP_SHA_1")),
        ("KeyEncryptionAlgorithm", Value::Null),
        ("AttestationDocument", Value::Null),
    ] {
        let mut broken = whole.clone();
        *broken.get_mut(member).unwrap() = value;
        let request = json!({"KeyId": world.arn, "KeySpec": "AES_256", "Recipient": broken});
        let answer = world.ask(&world.enclave, "GenerateDataKey", &request);
        assert_eq!(kind(answer), "ValidationException", "{member}");
    }
}

#[test]
fn another_encryption_context_or_blob_is_refused() {
    let world = World::new();
    let (_, blob) = world.dek();
    let refusal = world.decrypt(&blob, "other", &world.nsm).unwrap_err();
    assert_eq!(refusal.kind, "InvalidCiphertextException");
    assert_eq!(refusal.message, "", "as the real one");

    let raw = bytes(&blob);
    let name = raw.windows(world.arn.len()).position(|part| part == world.arn.as_bytes()).unwrap();
    for index in 0..raw.len() {
        let mut tampered = raw.clone();
        *tampered.get_mut(index).unwrap() ^= 1;
        let tampered = json!(STANDARD.encode(tampered));
        let kind = kind(world.decrypt(&tampered, "dek", &world.nsm));
        let expected = match (name..name + world.arn.len()).contains(&index) {
            true => "IncorrectKeyException",
            false => "InvalidCiphertextException",
        };
        // The length of the name moves its end.
        let length = (name - 2..name).contains(&index);
        assert!(kind == expected || length && kind == "IncorrectKeyException", "{index}: {kind}");
    }
    let truncated = json!(STANDARD.encode(raw.get(..20).unwrap()));
    assert_eq!(kind(world.decrypt(&truncated, "dek", &world.nsm)), "InvalidCiphertextException");
}
