//! The DEK moves to another KEK, and stays the DEK.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use strongroom_attestation::key_policy::{Hole, canonical};
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::PayloadType;
use strongroom_shared::encoding::Base64;
use strongroom_shared::problem::Code;
use strongroom_shared::receipt::Event;
use strongroom_shared::wire::{Booted, Call, Phase, Reply, SealedKey};
use strongroom_tests::host::Host;
use strongroom_tests::lying_kms::{self, Exchange, LyingKms};
use strongroom_tests::principal;
use strongroom_tests::world::{IMAGE, World, boot};

use crate::{event, nothing_was_released, refused, start};

/// A world whose DEK, with a wallet under it, is under the first KEK, and whose configuration and
/// policy are those of the change to a second one.
struct Change {
    world: World,
    /// What the boot before the change gave.
    before: Booted,
    wallet: SealedKey,
}

impl Change {
    async fn prepared() -> Self {
        let mut world = World::released().await;
        let mut ready = world.ready().await;
        let booted = ready.booted;
        let wallet = ready.sealed.remove(0);
        let policy = world.policy.as_object_mut().unwrap();
        policy.remove("provisioning");
        policy.insert("dek_ids".into(), json!([booted.dek_id]));
        // Whoever makes the key has it released to nobody yet.
        let created = world.ask_kms(world.admin_role(), "CreateKey", &json!({})).unwrap();
        let second = created["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        let first = std::mem::replace(&mut world.kek.key_arn, second);
        world.kek.previous_key_arn = Some(first);
        let change = Self { world, before: booted, wallet };
        change.release();
        change
    }

    fn stored(&self) -> Vec<u8> {
        self.before.encrypted_dek.clone().unwrap().into_vec()
    }

    fn previous(&self) -> &str {
        self.world.kek.previous_key_arn.as_deref().unwrap()
    }

    /// Has both KEKs release to the image in the configuration of the change, and lets the enclave's
    /// role encrypt under the new one.
    fn release(&self) {
        let policy = self.world.key_policy(&[self.world.measurements(IMAGE)]);
        self.world.set_key_policy(&policy); // the first
        self.put(self.world.key_arn(), &with_encrypt(policy, self.world.enclave_role()));
    }

    fn put(&self, key: &str, policy: &Value) {
        let request = json!({
            "KeyId": key, "PolicyName": "default", "Policy": policy.to_string(),
            "BypassPolicyLockoutSafetyCheck": true,
        });
        self.world.ask_kms(self.world.admin_role(), "PutKeyPolicy", &request).unwrap();
    }

    /// What a receipt calls the key policy of a KEK.
    fn key_policy(&self, key: &str) -> Digest {
        let request = json!({"KeyId": key, "PolicyName": "default"});
        let reply = self.world.ask_kms(self.world.admin_role(), "GetKeyPolicy", &request).unwrap();
        Digest::of(&canonical(reply["Policy"].as_str().unwrap()).unwrap())
    }

    /// A DEK that somebody else encrypted under a KEK, while its policy let them.
    fn forged(&self, key: &str) -> Vec<u8> {
        let policy = self.world.key_policy(&[self.world.measurements(IMAGE)]);
        self.put(key, &with_encrypt(policy, self.world.enclave_role()));
        let request = json!({
            "KeyId": key, "Plaintext": Base64(vec![0x66; 32]),
            "EncryptionContext": {"strongroom:deployment": "test", "strongroom:purpose": "dek"},
        });
        let reply = self.world.ask_kms(self.world.enclave_role(), "Encrypt", &request).unwrap();
        self.release();
        Base64::parse(reply["CiphertextBlob"].as_str().unwrap()).unwrap().0
    }

    async fn kms(&self) -> LyingKms {
        lying_kms::start(&self.world, |_| {}).await
    }
}

fn with_encrypt(mut policy: Value, role: &str) -> Value {
    policy["Statement"].as_array_mut().unwrap().push(json!({
        "Sid": "WhileTheDekMoves", "Effect": "Allow", "Principal": {"AWS": role},
        "Action": "kms:Encrypt", "Resource": "*",
    }));
    policy
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dek_moves_and_stays_the_dek() {
    let mut change = Change::prepared().await;
    let kms = change.kms().await;
    let (_running, mut host) = start(&change.world, kms.address).await;
    let booted = boot(&mut host, change.world.material(Some(change.stored()))).await;
    assert_eq!(booted.dek_id, change.before.dek_id);
    let Event::Boot { key_policy, previous_key_policy, dek_generated, .. } = event(&booted) else {
        panic!("expected a boot");
    };
    assert!(!dek_generated);
    assert_eq!(key_policy, change.key_policy(change.world.key_arn()));
    assert_eq!(previous_key_policy, Some(change.key_policy(change.previous())));
    assert_ne!(Some(key_policy), previous_key_policy, "one of them lets the enclave encrypt");
    let moved = booted.encrypted_dek.unwrap().into_vec();
    assert_ne!(moved, change.stored());
    let look = ["DescribeKey", "GetKeyPolicy", "ListGrants"];
    let expected =
        [&look[..], &["Decrypt"], &look[..], &["Decrypt", "Encrypt", "Decrypt"]].concat();
    assert_eq!(kms.operations(), expected);
    let keys: Vec<_> = kms.asked("Decrypt").iter().map(|it| it["KeyId"].clone()).collect();
    let (new, old) = (change.world.key_arn(), change.previous());
    assert_eq!(keys, [new, old, new]);
    assert!(kms.asked("Decrypt").iter().all(|it| it["Recipient"].is_object()));
    let context = json!({"strongroom:deployment": "test", "strongroom:purpose": "dek"});
    assert_eq!(kms.asked("Encrypt")[0]["EncryptionContext"], context);

    // Again with what the host has stored now: nothing is left to do.
    let kms = change.kms().await;
    let (_running, mut host) = start(&change.world, kms.address).await;
    let booted = boot(&mut host, change.world.material(Some(moved.clone()))).await;
    assert_eq!(booted.encrypted_dek, None);
    assert!(matches!(event(&booted), Event::Boot { previous_key_policy: None, .. }));
    assert_eq!(kms.operations(), [&look[..], &["Decrypt"]].concat());

    // And after the change, under a configuration that knows one KEK, and a key policy that is closed.
    change.world.kek.previous_key_arn = None;
    let closed = change.world.key_policy(&[change.world.measurements(IMAGE)]);
    change.put(change.world.key_arn(), &closed);
    let (_running, mut host) = start(&change.world, change.world.kms_address()).await;
    refused(&change.world, &mut host, Some(&change.stored()), Code::BootKmsRefused).await;
    let booted = boot(&mut host, change.world.material(Some(moved))).await;
    assert_eq!(booted.dek_id, change.before.dek_id);
    match host.call(Call::LoadWallet(change.wallet)).await {
        Reply::WalletLoaded(info) => assert_eq!(info.wallet.as_str(), "hot-eth"),
        other => panic!("expected the wallet: {other:?}"),
    }
}

/// Whose DEK it is, the policy says; under which KEK somebody encrypted another, is no matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_dek_of_somebody_else_does_not_move() {
    let change = Change::prepared().await;
    for key in [change.world.key_arn(), change.previous()] {
        let forged = change.forged(key);
        let kms = change.kms().await;
        let (_running, mut host) = start(&change.world, kms.address).await;
        refused(&change.world, &mut host, Some(&forged), Code::BootDekNotListed).await;
        assert_eq!(kms.asked("Encrypt"), Vec::<Value>::new());
        boot(&mut host, change.world.material(Some(change.stored()))).await;
    }
}

/// The KEK that the DEK is moved from is looked at before it is asked, too.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_previous_kek_is_not_asked() {
    let change = Change::prepared().await;
    let sound = change.world.key_policy(&[change.world.measurements(IMAGE)]);
    let mut left_behind = sound.clone();
    left_behind["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/left-behind"},
        "Action": "kms:PutKeyPolicy", "Resource": "*",
    }));
    for (open, hole) in [
        (with_encrypt(sound, change.world.enclave_role()), Hole::Encrypt),
        (left_behind, Hole::OtherAdmin),
    ] {
        change.world.set_key_policy(&open); // of the first
        let kms = change.kms().await;
        let (_running, mut host) = start(&change.world, kms.address).await;
        let stored = change.stored();
        let problem = refused(&change.world, &mut host, Some(&stored), Code::BootKeyRefused).await;
        assert!(problem.detail.contains("previous kek: key policy: statement 5"), "{problem}");
        assert!(problem.detail.contains(&hole.to_string()), "{problem}");
        only_the_new_one_was_asked(&change, &kms);
        change.release();
        boot(&mut host, change.world.material(Some(stored))).await;
    }
}

fn only_the_new_one_was_asked(change: &Change, kms: &LyingKms) {
    let keys: Vec<_> = kms.asked("Decrypt").iter().map(|it| it["KeyId"].clone()).collect();
    assert_eq!(keys, [change.world.key_arn()]);
    assert_eq!(kms.asked("Encrypt"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_previous_kek_with_a_grant_or_of_another_kind_is_not_asked() {
    let change = Change::prepared().await;
    for (operation, pointer, value, expected) in [
        ("ListGrants", "/Grants", json!([{"GrantId": "0a"}]), "grants: expected none"),
        ("DescribeKey", "/KeyMetadata/Enabled", json!(false), "Enabled: expected true"),
        ("DescribeKey", "/KeyMetadata/MultiRegion", json!(true), "MultiRegion: expected false"),
    ] {
        let previous = change.previous().to_owned();
        let kms = lying_kms::start(&change.world, move |exchange: &mut Exchange<'_>| {
            if exchange.operation == operation && exchange.request["KeyId"] == previous.as_str() {
                *exchange.reply.pointer_mut(pointer).unwrap() = value.clone();
            }
        })
        .await;
        let (_running, mut host) = start(&change.world, kms.address).await;
        let stored = change.stored();
        let problem = refused(&change.world, &mut host, Some(&stored), Code::BootKeyRefused).await;
        assert!(problem.detail.starts_with("boot: previous kek: "), "{problem}");
        assert!(problem.detail.contains(expected), "{problem}");
        only_the_new_one_was_asked(&change, &kms);
    }
}

/// What the host gets to store must open as the same DEK: KMS, or who answers for it, gives back another.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_as_the_same_dek_is_not_stored() {
    let mut change = Change::prepared().await;
    // A second DEK, which the policy lists as well, under the new KEK.
    let id = {
        let dek = zeroize::Zeroizing::new(vec![0x66; 32]);
        strongroom_enclave::secret::Dek::from_kms(&dek).unwrap().id()
    };
    change.world.policy["dek_ids"] = json!([change.before.dek_id, id]);
    change.release();
    let forged = json!(Base64(change.forged(change.world.key_arn())));
    let another = json!(change.previous());
    let lie = Arc::new(Mutex::new(("CiphertextBlob", forged)));
    let told = Arc::clone(&lie);
    let kms = lying_kms::start(&change.world, move |exchange: &mut Exchange<'_>| {
        if exchange.operation == "Encrypt" {
            let (member, value) = told.lock().unwrap().clone();
            exchange.reply[member] = value;
        }
    })
    .await;
    let (_running, mut host) = start(&change.world, kms.address).await;
    let stored = change.stored();
    let problem = refused(&change.world, &mut host, Some(&stored), Code::BootKmsReplyRefused).await;
    assert!(problem.detail.contains("the DEK under the new kek: expected"), "{problem}");
    // Under another key than the one that was named.
    *lie.lock().unwrap() = ("KeyId", another);
    let problem = refused(&change.world, &mut host, Some(&stored), Code::BootKmsReplyRefused).await;
    assert!(problem.detail.contains("Encrypt: reply: expected the KeyId"), "{problem}");
}

/// Without a list of DEKs, whoever may encrypt under the new KEK could bring their own.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_under_a_provisioning_policy() {
    let change = Change::prepared().await;
    let mut policy = change.world.policy.clone();
    let members = policy.as_object_mut().unwrap();
    members.remove("dek_ids");
    members.insert("provisioning".into(), json!(true));
    let policy = serde_json::to_vec(&policy).unwrap();
    let mut provisioning = change.world.material(Some(change.stored()));
    let envelope = change.world.by_admins(PayloadType::Policy, policy);
    provisioning.policy = principal::bytes(&envelope).into();
    let kms = change.kms().await;
    let (running, mut host) = start(&change.world, kms.address).await;
    let problem = host.refused(Call::Boot(Box::new(provisioning))).await;
    assert_eq!(problem.code, Code::BootPolicyRefused);
    assert!(problem.detail.contains("lists its dek_ids, found a provisioning one"), "{problem}");
    assert_eq!(kms.operations(), Vec::<String>::new());
    // It is not locked: this life goes on with one that lists them.
    assert_eq!(Host::hello(&running.socket).await.1, Phase::AwaitingPolicy);
    boot(&mut host, change.world.material(Some(change.stored()))).await;
}

/// `Encrypt` is for the change alone: without one, it is a hole.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_change_encrypt_is_a_hole() {
    let mut change = Change::prepared().await;
    change.world.kek.previous_key_arn = None;
    change.release();
    let kms = change.kms().await;
    let (_running, mut host) = start(&change.world, kms.address).await;
    let stored = change.stored();
    let problem = refused(&change.world, &mut host, Some(&stored), Code::BootKeyRefused).await;
    assert!(problem.detail.contains("WhileTheDekMoves"), "{problem}");
    nothing_was_released(&kms);
}
