//! The host as the adversary, frame by frame, against an enclave that has booted.
//!
//! Each test ends with [`unharmed`]: the enclave still signs, and its receipt chain has grown by
//! exactly what may grow it.
#![allow(clippy::unwrap_used)]

use serde_bytes::ByteBuf;
use serde_json::json;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::id::{KeyId, WalletId};
use strongroom_shared::path::HdPath;
use strongroom_shared::problem::Code;
use strongroom_shared::receipt::{Body, Decision, Event};
use strongroom_shared::reply::{AddressesReply, IgnoredBecause, SignReply};
use strongroom_shared::wire::{
    AddressQuery, AddressSelection, Call, HostMessage, PROTOCOL_VERSION, Phase, Reply,
};
use strongroom_tests::host::Host;
use strongroom_tests::transaction::{native, unsigned};
use strongroom_tests::world::{Ready, World, boot, expires_in};

const DEPOSIT: &str = "m/44'/60'/0'/0/7";

/// The boot's receipt and one for each wallet stand before whatever a test does.
const RECEIPTS_BEFORE: u64 = 3;

async fn addresses(host: &mut Host, wallet: &str, selection: AddressSelection) -> AddressesReply {
    let wallet = WalletId::parse(wallet).unwrap();
    match host.call(Call::Addresses(AddressQuery { wallet, selection })).await {
        Reply::Addresses(reply) => reply,
        other => panic!("expected addresses: {other:?}"),
    }
}

async fn hot_address(host: &mut Host) -> EvmAddress {
    let path = AddressSelection::Path(HdPath::parse("m/44'/60'/0'/0/0").unwrap());
    addresses(host, "hot-eth", path).await.addresses[0].address
}

/// A sweep of `nonce` that the policy allows.
async fn sweep(world: &World, host: &mut Host, id: &str, nonce: u64) -> serde_json::Value {
    let hot = hot_address(host).await;
    world.intent(id, "deposits-eth", DEPOSIT, &unsigned(&native(1, nonce, hot.0, 1_000)))
}

fn body(reply: &SignReply) -> Body {
    serde_json::from_slice(&reply.receipt.body.0).unwrap()
}

/// The enclave is up on a fresh connection, signs what is allowed, and its receipt is number
/// `sequence`: nothing else has grown the chain.
async fn unharmed(world: &World, ready: &Ready, sequence: u64) {
    let (mut host, phase) = Host::hello(&ready.running.socket).await;
    assert_eq!(phase, Phase::Ready);
    let intent = sweep(world, &mut host, "unharmed", 1_000).await;
    match host.call(world.ask(&intent, &["sweep-engine"])).await {
        Reply::Signed(reply) => assert_eq!(body(&reply).sequence, sequence),
        other => panic!("expected a signature: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_transaction_or_path_has_nobody_s_signature() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let intent = sweep(&world, &mut ready.host, "a", 0).await;
    let signed = world.signed(&intent, &["sweep-engine"]);
    let thief = unsigned(&native(1, 0, alloy::primitives::Address::repeat_byte(0x66), 1_000));
    for (field, value) in [
        ("payload", world.intent("a", "deposits-eth", DEPOSIT, &thief)["payload"].clone()),
        ("path", json!("m/44'/60'/0'/0/8")),
        ("wallet", json!("hot-eth")),
        ("expires_at", json!(expires_in(3_000))),
        ("intent_id", json!("b")),
    ] {
        let mut altered = intent.clone();
        altered[field] = value;
        let mut envelope = signed.clone();
        envelope.payload.0 = serde_json::to_vec(&altered).unwrap();
        let call = Call::Sign(serde_json::to_vec(&envelope).unwrap().into());
        let problem = ready.host.refused(call).await;
        assert_eq!(problem.code, Code::SignatureInvalid, "{field}");
        assert_eq!(problem.receipt, None, "{field}");
        assert_eq!(problem.ignored[0].reason, IgnoredBecause::DoesNotVerify);
    }
    unharmed(&world, &ready, RECEIPTS_BEFORE + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_of_another_kind_is_not_an_intent() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let act = world.creation("hot-eth");
    let as_intent = Call::Sign(serde_json::to_vec(&act).unwrap().into());
    assert_eq!(ready.host.refused(as_intent).await.code, Code::MalformedEnvelope);
    // The same bytes and signatures under another type: the type is signed too.
    let mut relabelled = act.clone();
    relabelled.payload_type = PayloadType::Intent;
    let call = Call::Sign(serde_json::to_vec(&relabelled).unwrap().into());
    assert_eq!(ready.host.refused(call).await.code, Code::CallerSignatureMissing);
    // An engine's signature creates no wallet.
    let payload = act.payload.0.clone();
    let engine = [world.principal("sweep-engine"), world.principal("withdraw-engine")];
    let forged = strongroom_tests::principal::envelope(PayloadType::WalletAct, payload, &engine);
    let call = Call::ActOnWallet(serde_json::to_vec(&forged).unwrap().into());
    assert_eq!(ready.host.refused(call).await.code, Code::AdminSignatureMissing);
    unharmed(&world, &ready, RECEIPTS_BEFORE + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_admin_is_no_quorum_and_a_name_exists_once() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let mut alone = world.creation("hot-eth");
    alone.signatures.truncate(1);
    alone.signatures.push(alone.signatures[0].clone());
    match ready.host.call(Call::ActOnWallet(serde_json::to_vec(&alone).unwrap().into())).await {
        Reply::Pending(pending) => {
            assert_eq!((pending.missing[0].need, pending.missing[0].have), (2, 1));
            assert_eq!(pending.ignored[0].reason, IgnoredBecause::Repeated);
        }
        other => panic!("expected missing approvals: {other:?}"),
    }
    // A new act for the same name, with its quorum, in another second.
    let again = json!({
        "version": 1, "act": "create_hd_wallet", "wallet": "hot-eth",
        "policy": world.policy_digest(), "expires_at": expires_in(900),
    });
    let again = world.by_admins(PayloadType::WalletAct, serde_json::to_vec(&again).unwrap());
    let call = Call::ActOnWallet(serde_json::to_vec(&again).unwrap().into());
    let problem = ready.host.refused(call).await;
    assert_eq!(problem.code, Code::WalletExists);
    assert!(problem.receipt.is_some(), "a denial leaves a receipt");
    unharmed(&world, &ready, RECEIPTS_BEFORE + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_act_again_gives_the_same_wallet() {
    let world = World::released().await;
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    boot(&mut host, world.material(None)).await;
    let act: ByteBuf = serde_json::to_vec(&world.creation("hot-eth")).unwrap().into();
    let first = host.call(Call::ActOnWallet(act.clone())).await;
    let second = host.call(Call::ActOnWallet(act)).await;
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_key_opens_only_as_what_it_is() {
    let world = World::released().await;
    let ready = world.ready().await;
    let encrypted_dek = ready.booted.encrypted_dek.clone().unwrap().into_vec();
    // A new life of the enclave, to which the host brings what it has, relabelled.
    let running = world.start().await;
    let (mut host, _) = Host::hello(&running.socket).await;
    boot(&mut host, world.material(Some(encrypted_dek))).await;
    let [hot, deposits] = [&ready.sealed[0], &ready.sealed[1]];
    let mut moved = hot.clone();
    moved.wallet = deposits.wallet.clone();
    let mut renamed = hot.clone();
    renamed.key_id = KeyId::from_random([7; 16]);
    let mut swapped = hot.clone();
    swapped.nonce = deposits.nonce.clone();
    swapped.ciphertext = deposits.ciphertext.clone();
    let mut flipped = hot.clone();
    flipped.ciphertext[0] ^= 1;
    let mut cut = hot.clone();
    cut.ciphertext.truncate(10);
    let mut elsewhere = hot.clone();
    elsewhere.dek_id = strongroom_shared::id::DekId::from_bytes([7; 32]);
    let mut short_nonce = hot.clone();
    short_nonce.nonce.truncate(8);
    for wrong in [moved, renamed, swapped, flipped, cut, elsewhere, short_nonce] {
        let problem = host.refused(Call::LoadWallet(wrong)).await;
        assert_eq!(problem.code, Code::SealedKeyRefused);
    }
    assert!(matches!(host.call(Call::Wallets).await, Reply::Wallets(open) if open.is_empty()));
    // What it was given opens, as often as the host likes, to the same addresses.
    for sealed in [hot, deposits, hot] {
        assert!(matches!(
            host.call(Call::LoadWallet(sealed.clone())).await,
            Reply::WalletLoaded(_)
        ));
    }
    let range = || AddressSelection::Range { first: 0, count: 100 };
    let (mut before, _) = Host::hello(&ready.running.socket).await;
    assert_eq!(
        addresses(&mut host, "deposits-eth", range()).await.addresses,
        addresses(&mut before, "deposits-eth", range()).await.addresses
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_frame_is_refused_and_a_replayed_intent_gives_the_identical_result() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let intent = sweep(&world, &mut ready.host, "a", 0).await;
    let frame = ready.host.frame(world.ask(&intent, &["sweep-engine"]));
    ready.host.send_raw(&frame).await;
    let first = ready.host.receive().await.unwrap();
    ready.host.send_raw(&frame).await;
    ready.host.expect_closed(Code::RequestIdReused).await;
    // The same intent on another connection, and with one more valid signature.
    for signers in [&["sweep-engine"][..], &["sweep-engine", "risk"]] {
        let (mut host, _) = Host::hello(&ready.running.socket).await;
        let again = host.call(world.ask(&intent, signers)).await;
        let strongroom_shared::wire::EnclaveMessage::Reply { reply, .. } = &first else {
            panic!("expected a reply: {first:?}");
        };
        assert_eq!(format!("{again:?}"), format!("{reply:?}"));
    }
    unharmed(&world, &ready, RECEIPTS_BEFORE + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_and_an_intent_id_are_used_once() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let hot = hot_address(&mut ready.host).await;
    let intent = sweep(&world, &mut ready.host, "a", 0).await;
    assert!(matches!(
        ready.host.call(world.ask(&intent, &["sweep-engine"])).await,
        Reply::Signed(_)
    ));
    let other = unsigned(&native(1, 0, hot.0, 2_000));
    for (id, bytes, code) in [
        ("b", &other, Code::NonceUsed),
        ("a", &unsigned(&native(1, 1, hot.0, 1)), Code::IntentIdReused),
    ] {
        let intent = world.intent(id, "deposits-eth", DEPOSIT, bytes);
        let problem = ready.host.refused(world.ask(&intent, &["sweep-engine"])).await;
        assert_eq!(problem.code, code);
        assert!(problem.receipt.is_some(), "a denial leaves a receipt");
    }
    // Nothing of the refusals is left: their names and nonces are free.
    let next = world.intent("b", "deposits-eth", DEPOSIT, &unsigned(&native(1, 1, hot.0, 1)));
    assert!(matches!(ready.host.call(world.ask(&next, &["sweep-engine"])).await, Reply::Signed(_)));
    unharmed(&world, &ready, RECEIPTS_BEFORE + 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_address_has_no_statement() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let path = AddressSelection::Path(HdPath::parse(DEPOSIT).unwrap());
    let reply = addresses(&mut ready.host, "deposits-eth", path).await;
    let nonce = vec![9; 32];
    let Reply::Attestation(attested) = ready.host.call(Call::Attest(nonce.into())).await else {
        panic!("expected a document");
    };
    let binding: strongroom_shared::attestation::Binding =
        serde_json::from_slice(&attested.binding.0).unwrap();
    let verifies = |envelope: &Envelope| {
        binding.receipt_key.verifies(&envelope.pae(), &envelope.signatures[0].sig.0)
    };
    assert!(verifies(&reply.statement));
    let genuine = reply.addresses[0].address.to_string();
    let swapped = "0x6666666666666666666666666666666666666666";
    let payload = String::from_utf8(reply.statement.payload.0.clone()).unwrap();
    for (from, to) in [(genuine.as_str(), swapped), ("deposits-eth", "hot-eth"), ("0/7", "0/8")] {
        let mut forged = reply.statement.clone();
        forged.payload.0 = payload.replace(from, to).into_bytes();
        assert_ne!(forged.payload.0, reply.statement.payload.0);
        assert!(!verifies(&forged), "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_protocol_end_their_connection_only() {
    let world = World::released().await;
    let ready = world.ready().await;
    let socket = &ready.running.socket;
    let deep = vec![0x81; 100_000];
    let mut deep_frame = u32::try_from(deep.len()).unwrap().to_be_bytes().to_vec();
    deep_frame.extend(deep);
    let cases: [(&[u8], Code); 4] = [
        (&[0xff; 64], Code::FrameTooLarge), // 4 GiB announced
        (&deep_frame, Code::FrameMalformed),
        (&[0, 0, 0, 2, 0x61], Code::FrameMalformed), // and then the end
        (&[0, 0, 0, 1, 0xff], Code::FrameMalformed),
    ];
    for (bytes, code) in cases {
        let (mut host, _) = Host::hello(socket).await;
        host.send_raw(bytes).await;
        host.finish().await;
        host.expect_closed(code).await;
    }
    // No hello, another version, two hellos.
    let mut silent = Host::connect(socket).await;
    let frame = silent.frame(Call::Wallets);
    silent.send_raw(&frame).await;
    silent.expect_closed(Code::ProtocolVersion).await;
    let mut newer = Host::connect(socket).await;
    newer.send(&HostMessage::Hello { version: PROTOCOL_VERSION + 1 }).await;
    newer.expect_closed(Code::ProtocolVersion).await;
    let (mut twice, _) = Host::hello(socket).await;
    twice.send(&HostMessage::Hello { version: PROTOCOL_VERSION }).await;
    twice.expect_closed(Code::ProtocolVersion).await;
    unharmed(&world, &ready, RECEIPTS_BEFORE + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_frame_and_silence_is_not_waited_for() {
    let world = World::released().await;
    let ready = world.ready().await;
    let (mut half, _) = Host::hello(&ready.running.socket).await;
    half.send_raw(&[0, 0, 1, 0, 1, 2, 3]).await;
    let mut mute = Host::connect(&ready.running.socket).await;
    // Others are served meanwhile.
    unharmed(&world, &ready, RECEIPTS_BEFORE + 1).await;
    half.expect_closed(Code::DeadlineExceeded).await;
    mute.expect_closed(Code::DeadlineExceeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_forgeries_leave_no_receipt() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let intent = sweep(&world, &mut ready.host, "a", 0).await;
    let mut envelope = world.signed(&intent, &["risk"]);
    envelope.signatures[0].sig.0[0] ^= 1;
    let forged: ByteBuf = serde_json::to_vec(&envelope).unwrap().into();
    let (mut answered, mut shed) = (0, 0);
    for _ in 0..100 {
        for _ in 0..100 {
            let frame = ready.host.frame(Call::Sign(forged.clone()));
            ready.host.send_raw(&frame).await;
        }
        for _ in 0..100 {
            match ready.host.receive().await {
                Some(strongroom_shared::wire::EnclaveMessage::Reply { reply, .. }) => {
                    match *reply {
                        Reply::Refused(problem) if problem.code == Code::SignatureInvalid => {
                            assert_eq!(problem.receipt, None);
                            answered += 1;
                        }
                        Reply::Refused(problem) if problem.code == Code::Overloaded => shed += 1,
                        other => panic!("expected a refusal: {other:?}"),
                    }
                }
                other => panic!("expected a reply: {other:?}"),
            }
        }
    }
    assert_eq!(answered + shed, 10_000);
    unharmed(&world, &ready, RECEIPTS_BEFORE + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_leaves_a_receipt_that_says_why() {
    let world = World::released().await;
    let mut ready = world.ready().await;
    let thief = alloy::primitives::Address::repeat_byte(0x66);
    let bytes = unsigned(&native(1, 0, thief, 1_000));
    let intent = world.intent("a", "deposits-eth", DEPOSIT, &bytes);
    let problem = ready.host.refused(world.ask(&intent, &["sweep-engine"])).await;
    assert_eq!(problem.code, Code::DestinationDenied);
    assert_eq!(problem.policy, Some(world.policy_digest()));
    let receipt = problem.receipt.unwrap();
    let body: Body = serde_json::from_slice(&receipt.body.0).unwrap();
    assert_eq!(body.sequence, RECEIPTS_BEFORE + 1);
    let Decision::Denied { code: Code::DestinationDenied, rule } = body.decision else {
        panic!("expected a denial: {:?}", body.decision);
    };
    assert_eq!(Some(rule), problem.rule);
    let Event::Sign { transactions, .. } = body.event else { panic!("expected an intent") };
    assert_eq!(transactions[0].effects.len(), 2);
    unharmed(&world, &ready, RECEIPTS_BEFORE + 2).await;
}
