//! The boot under a host that lies: about the policy, the image, the KMS, the DEK, the order.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use serde_json::json;
use strongroom_attestation::key_policy::Measurements;
use strongroom_attestation::measure::Pcr;
use strongroom_mock::kms::{self, LocalKms};
use strongroom_shared::dsse::PayloadType;
use strongroom_shared::encoding::Base64;
use strongroom_shared::problem::Code;
use strongroom_shared::wire::{BootMaterial, Call, Phase, Reply};
use strongroom_tests::host::Host;
use strongroom_tests::principal;
use strongroom_tests::world::{IMAGE, Start, World, boot, expires_in};

fn call(material: BootMaterial) -> Call {
    Call::Boot(Box::new(material))
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_boot_there_is_nothing_but_the_boot() {
    let world = World::released().await;
    let running = world.start().await;
    let (mut host, phase) = Host::hello(&running.socket).await;
    assert_eq!(phase, Phase::AwaitingPolicy);
    for early in [
        Call::Wallets,
        Call::Policy,
        Call::Attest(vec![1; 32].into()),
        Call::Sign(b"{}".to_vec().into()),
        Call::ActOnWallet(b"{}".to_vec().into()),
    ] {
        assert_eq!(host.refused(early).await.code, Code::EnclaveNotReady);
    }
    let booted = boot(&mut host, world.material(None)).await;
    // Again: the host may have lost what the first boot gave. It is the same life, and the same DEK.
    assert_eq!(boot(&mut host, world.material(None)).await, booted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_needs_its_quorum_and_a_refused_one_is_not_measured() {
    let world = World::released().await;
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    let good = world.policy_envelope();
    let mut unsigned = good.clone();
    unsigned.signatures.clear();
    let mut alone = good.clone();
    alone.signatures[1] = alone.signatures[0].clone();
    let mut altered = good.clone();
    altered.payload.0 = String::from_utf8(good.payload.0.clone())
        .unwrap()
        .replace("\"deposit\"", "\"hot\"")
        .into_bytes();
    let engines = [world.principal("sweep-engine"), world.principal("withdraw-engine")];
    let by_engines = principal::envelope(PayloadType::Policy, world.policy_bytes(), &engines);
    let expired = {
        let mut policy = world.policy.clone();
        policy["not_after"] = json!("2026-01-01T00:00:00Z");
        world.by_admins(PayloadType::Policy, serde_json::to_vec(&policy).unwrap())
    };
    let contradictory = {
        let mut policy = world.policy.clone();
        policy["wallets"][0]["transfers"][0]["to"] = json!(["any"]);
        world.by_admins(PayloadType::Policy, serde_json::to_vec(&policy).unwrap())
    };
    let another_kind = world.by_admins(PayloadType::WalletAct, world.policy_bytes());
    for wrong in [unsigned, alone, altered, by_engines, expired, contradictory, another_kind] {
        let mut material = world.material(None);
        material.policy = principal::bytes(&wrong).into();
        assert_eq!(host.refused(call(material)).await.code, Code::BootPolicyRefused);
        assert_eq!(Host::hello(&running.socket).await.1, Phase::AwaitingPolicy);
    }
    // Nothing was measured: the good one still boots, which KMS allows for its PCR17 only.
    boot(&mut host, world.material(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_locked_the_policy_cannot_be_exchanged() {
    let world = World::new().await; // KMS releases to nothing
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    let problem = host.refused(call(world.material(None))).await;
    assert_eq!(problem.code, Code::BootKmsRefused);
    assert!(problem.detail.contains("AccessDeniedException"), "{}", problem.detail);
    assert_eq!(Host::hello(&running.socket).await.1, Phase::AwaitingDek);
    let mut policy = world.policy.clone();
    policy["not_after"] = json!(expires_in(1_000));
    let mut material = world.material(None);
    let other = world.by_admins(PayloadType::Policy, serde_json::to_vec(&policy).unwrap());
    material.policy = principal::bytes(&other).into();
    assert_eq!(host.refused(call(material)).await.code, Code::BootPolicyLocked);
    // The one that is locked goes on, once KMS allows it.
    world.release_to(IMAGE);
    boot(&mut host, world.material(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kms_releases_to_the_reviewed_image_configuration_and_policy_only() {
    let mut world = World::released().await;
    let other = Start { image: "another image", relay: world.kms_address() };
    let running = world.start_as(other).await;
    let (mut host, _) = Host::hello(&running.socket).await;
    // An enclave does not ask a KEK that releases to another one; KMS does not give it anything, either.
    assert_eq!(host.refused(call(world.material(None))).await.code, Code::BootKeyRefused);
    // The true image under another policy, which a quorum signed all the same.
    world.policy["sequence"] = json!(2);
    world.policy["previous"] = json!(world.policy_digest());
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    assert_eq!(host.refused(call(world.material(None))).await.code, Code::BootKeyRefused);
}

/// Whom the configuration lets the KEK release to besides, while an upgrade rolls, is released to; the
/// others are not.
#[tokio::test(flavor = "multi_thread")]
async fn kms_itself_releases_to_nobody_else() {
    let mut world = World::new().await;
    let [pcr0, pcr16, pcr17] = [7, 8, 9].map(|byte| Pcr::new([byte; 48]));
    let next = Measurements { pcr0, pcr16, pcr17 };
    world.kek.also_releases_to = vec![next];
    world.set_key_policy(&world.key_policy(&[next]));
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    let problem = host.refused(call(world.material(None))).await;
    assert_eq!(problem.code, Code::BootKmsRefused);
    assert!(problem.detail.contains("GenerateDataKey"), "{problem}");
    assert!(problem.detail.contains("AccessDeniedException"), "{problem}");
    world.set_key_policy(&world.key_policy(&[next, world.measurements(IMAGE)]));
    boot(&mut host, world.material(None)).await;
}

/// The host answers in the place of KMS: a DEK of its own choosing, in a well-formed
/// `CiphertextForRecipient` for this very enclave, under the KEK's own ARN. All that it lacks is
/// KMS's certificate.
#[tokio::test(flavor = "multi_thread")]
async fn a_dek_of_the_host_s_own_choosing_is_not_from_kms() {
    let world = World::released().await;
    let elsewhere = tempfile::TempDir::new().unwrap();
    let state = elsewhere.path().join("kms");
    let own = kms::init(&state, "eu-central-1", None).unwrap();
    // The impostor has the true key's ARN and policy, and even believes the enclave's documents.
    impersonate(&world, &state, own.key_arn.as_str());
    let impostor = LocalKms::open(&state, world.pki().trust_anchor().unwrap()).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = kms::server::Server::bind(&state, impostor, address).await.unwrap();
    let relay = server.address().unwrap();
    tokio::spawn(server.run(std::future::pending()));

    let running = world.start_as(Start { image: IMAGE, relay }).await;
    let (mut host, _) = Host::hello(&running.socket).await;
    let problem = host.refused(call(world.material(None))).await;
    assert_eq!(problem.code, Code::BootKmsUnreachable);
    assert!(problem.detail.contains("certificate"), "{}", problem.detail);
    assert_eq!(Host::hello(&running.socket).await.1, Phase::AwaitingDek);

    // The same impostor with the true certificate would be believed: TLS is what refused it.
    let kms_dir = world.kms_dir();
    for file in ["server.pem", "server.key"] {
        std::fs::copy(kms_dir.join(file), state.join(file)).unwrap();
    }
    let impostor = LocalKms::open(&state, world.pki().trust_anchor().unwrap()).unwrap();
    let server = kms::server::Server::bind(&state, impostor, address).await.unwrap();
    let relay = server.address().unwrap();
    tokio::spawn(server.run(std::future::pending()));
    let running = world.start_as(Start { image: IMAGE, relay }).await;
    let (mut host, _) = Host::hello(&running.socket).await;
    boot(&mut host, world.material(None)).await;
}

/// Gives the KMS in `state` the true key's name and policy and the true roles, with other key material.
fn impersonate(world: &World, state: &std::path::Path, arn: &str) {
    let file = state.join("state.json");
    let renamed = std::fs::read_to_string(&file).unwrap().replace(arn, world.key_arn());
    std::fs::write(&file, renamed).unwrap();
    std::fs::copy(world.kms_dir().join("identities.json"), state.join("identities.json")).unwrap();
    let policy = world.key_policy(&[world.measurements(IMAGE)]);
    kms::set_policy(state, &policy.to_string()).unwrap();
}

/// KMS says under which key a blob was encrypted, not by whom.
#[tokio::test(flavor = "multi_thread")]
async fn a_dek_that_somebody_else_encrypted_under_the_true_kek_is_not_listed() {
    let mut world = World::released().await;
    let first = world.start().await;
    let (mut host, _) = Host::hello(&first.socket).await;
    let booted = boot(&mut host, world.material(None)).await;
    let genuine = booted.encrypted_dek.unwrap().into_vec();

    // Outside of provisioning, under a policy that knows the DEK.
    let policy = world.policy.as_object_mut().unwrap();
    policy.remove("provisioning");
    policy.insert("dek_ids".into(), json!([booted.dek_id]));
    // For a while anybody with the enclave's role could encrypt under the KEK.
    let mut open = world.key_policy(&[world.measurements(IMAGE)]);
    open["Statement"].as_array_mut().unwrap().push(json!({
        "Effect": "Allow", "Principal": {"AWS": world.enclave_role()}, "Resource": "*",
        "Action": "kms:Encrypt",
    }));
    world.set_key_policy(&open);
    let request = json!({
        "KeyId": world.key_arn(),
        "Plaintext": Base64(vec![0x66; 32]),
        "EncryptionContext": {
            "strongroom:deployment": "test", "strongroom:purpose": "dek",
        },
    });
    let reply = world.ask_kms(world.enclave_role(), "Encrypt", &request).unwrap();
    let forged = Base64::parse(reply["CiphertextBlob"].as_str().unwrap()).unwrap().0;
    world.release_to(IMAGE);

    let second = world.start().await;
    let (mut host, _) = Host::hello(&second.socket).await;
    let problem = host.refused(call(world.material(Some(forged)))).await;
    assert_eq!(problem.code, Code::BootDekNotListed);
    // A first boot, which the host can claim at any time, makes no DEK either.
    assert_eq!(host.refused(call(world.material(None))).await.code, Code::BootDekMissing);
    let booted = boot(&mut host, world.material(Some(genuine))).await;
    assert_eq!(booted.encrypted_dek, None);

    // And a wallet that the policy does not pin is created, perhaps, but signs nothing, and has no
    // addresses that anybody could be told to pay.
    world.create(&mut host, "hot-eth").await;
    let query = strongroom_shared::wire::AddressQuery {
        wallet: strongroom_shared::id::WalletId::parse("hot-eth").unwrap(),
        selection: strongroom_shared::wire::AddressSelection::Range { first: 0, count: 1 },
    };
    assert_eq!(host.refused(Call::Addresses(query)).await.code, Code::WalletNotPinned);
    let bytes = strongroom_tests::transaction::unsigned(&strongroom_tests::transaction::native(
        1,
        0,
        alloy::primitives::Address::repeat_byte(1),
        1,
    ));
    let intent = world.intent("a", "hot-eth", "m/44'/60'/0'/0/0", &bytes);
    let problem = host.refused(world.ask(&intent, &["withdraw-engine"])).await;
    assert_eq!(problem.code, Code::WalletNotPinned);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_encrypted_dek_is_refused_by_kms() {
    let world = World::released().await;
    let first = world.start().await;
    let (mut host, _) = Host::hello(&first.socket).await;
    let mut altered = boot(&mut host, world.material(None)).await.encrypted_dek.unwrap().into_vec();
    *altered.last_mut().unwrap() ^= 1;
    let second = world.start().await;
    let (mut host, _) = Host::hello(&second.socket).await;
    let problem = host.refused(call(world.material(Some(altered)))).await;
    assert_eq!(problem.code, Code::BootKmsRefused);
    assert!(problem.detail.contains("InvalidCiphertextException"), "{}", problem.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_goes_on_where_the_host_says_and_a_lie_shows() {
    use strongroom_shared::digest::Digest;
    use strongroom_shared::receipt::{Body, Head, Position};
    let world = World::released().await;
    let first = world.start().await;
    let (mut host, _) = Host::hello(&first.socket).await;
    let booted = boot(&mut host, world.material(None)).await;
    let position = Position {
        sequence: booted.receipt.sequence,
        body: Digest::of(&booted.receipt.body.0),
        head: booted.receipt.head.digest(),
    };
    let second = world.start().await;
    let (mut host, _) = Host::hello(&second.socket).await;
    let mut material = world.material(Some(booted.encrypted_dek.unwrap().into_vec()));
    material.position = Some(position);
    let Reply::Booted(booted) = host.call(call(material)).await else { panic!("expected to boot") };
    let body: Body = serde_json::from_slice(&booted.receipt.body.0).unwrap();
    let head: Head = serde_json::from_slice(&booted.receipt.head.payload.0).unwrap();
    assert_eq!((body.sequence, body.previous), (2, Some(position.body)));
    assert_eq!(head.previous, Some(position.head));
}

/// The configuration is measured too: the same image and policy under another one get nothing.
#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_is_another_enclave() {
    let world = World::released().await;
    let running =
        world.start_configured(|text| text.replace("threshold = 2", "threshold = 1")).await;
    let (mut host, _) = Host::hello(&running.socket).await;
    assert_eq!(host.refused(call(world.material(None))).await.code, Code::BootKeyRefused);
}
