//! A host that steers instead of forging: it withholds, hurries, drops and does not read.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use strongroom_shared::dsse::PayloadType;
use strongroom_shared::problem::Code;
use strongroom_shared::receipt::Body;
use strongroom_shared::wire::{AddressQuery, AddressSelection, Call, Reply};
use strongroom_tests::host::Host;
use strongroom_tests::transaction::{native, unsigned};
use strongroom_tests::world::{World, boot, expires_in};

const DEPOSIT: &str = "m/44'/60'/0'/0/7";

fn sequence(receipt: &strongroom_shared::receipt::Receipt) -> u64 {
    serde_json::from_slice::<Body>(&receipt.body.0).unwrap().sequence
}

/// Whether a wallet is open is up to the host. It must not be able to show a caller a signed no to an
/// intent that it then has signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_withheld_wallet_makes_no_receipt() {
    let world = World::released().await;
    let first = world.ready().await;
    let hot = {
        let (mut host, _) = Host::hello(&first.running.socket).await;
        let wallet = strongroom_shared::id::WalletId::parse("hot-eth").unwrap();
        let selection = AddressSelection::Path("m/44'/60'/0'/0/0".parse().unwrap());
        match host.call(Call::Addresses(AddressQuery { wallet, selection })).await {
            Reply::Addresses(reply) => reply.addresses[0].address,
            other => panic!("expected an address: {other:?}"),
        }
    };
    let encrypted_dek = first.booted.encrypted_dek.clone().unwrap().into_vec();
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    let booted = boot(&mut host, world.material(Some(encrypted_dek))).await;
    let intent = world.intent("a", "deposits-eth", DEPOSIT, &unsigned(&native(1, 0, hot.0, 1)));
    let [hot_key, deposits_key] = [first.sealed[0].clone(), first.sealed[1].clone()];
    for key in [deposits_key, hot_key] {
        let problem = host.refused(world.ask(&intent, &["sweep-engine"])).await;
        assert_eq!((problem.code, problem.receipt), (Code::WalletNotOpen, None));
        assert!(matches!(host.call(Call::LoadWallet(key)).await, Reply::WalletLoaded(_)));
    }
    match host.call(world.ask(&intent, &["sweep-engine"])).await {
        Reply::Signed(reply) => {
            assert_eq!(sequence(&reply.receipt), sequence(&booted.receipt) + 1);
        }
        other => panic!("expected a signature: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_time_alone_decides_makes_no_receipt() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    for (expires_at, code) in [
        ("2026-01-01T00:00:00Z".to_owned(), Code::IntentExpired),
        (expires_in(3_700), Code::ExpiryTooFar),
        ("9999-12-31T23:59:59Z".to_owned(), Code::ExpiryTooFar),
    ] {
        let mut intent = world.intent("a", "deposits-eth", DEPOSIT, &[0xc0]);
        intent["expires_at"] = json!(expires_at);
        let problem = ready.host.refused(world.ask(&intent, &["sweep-engine"])).await;
        assert_eq!((problem.code, problem.receipt), (code, None));
    }
    for (expires_at, code) in [
        ("2026-01-01T00:00:00Z".to_owned(), Code::ActExpired),
        (expires_in(90_000), Code::ExpiryTooFar),
    ] {
        let act = json!({
            "version": 1, "act": "create_hd_wallet", "wallet": "hot-eth",
            "policy": world.policy_digest(), "expires_at": expires_at,
        });
        let act = world.by_admins(PayloadType::WalletAct, serde_json::to_vec(&act).unwrap());
        let call = Call::ActOnWallet(serde_json::to_vec(&act).unwrap().into());
        let problem = ready.host.refused(call).await;
        assert_eq!((problem.code, problem.receipt), (code, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_are_one_too_many() {
    let mut world = World::new().await;
    world.policy["wallets"][0]["callers"] = json!(["sweep-engine", "withdraw-engine"]);
    world.release_to(strongroom_tests::world::IMAGE);
    let mut ready = world.ready().await;
    let intent = world.intent("a", "deposits-eth", DEPOSIT, &[0xc0]);
    let call = world.ask(&intent, &["sweep-engine", "withdraw-engine"]);
    let problem = ready.host.refused(call).await;
    assert_eq!((problem.code, problem.receipt), (Code::SeveralCallers, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_outside_of_the_policy_is_not_created() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let act = strongroom_tests::principal::bytes(&world.creation("another"));
    let problem = ready.host.refused(Call::ActOnWallet(act.into())).await;
    assert_eq!(problem.code, Code::WalletNotInPolicy);
    assert!(problem.receipt.is_some(), "a denial leaves a receipt");
}

/// A name that is loaded and created at once is taken once, and the chain says nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_is_created_while_it_is_loaded_exists_once() {
    let world = World::released().await;
    let first = world.ready().await;
    let encrypted_dek = first.booted.encrypted_dek.clone().unwrap().into_vec();
    for _ in 0..20 {
        let running = world.start().await;
        let (mut host, _) = Host::hello(&running.socket).await;
        let booted = boot(&mut host, world.material(Some(encrypted_dek.clone()))).await;
        let load = host.frame(Call::LoadWallet(first.sealed[0].clone()));
        let act = strongroom_tests::principal::bytes(&world.creation("hot-eth"));
        let create = host.frame(Call::ActOnWallet(act.into()));
        host.send_raw(&[load, create].concat()).await;
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            let Some(strongroom_shared::wire::EnclaveMessage::Reply { reply, .. }) =
                host.receive().await
            else {
                panic!("expected a reply");
            };
            outcomes.push(*reply);
        }
        let opened = outcomes
            .iter()
            .filter(|it| matches!(it, Reply::WalletLoaded(_) | Reply::WalletCreated { .. }))
            .count();
        assert_eq!(opened, 1, "{outcomes:?}");
        let Reply::Receipts(receipts) =
            host.call(Call::Receipts { after: sequence(&booted.receipt) }).await
        else {
            panic!("expected receipts");
        };
        assert!(receipts.len() <= 1, "{receipts:?}");
    }
}

/// Replies that the host dropped are a gap of its own making: it can have the receipts again.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_were_lost_can_be_fetched_again() {
    let world = World::released().await;
    let ready = world.ready().await;
    let thief = alloy::primitives::Address::repeat_byte(0x66);
    for nonce in 0..5 {
        let (mut host, _) = Host::hello(&ready.running.socket).await;
        let bytes = unsigned(&native(1, nonce, thief, 1));
        let intent = world.intent(&format!("a{nonce}"), "deposits-eth", DEPOSIT, &bytes);
        let frame = host.frame(world.ask(&intent, &["sweep-engine"]));
        host.send_raw(&frame).await;
        drop(host); // without reading
    }
    let (mut host, _) = Host::hello(&ready.running.socket).await;
    let mut receipts = Vec::new();
    for _ in 0..100 {
        let Reply::Receipts(all) = host.call(Call::Receipts { after: 0 }).await else {
            panic!("expected receipts");
        };
        receipts = all;
        if receipts.len() == 8 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let sequences: Vec<u64> = receipts.iter().map(sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6, 7, 8], "boot, two wallets, five denials");
    for pair in receipts.windows(2) {
        let next: Body = serde_json::from_slice(&pair[1].body.0).unwrap();
        assert_eq!(next.previous, Some(strongroom_shared::digest::Digest::of(&pair[0].body.0)));
    }
}

/// A host that asks and does not read holds up nobody but itself, and not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_read_does_not_starve_another() {
    let world = World::released().await;
    let ready = world.ready().await;
    let (mut deaf, _) = Host::hello(&ready.running.socket).await;
    // The replies are far more than the buffers between the two take.
    for _ in 0..400 {
        let frame = deaf.frame(Call::Policy);
        deaf.send_raw(&frame).await;
    }
    let (mut host, _) = Host::hello(&ready.running.socket).await;
    assert!(matches!(host.call(Call::Wallets).await, Reply::Wallets(_)));
    assert!(matches!(host.call(Call::Policy).await, Reply::Policy(_)));
    // It is given up after a while, whatever it still had to read.
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    let mut read = 0;
    while deaf.receive().await.is_some() {
        read += 1;
    }
    assert!(read < 400, "all {read} replies were waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_admins_and_engines_do_not_cross() {
    let mut world = World::new().await;
    let admin = serde_json::to_value(world.principal("policy-admin-1").public()).unwrap();
    world.policy["principals"][0]["key"] = admin;
    world.release_to(strongroom_tests::world::IMAGE);
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    let problem = host.refused(Call::Boot(Box::new(world.material(None)))).await;
    assert_eq!(problem.code, Code::BootPolicyRefused);
}
