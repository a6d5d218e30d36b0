//! What defeats attestation. Each begins with a sound policy, which refuses it; each ends with the DEK in
//! the hands of who is no enclave, or with a DEK of theirs in the enclave. The linter of key policies, which
//! shares no code with the KMS here, finds each of the holes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use strongroom_attestation::key_policy::{Changes, Hole};
use strongroom_mock::nsm::{MockNsm, image_measurements};

use crate::world::{
    Answer, CONFIGURATION, IMAGE, POLICY, Role, World, allow, attested, bytes, kind, started_with,
};

fn plaintext(answer: &Value) -> Vec<u8> {
    bytes(answer.get("Plaintext").unwrap())
}

/// Adds statements to the sound policy that have this hole.
fn open_hole(world: &World, statements: &[Value], hole: Hole) {
    assert_eq!(world.holes(&[], Changes::BreakGlass), []);
    let found = world.holes(statements, Changes::BreakGlass);
    assert!(found.contains(&hole), "{found:?}");
    world.add_to_policy(statements);
}

/// The sound policy refuses this caller; with more statements the DEK is theirs.
fn dek_is_lost(world: &World, role: &Role, statements: &[Value], hole: Hole) {
    let (dek, blob) = world.dek();
    assert_eq!(kind(world.decrypt_unattested(role, &blob)), "AccessDeniedException");
    open_hole(world, statements, hole);
    assert_eq!(plaintext(&world.decrypt_unattested(role, &blob).unwrap()), dek);
}

#[test]
fn a_second_allow_without_conditions() {
    let world = World::new();
    let allow = allow(&world.enclave.arn, &["kms:Decrypt"]);
    dek_is_lost(&world, &world.enclave, &[allow], Hole::DecryptUnattested);
}

#[test]
fn an_allow_to_everybody() {
    let world = World::new();
    dek_is_lost(&world, &world.attacker, &[allow("*", &["kms:De*"])], Hole::Anyone);
}

/// AWS's default statement hands the decision to IAM.
#[test]
fn the_root_of_the_account() {
    let world = World::new();
    let root = allow("arn:aws:iam::111122223333:root", &["kms:*"]);
    dek_is_lost(&world, &world.attacker, &[root], Hole::AccountRoot);
}

/// Without a document there is nothing to compare, and the condition holds.
#[test]
fn a_condition_that_holds_if_the_document_does_not_exist() {
    for operator in [
        "StringEqualsIfExists",
        "StringEqualsIgnoreCaseIfExists",
        "StringLikeIfExists",
        "ForAllValues:StringEquals",
    ] {
        let world = World::new();
        let statement = attested(&world.enclave, IMAGE, operator);
        dek_is_lost(&world, &world.enclave, &[statement], Hole::PassesWithoutDocument);
    }
}

/// "Not the bad image" is true of no image.
#[test]
fn a_negated_condition() {
    let world = World::new();
    let statement = attested(&world.enclave, "an old image", "StringNotEquals");
    dek_is_lost(&world, &world.enclave, &[statement], Hole::DecryptUnattested);
}

/// The true image with a configuration, or a policy, of the host's own.
#[test]
fn a_register_that_is_not_bound() {
    for (register, hole, contents) in [
        ("PCR16", Hole::ConfigurationNotBound, [b"mine".as_slice(), POLICY]),
        ("PCR17", Hole::PolicyNotBound, [CONFIGURATION, b"mine"]),
    ] {
        let world = World::new();
        let (dek, blob) = world.dek();
        let nsm = MockNsm::new(world.pki.clone(), IMAGE).unwrap();
        let nsm = started_with(nsm, contents);
        assert_eq!(kind(world.decrypt(&blob, "dek", &nsm)), "AccessDeniedException");
        let mut statement = attested(&world.enclave, IMAGE, "StringEquals");
        let keys = statement.pointer_mut("/Condition/StringEquals").unwrap();
        let key = format!("kms:RecipientAttestation:{register}");
        keys.as_object_mut().unwrap().remove(&key).unwrap();
        open_hole(&world, &[statement], hole);
        assert_eq!(world.open(&world.decrypt(&blob, "dek", &nsm).unwrap()), dek);
    }
}

/// A list of images and a list of configurations allow each image with each configuration.
#[test]
fn releases_that_share_a_statement() {
    let world = World::new();
    let (dek, blob) = world.dek();
    let nsm = MockNsm::new(world.pki.clone(), "an old image").unwrap();
    let nsm = started_with(nsm, [CONFIGURATION, POLICY]);
    assert_eq!(kind(world.decrypt(&blob, "dek", &nsm)), "AccessDeniedException");
    let [old, ..] = image_measurements("an old image");
    let mut statement = attested(&world.enclave, IMAGE, "StringEquals");
    let image = "/Condition/StringEquals/kms:RecipientAttestation:ImageSha384";
    let image = statement.pointer_mut(image).unwrap();
    *image = json!([image.clone(), old]);
    open_hole(&world, &[statement], Hole::OtherMeasurements);
    assert_eq!(world.open(&world.decrypt(&blob, "dek", &nsm).unwrap()), dek);
}

/// A grant knows no attestation.
#[test]
fn a_grant() {
    let world = World::new();
    let (dek, blob) = world.dek();
    let grant = json!({
        "KeyId": world.arn, "GranteePrincipal": world.attacker.arn, "Operations": ["Decrypt"]
    });
    assert_eq!(kind(world.ask(&world.enclave, "CreateGrant", &grant)), "AccessDeniedException");
    let allow = allow(&world.enclave.arn, &["kms:CreateGrant"]);
    open_hole(&world, &[allow], Hole::CreateGrant);
    world.ask(&world.enclave, "CreateGrant", &grant).unwrap();
    assert_eq!(plaintext(&world.decrypt_unattested(&world.attacker, &blob).unwrap()), dek);

    // The policy is sound again, and the hole stays: look at the grants, too.
    world.set_policy(&world.sound_policy());
    assert_eq!(plaintext(&world.decrypt_unattested(&world.attacker, &blob).unwrap()), dek);
    let listed = world.ask(&world.enclave, "ListGrants", &json!({"KeyId": world.arn})).unwrap();
    assert_eq!(listed.get("Grants").unwrap().as_array().unwrap().len(), 1);
}

/// To a key of the attacker's own, where they decrypt. `ReEncrypt` takes no document.
#[test]
fn re_encryption_to_a_key_of_the_attackers() {
    let world = World::new();
    let (dek, blob) = world.dek();
    let own = world.ask(&world.attacker, "CreateKey", &json!({})).unwrap();
    let request = json!({
        "CiphertextBlob": blob, "SourceEncryptionContext": {"purpose": "dek"},
        "DestinationKeyId": own.pointer("/KeyMetadata/Arn").unwrap()
    });
    let refusal = world.ask(&world.enclave, "ReEncrypt", &request).unwrap_err();
    assert_eq!(refusal.kind, "AccessDeniedException");
    let allow = allow(&world.enclave.arn, &["kms:ReEncryptFrom"]);
    open_hole(&world, &[allow], Hole::ReEncrypt);
    let moved = world.ask(&world.enclave, "ReEncrypt", &request).unwrap();
    let decrypt = json!({"CiphertextBlob": moved.get("CiphertextBlob").unwrap()});
    assert_eq!(plaintext(&world.ask(&world.attacker, "Decrypt", &decrypt).unwrap()), dek);
}

/// The enclave, attested, opens `blob` to a DEK that the attacker chose or knows: the `KeyId` of the
/// reply is the right one.
fn is_taken_for_a_dek(world: &World, blob: &Value, known: &[u8]) {
    assert_eq!(world.open(&world.decrypt(blob, "dek", &world.nsm).unwrap()), known);
}

fn opened(world: &World, operation: &str, action: &str, hole: Hole, request: &Value) -> Value {
    let ask = || -> Answer { world.ask(&world.enclave, operation, request) };
    assert_eq!(kind(ask()), "AccessDeniedException");
    open_hole(world, &[allow(&world.enclave.arn, &[action])], hole);
    ask().unwrap()
}

#[test]
fn a_dek_that_was_encrypted_outside() {
    let world = World::new();
    let request = json!({
        "KeyId": world.arn, "Plaintext": STANDARD.encode([7; 32]),
        "EncryptionContext": {"purpose": "dek"}
    });
    let reply = opened(&world, "Encrypt", "kms:Encrypt", Hole::Encrypt, &request);
    is_taken_for_a_dek(&world, reply.get("CiphertextBlob").unwrap(), &[7; 32]);
}

#[test]
fn a_dek_that_was_generated_outside() {
    let world = World::new();
    let request = json!({
        "KeyId": world.arn, "KeySpec": "AES_256", "EncryptionContext": {"purpose": "dek"}
    });
    let hole = Hole::GenerateDataKeyUnattested;
    let reply = opened(&world, "GenerateDataKey", "kms:GenerateDataKey", hole, &request);
    is_taken_for_a_dek(&world, reply.get("CiphertextBlob").unwrap(), &plaintext(&reply));
}

#[test]
fn a_dek_that_was_re_encrypted_from_outside() {
    let world = World::new();
    let own = world.ask(&world.attacker, "CreateKey", &json!({})).unwrap();
    let own = own.pointer("/KeyMetadata/Arn").unwrap();
    // The attacker's key lets the enclave's role, which the attacker holds too, move from it.
    let encrypt = json!({"KeyId": own, "Plaintext": STANDARD.encode([7; 32])});
    let sealed = world.ask(&world.attacker, "Encrypt", &encrypt).unwrap();
    let request = json!({
        "CiphertextBlob": sealed.get("CiphertextBlob").unwrap(), "DestinationKeyId": world.arn,
        "DestinationEncryptionContext": {"purpose": "dek"}
    });
    let reply = opened(&world, "ReEncrypt", "kms:ReEncryptTo", Hole::ReEncrypt, &request);
    is_taken_for_a_dek(&world, reply.get("CiphertextBlob").unwrap(), &[7; 32]);
}

/// Who may change the policy can do all of the above. AWS records it.
#[test]
fn a_change_of_the_policy() {
    let world = World::new();
    let (dek, blob) = world.dek();
    let open = json!({"Statement": allow("*", &["kms:*"])}).to_string();
    let request = json!({"KeyId": world.arn, "Policy": open});
    assert_eq!(world.holes(&[], Changes::Immutable), [Hole::PolicyChange]);
    world.ask(&world.admin, "PutKeyPolicy", &request).unwrap();
    assert_eq!(plaintext(&world.decrypt_unattested(&world.admin, &blob).unwrap()), dek);
}
