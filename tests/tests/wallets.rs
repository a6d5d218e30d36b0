//! Which key has a name: what the policy pins, what is open, what an act may create.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use strongroom_shared::dsse::PayloadType;
use strongroom_shared::problem::Code;
use strongroom_shared::reply::WalletInfo;
use strongroom_shared::wire::{Call, Reply};
use strongroom_tests::host::Host;
use strongroom_tests::principal;
use strongroom_tests::transaction::{native, unsigned};
use strongroom_tests::world::{IMAGE, World, boot, expires_in};

async fn open(host: &mut Host) -> Vec<WalletInfo> {
    match host.call(Call::Wallets).await {
        Reply::Wallets(wallets) => wallets,
        other => panic!("expected wallets: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_provisioning_a_name_is_the_key_that_the_policy_pins() {
    let mut world = World::released().await;
    let mut ready = world.ready().await;
    let wallets = open(&mut ready.host).await;
    let hot = wallets.iter().find(|info| info.wallet.as_str() == "hot-eth").unwrap();
    let encrypted_dek = ready.booted.encrypted_dek.clone().unwrap().into_vec();

    let policy = world.policy.as_object_mut().unwrap();
    policy.remove("provisioning");
    policy.insert("dek_ids".into(), json!([ready.booted.dek_id]));
    world.policy["wallets"][1]["fingerprint"] = json!(hot.fingerprint);
    // The deposit wallet is pinned to another key than the one that the host has.
    world.policy["wallets"][0]["fingerprint"] = json!(hot.fingerprint);
    world.release_to(IMAGE);

    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    boot(&mut host, world.material(Some(encrypted_dek))).await;
    let [hot_key, deposits_key] = [ready.sealed[0].clone(), ready.sealed[1].clone()];
    let problem = host.refused(Call::LoadWallet(deposits_key)).await;
    assert_eq!(problem.code, Code::FingerprintMismatch);
    assert!(open(&mut host).await.is_empty());
    assert!(matches!(host.call(Call::LoadWallet(hot_key)).await, Reply::WalletLoaded(_)));

    // No act makes another key for a pinned name.
    let act = principal::bytes(&world.creation("deposits-eth"));
    assert_eq!(host.refused(Call::ActOnWallet(act.into())).await.code, Code::WalletExists);
    // The pinned one signs.
    let bytes = unsigned(&native(1, 0, alloy::primitives::Address::repeat_byte(1), 1));
    let intent = world.intent("a", "hot-eth", "m/44'/60'/0'/0/0", &bytes);
    assert!(matches!(host.call(world.ask(&intent, &["withdraw-engine"])).await, Reply::Signed(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_does_not_take_an_open_name() {
    let world = World::released().await;
    let first = world.ready().await;
    let encrypted_dek = first.booted.encrypted_dek.clone().unwrap().into_vec();
    // The host withholds the wallet, and has the admins' act done again in a new life.
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    boot(&mut host, world.material(Some(encrypted_dek))).await;
    let second = world.create(&mut host, "hot-eth").await;
    assert_ne!(second.key_id, first.sealed[0].key_id);
    let before = open(&mut host).await;
    let problem = host.refused(Call::LoadWallet(first.sealed[0].clone())).await;
    assert_eq!(problem.code, Code::WalletExists);
    assert_eq!(open(&mut host).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_under_another_policy_is_denied() {
    let world = World::released().await;
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    boot(&mut host, world.material(None)).await;
    let act = json!({
        "version": 1, "act": "create_hd_wallet", "wallet": "hot-eth",
        "policy": strongroom_shared::digest::Digest::of(b"another"),
        "expires_at": expires_in(600),
    });
    let act = world.by_admins(PayloadType::WalletAct, serde_json::to_vec(&act).unwrap());
    let problem = host.refused(Call::ActOnWallet(principal::bytes(&act).into())).await;
    assert_eq!(problem.code, Code::PolicyMismatch);
    assert!(problem.receipt.is_some(), "a denial leaves a receipt");
    assert!(open(&mut host).await.is_empty());
}

/// The answer to an act has the only copy of a sealed seed: it can be had again, if it was lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_was_done_gives_its_answer_also_after_it_expired() {
    let world = World::released().await;
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    boot(&mut host, world.material(None)).await;
    let act = json!({
        "version": 1, "act": "create_hd_wallet", "wallet": "hot-eth",
        "policy": world.policy_digest(), "expires_at": expires_in(2),
    });
    let act = world.by_admins(PayloadType::WalletAct, serde_json::to_vec(&act).unwrap());
    let call = || Call::ActOnWallet(principal::bytes(&act).into());
    let first = host.call(call()).await;
    assert!(matches!(first, Reply::WalletCreated { .. }));
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(format!("{:?}", host.call(call()).await), format!("{first:?}"));
}
