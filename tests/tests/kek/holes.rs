//! Each hole is a refused boot that names it; nothing is released; mended, the same enclave boots.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use strongroom_attestation::key_policy::{Changes, Hole, Measurements, canonical};
use strongroom_attestation::measure::Pcr;
use strongroom_shared::digest::Digest;
use strongroom_shared::problem::Code;
use strongroom_shared::receipt::Event;
use strongroom_tests::lying_kms::{self, Exchange};
use strongroom_tests::world::{IMAGE, World, boot};

use crate::{event, nothing_was_released, refused, start};

/// The statement of a sound key policy that releases.
const RELEASE: usize = 0;

/// Refuses the policy because its statement `index` has these holes and no others, and boots with the
/// sound one.
async fn refuses(world: &World, policy: &Value, index: usize, holes: &[(Hole, &str)]) {
    world.set_key_policy(policy);
    let kms = lying_kms::start(world, |_| {}).await;
    let (_running, mut host) = start(world, kms.address).await;
    let problem = refused(world, &mut host, None, Code::BootKeyRefused).await;
    let (number, sid) = (index + 1, &policy["Statement"][index]["Sid"]);
    let expected = holes.iter().map(|(hole, about)| {
        let told = format!("{number} ({sid}): {hole}{about}: {}", hole.exploit());
        told.chars().filter(char::is_ascii).collect()
    });
    // In any order: KMS may turn that of the actions.
    let told = problem.detail.strip_prefix("boot: kek: key policy: statement ").unwrap();
    let told: BTreeSet<String> = told.split("; statement ").map(str::to_owned).collect();
    assert_eq!(told, expected.collect());
    nothing_was_released(&kms);
    world.release_to(IMAGE);
    boot(&mut host, world.material(None)).await;
}

fn statement(principal: Value, action: &str) -> Value {
    json!({
        "Sid": "Hole", "Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_opens_the_kek_is_refused() {
    let world = World::released().await;
    let sound = world.key_policy(&[world.measurements(IMAGE)]);
    let role = || json!({"AWS": world.enclave_role()});
    let root = json!({"AWS": "arn:aws:iam::111122223333:root"});
    let stranger = json!({"AWS": "arn:aws:iam::111122223333:role/left-behind"});
    let about_stranger = format!(" ({})", stranger["AWS"].as_str().unwrap());
    let about_host = format!(" ({})", world.enclave_role());
    for (opens, holes) in [
        (statement(role(), "kms:Decrypt"), &[(Hole::DecryptUnattested, "")][..]),
        (statement(role(), "kms:GenerateDataKey"), &[(Hole::GenerateDataKeyUnattested, "")]),
        (
            statement(root, "kms:*"),
            &[
                (Hole::AccountRoot, " (arn:aws:iam::111122223333:root)"),
                (Hole::ActionWildcard, " (kms:*)"),
            ],
        ),
        (
            statement(json!("*"), "kms:Decrypt"),
            &[(Hole::Anyone, ""), (Hole::DecryptUnattested, "")],
        ),
        (statement(role(), "kms:De*"), &[(Hole::ActionWildcard, " (kms:De*)")]),
        (statement(role(), "kms:Encrypt"), &[(Hole::Encrypt, " (kms:Encrypt)")]),
        (statement(role(), "kms:ReEncryptFrom"), &[(Hole::ReEncrypt, " (kms:ReEncryptFrom)")]),
        (statement(role(), "kms:CreateGrant"), &[(Hole::CreateGrant, " (kms:CreateGrant)")]),
        (statement(role(), "kms:PutKeyPolicy"), &[(Hole::PolicyChangeByHost, &about_host)]),
        (statement(role(), "kms:ReplicateKey"), &[(Hole::ReplicateKey, " (kms:ReplicateKey)")]),
        // A second break-glass, and the rights of every day, for a role that the configuration does
        // not name.
        (statement(stranger.clone(), "kms:PutKeyPolicy"), &[(Hole::OtherAdmin, &about_stranger)]),
        (statement(stranger, "kms:EnableKey"), &[(Hole::OtherAdmin, &about_stranger)]),
    ] {
        let mut policy = sound.clone();
        policy["Statement"].as_array_mut().unwrap().push(opens);
        refuses(&world, &policy, 4, holes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_to_anything_else_is_refused() {
    let world = World::released().await;
    let sound = world.key_policy(&[world.measurements(IMAGE)]);
    let register = |name: &str| format!("kms:RecipientAttestation:{name}");
    let without = |name: &str| {
        let mut policy = sound.clone();
        let condition = &mut policy["Statement"][RELEASE]["Condition"]["StringEqualsIgnoreCase"];
        condition.as_object_mut().unwrap().remove(&register(name)).unwrap();
        policy
    };
    let renamed = |operator: &str| {
        let mut policy = sound.clone();
        let condition = &mut policy["Statement"][RELEASE]["Condition"];
        *condition = json!({operator: condition["StringEqualsIgnoreCase"]});
        policy
    };
    let mut any_image = renamed("StringLike");
    any_image["Statement"][RELEASE]["Condition"]["StringLike"][register("ImageSha384")] =
        json!("*");
    let another = Measurements { pcr0: Pcr::new([7; 48]), ..world.measurements(IMAGE) };
    let nothing_bound = [(Hole::GenerateDataKeyUnattested, ""), (Hole::DecryptUnattested, "")];
    let if_exists = " (StringEqualsIfExists)";
    for (policy, index, holes) in [
        (without("ImageSha384"), RELEASE, &[(Hole::ImageNotBound, "")][..]),
        (without("PCR16"), RELEASE, &[(Hole::ConfigurationNotBound, "")]),
        (without("PCR17"), RELEASE, &[(Hole::PolicyNotBound, "")]),
        (
            renamed("StringEqualsIfExists"),
            RELEASE,
            &[&[(Hole::PassesWithoutDocument, if_exists)], &nothing_bound[..]].concat(),
        ),
        (any_image, RELEASE, &nothing_bound),
        (
            world.key_policy(&[world.measurements(IMAGE), another]),
            RELEASE + 1,
            &[(Hole::OtherMeasurements, "")],
        ),
    ] {
        refuses(&world, &policy, index, holes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_key_policy_has_no_break_glass() {
    let mut world = World::new().await;
    world.kek.changes = Changes::Immutable;
    let mut policy = world.key_policy(&[world.measurements(IMAGE)]);
    let admin = json!({"AWS": world.admin_role()});
    policy["Statement"].as_array_mut().unwrap().push(statement(admin, "kms:PutKeyPolicy"));
    refuses(&world, &policy, 3, &[(Hole::PolicyChange, "")]).await;
}

/// A grant stands beside the key policy, which still looks sound.
#[tokio::test(flavor = "multi_thread")]
async fn any_grant_is_refused() {
    let world = World::released().await;
    let mut policy = world.key_policy(&[world.measurements(IMAGE)]);
    let admin = json!({"AWS": world.admin_role()});
    policy["Statement"].as_array_mut().unwrap().push(statement(admin, "kms:CreateGrant"));
    world.set_key_policy(&policy);
    let grant = json!({
        "KeyId": world.key_arn(), "GranteePrincipal": world.enclave_role(),
        "Operations": ["Decrypt"],
    });
    let grant = world.ask_kms(world.admin_role(), "CreateGrant", &grant).unwrap();
    world.release_to(IMAGE);

    let kms = lying_kms::start(&world, |_| {}).await;
    let (_running, mut host) = start(&world, kms.address).await;
    let problem = refused(&world, &mut host, None, Code::BootKeyRefused).await;
    assert!(problem.detail.contains("kek: grants: expected none"), "{problem}");
    nothing_was_released(&kms);
    let revoked = json!({"KeyId": world.key_arn(), "GrantId": grant["GrantId"]});
    world.ask_kms(world.admin_role(), "RevokeGrant", &revoked).unwrap();
    boot(&mut host, world.material(None)).await;
}

/// Pages can be empty before the last: all of them are read.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_on_a_later_page_is_found() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, |exchange| {
        if exchange.operation != "ListGrants" {
            return;
        }
        exchange.status = 200; // the true KMS does not know these markers
        exchange.reply = match exchange.times {
            1..=2 => {
                let marker = format!("page {}", exchange.times);
                json!({"Grants": [], "Truncated": true, "NextMarker": marker})
            }
            3 => json!({"Grants": [{"GrantId": "0a"}], "Truncated": false}),
            4 => json!({"Grants": [], "Truncated": true}),
            _ => json!({"Grants": [], "Truncated": false, "NextMarker": "page 3"}),
        };
    })
    .await;
    let (_running, mut host) = start(&world, kms.address).await;
    let problem = refused(&world, &mut host, None, Code::BootKeyRefused).await;
    assert!(problem.detail.contains("grants"), "{problem}");
    let markers: Vec<_> =
        kms.asked("ListGrants").iter().map(|request| request["Marker"].clone()).collect();
    assert_eq!(markers, [json!(null), json!("page 1"), json!("page 2")]);
    // A list that cannot be read to its end, or that has an end and goes on, says nothing.
    for _ in 0..2 {
        let problem = refused(&world, &mut host, None, Code::BootKmsReplyRefused).await;
        assert!(problem.detail.contains("expected a NextMarker exactly where"), "{problem}");
    }
    assert_eq!(kms.asked("ListGrants").len(), 5);
    nothing_was_released(&kms);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_grants_without_an_end_is_refused() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, |exchange| {
        if exchange.operation == "ListGrants" {
            exchange.status = 200;
            exchange.reply = json!({"Grants": [], "Truncated": true, "NextMarker": "on"});
        }
    })
    .await;
    let (_running, mut host) = start(&world, kms.address).await;
    let problem = refused(&world, &mut host, None, Code::BootKmsReplyRefused).await;
    assert!(problem.detail.contains("an end of the list of grants"), "{problem}");
    assert_eq!(kms.asked("ListGrants").len(), 100);
    nothing_was_released(&kms);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_kek_is_refused() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, |_| {}).await;
    let (_running, mut host) = start(&world, kms.address).await;
    let key = json!({"KeyId": world.key_arn()});
    world.ask_kms(world.admin_role(), "DisableKey", &key).unwrap();
    let problem = refused(&world, &mut host, None, Code::BootKeyRefused).await;
    assert!(problem.detail.contains("Enabled: expected true, found false"), "{problem}");
    nothing_was_released(&kms);
    world.ask_kms(world.admin_role(), "EnableKey", &key).unwrap();
    boot(&mut host, world.material(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_kind_of_key_is_refused() {
    let world = World::released().await;
    for (field, value) in [
        ("KeyManager", json!("AWS")),
        ("KeyState", json!("PendingDeletion")),
        ("Origin", json!("EXTERNAL")),
        ("KeySpec", json!("RSA_2048")),
        ("KeyUsage", json!("SIGN_VERIFY")),
        ("MultiRegion", json!(true)),
    ] {
        let lies = Arc::new(AtomicBool::new(true));
        let on = Arc::clone(&lies);
        let change = move |exchange: &mut Exchange<'_>| {
            if on.load(Ordering::Relaxed) && exchange.operation == "DescribeKey" {
                exchange.reply["KeyMetadata"][field] = value.clone();
            }
        };
        let kms = lying_kms::start(&world, change).await;
        let (_running, mut host) = start(&world, kms.address).await;
        let problem = refused(&world, &mut host, None, Code::BootKeyRefused).await;
        assert!(problem.detail.starts_with(&format!("boot: kek: {field}: expected ")), "{problem}");
        nothing_was_released(&kms);
        lies.store(false, Ordering::Relaxed);
        boot(&mut host, world.material(None)).await;
    }
}

/// The order of a boot, and what its receipt says of the KEK.
#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_has_the_key_policy_that_was_seen() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, |_| {}).await;
    let (_running, mut host) = start(&world, kms.address).await;
    let booted = boot(&mut host, world.material(None)).await;
    let looked = ["DescribeKey", "GetKeyPolicy", "ListGrants", "GenerateDataKey"];
    assert_eq!(kms.operations(), looked);
    let request = json!({"KeyId": world.key_arn(), "PolicyName": "default"});
    let seen = world.ask_kms(world.admin_role(), "GetKeyPolicy", &request).unwrap();
    // KMS may write it in another way each time: the digest is that of the canonical form.
    let digest = Digest::of(&canonical(seen["Policy"].as_str().unwrap()).unwrap());
    let Event::Boot { key_policy, previous_key_policy, dek_generated, .. } = event(&booted) else {
        panic!("expected the event of a boot");
    };
    assert_eq!((key_policy, previous_key_policy, dek_generated), (digest, None, true));
    let text = String::from_utf8(booted.receipt.body.0).unwrap();
    assert!(!text.contains("previous_key_policy"), "absent where there is none: {text}");
}
