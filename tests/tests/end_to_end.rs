//! The whole system through its public surfaces only: HTTP and the tool. What it signs is checked
//! with `alloy`, which the enclave signs without.
#![allow(clippy::unwrap_used)]

use alloy::consensus::transaction::SignerRecoverable as _;
use alloy::consensus::{SignableTransaction, Transaction as _, TxEip2930, TxEnvelope, TxLegacy};
use alloy::eips::Decodable2718 as _;
use alloy::primitives::{Address, Bytes, TxKind, U256};
use serde_json::Value;
use strongroom_tests::environment::{Answer, Environment};
use strongroom_tests::transaction::{USDT, erc20, native};

const DEPOSIT: &str = "m/44'/60'/0'/0/7";

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn address(environment: &Environment, wallet: &str, path: &str) -> Address {
    let answer = environment.get(&format!("/v1/wallets/{wallet}/addresses?path={path}"));
    assert_eq!(answer.status, 200);
    answer.body["addresses"][0]["address"].as_str().unwrap().parse().unwrap()
}

/// Signs an intent with the tool, and sends the envelope.
fn ask(
    environment: &Environment,
    caller: &str,
    wallet: &str,
    path: &str,
    unsigned: &[u8],
) -> Answer {
    let id = strongroom_shared::digest::Digest::of(unsigned).to_string();
    let envelope = sign_intent(environment, caller, wallet, path, &id, unsigned);
    environment.post("/v1/sign", &envelope)
}

fn sign_intent(
    environment: &Environment,
    caller: &str,
    wallet: &str,
    path: &str,
    id: &str,
    unsigned: &[u8],
) -> String {
    let (unsigned, key) = (hex(unsigned), environment.key(caller));
    environment.succeed(&[
        "intent",
        "sign",
        "--url",
        environment.url(),
        "--wallet",
        wallet,
        "--path",
        path,
        "--intent-id",
        id,
        "--unsigned",
        &unsigned,
        "--key",
        &key,
    ])
}

/// The signed transaction of an answer, decoded and recovered by `alloy`.
fn recovered(answer: &Answer) -> (TxEnvelope, Address) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let result = &answer.body["results"][0];
    for member in ["path", "from", "signed_transaction", "transaction_hash"] {
        assert_eq!(answer.body[member], result[member], "{member} stands at the top as well");
    }
    let bytes = hex::decode(&result["signed_transaction"].as_str().unwrap()[2..]).unwrap();
    let transaction = TxEnvelope::decode_2718_exact(&bytes).unwrap();
    assert_eq!(hex(transaction.tx_hash()), result["transaction_hash"]);
    let sender = transaction.recover_signer().unwrap();
    assert_eq!(sender.to_string(), result["from"].as_str().unwrap());
    (transaction, sender)
}

#[test]
fn the_story() {
    let environment = Environment::start();
    environment.create_wallets();
    let hot = address(&environment, "hot-eth", "m/44'/60'/0'/0/0");
    let deposit = address(&environment, "deposits-eth", DEPOSIT);

    // Sweeps in each type of transaction, native and of a token.
    let usdt: Address = USDT.parse().unwrap();
    let typed = native(1, 0, hot, 5_000);
    let token = erc20(1, 1, usdt, hot, 25_000_000);
    let legacy = TxLegacy {
        chain_id: Some(31337),
        nonce: 2,
        gas_price: 20_000_000_000,
        gas_limit: 21_000,
        to: TxKind::Call(hot),
        value: U256::from(7),
        input: Bytes::new(),
    };
    let listed = TxEip2930 {
        chain_id: 1,
        nonce: 3,
        gas_price: 20_000_000_000,
        gas_limit: 30_000,
        to: TxKind::Call(hot),
        value: U256::from(8),
        access_list: Default::default(),
        input: Bytes::new(),
    };
    for unsigned in [
        typed.encoded_for_signing(),
        token.encoded_for_signing(),
        legacy.encoded_for_signing(),
        listed.encoded_for_signing(),
    ] {
        let answer = ask(&environment, "sweep-engine", "deposits-eth", DEPOSIT, &unsigned);
        let (transaction, sender) = recovered(&answer);
        assert_eq!(sender, deposit);
        // Every byte that was asked for is what was signed.
        let signed_over = match &transaction {
            TxEnvelope::Legacy(signed) => signed.tx().encoded_for_signing(),
            TxEnvelope::Eip2930(signed) => signed.tx().encoded_for_signing(),
            TxEnvelope::Eip1559(signed) => signed.tx().encoded_for_signing(),
            other => panic!("unexpected type: {other:?}"),
        };
        assert_eq!(signed_over, unsigned);
    }

    // A withdrawal, to anybody.
    let customer = Address::repeat_byte(0x42);
    let unsigned = native(1, 0, customer, 9).encoded_for_signing();
    let answer = ask(&environment, "withdraw-engine", "hot-eth", "m/44'/60'/0'/0/0", &unsigned);
    let (transaction, sender) = recovered(&answer);
    assert_eq!((sender, transaction.to()), (hot, Some(customer)));

    // Receipts of a signature and of a denial, checked by the tool.
    let attestation = environment.succeed(&["attestation", "fetch", "--url", environment.url()]);
    let attestation = environment.write("attestation.json", attestation);
    let theft = native(1, 9, customer, 9).encoded_for_signing();
    let denied = ask(&environment, "sweep-engine", "deposits-eth", DEPOSIT, &theft);
    assert_eq!((denied.status, &denied.body["code"]), (412, &Value::from("destination_denied")));
    for (name, reply) in [("signed.json", &answer), ("denied.json", &denied)] {
        let reply = environment.write(name, reply.body.to_string());
        environment.succeed(&[
            "receipt",
            "verify",
            "--reply",
            &reply,
            "--attestation",
            &attestation,
            "--root",
            &environment.root(),
        ]);
    }
}

#[test]
fn refusals_are_problems_with_a_code_and_leave_nothing() {
    let environment = Environment::start();
    let unsigned = native(1, 0, Address::repeat_byte(1), 1).encoded_for_signing();
    let early = ask(&environment, "withdraw-engine", "hot-eth", "m/44'/60'/0'/0/0", &unsigned);
    assert_eq!((early.status, &early.body["code"]), (503, &Value::from("wallet_not_open")));
    environment.create_wallets();
    let hot = address(&environment, "hot-eth", "m/44'/60'/0'/0/0");
    let usdt: Address = USDT.parse().unwrap();
    let mut approve = erc20(1, 0, usdt, hot, 1);
    let mut calldata = approve.input.to_vec();
    calldata[..4].copy_from_slice(&[0x09, 0x5e, 0xa7, 0xb3]);
    approve.input = calldata.into();
    let mut costly = native(1, 0, hot, 1);
    costly.max_fee_per_gas = 2_000_000_000_000;
    let mut creation = native(1, 0, hot, 1);
    creation.to = TxKind::Create;
    let fine = native(1, 0, hot, 1);
    for (transaction, caller, wallet, path, status, code) in [
        (&approve, "sweep-engine", "deposits-eth", DEPOSIT, 412, "calldata_denied"),
        (&costly, "sweep-engine", "deposits-eth", DEPOSIT, 412, "fee_per_gas_exceeded"),
        (&creation, "sweep-engine", "deposits-eth", DEPOSIT, 412, "contract_creation_denied"),
        (&native(2, 0, hot, 1), "sweep-engine", "deposits-eth", DEPOSIT, 412, "chain_denied"),
        (&fine, "sweep-engine", "deposits-eth", "m/44'/60'/1'/0/7", 412, "path_denied"),
        (&fine, "withdraw-engine", "hot-eth", "m/44'/60'/0'/0/1", 412, "path_denied"),
        (&fine, "withdraw-engine", "deposits-eth", DEPOSIT, 401, "caller_signature_missing"),
        (&fine, "policy-admin-1", "deposits-eth", DEPOSIT, 401, "caller_signature_missing"),
        (&fine, "sweep-engine", "no-such-wallet", DEPOSIT, 404, "unknown_wallet"),
    ] {
        let unsigned = transaction.encoded_for_signing();
        let answer = ask(&environment, caller, wallet, path, &unsigned);
        assert_eq!((answer.status, answer.body["code"].as_str().unwrap()), (status, code));
        assert_eq!(answer.content_type, "application/problem+json");
        assert_eq!(answer.body["signed_transaction"], Value::Null);
        // A denial has a receipt; what nobody known stands behind has none.
        assert_eq!(answer.body["receipt"].is_object(), status == 412, "{code}");
    }
    // The nonce and the path of all these refusals are free.
    let unsigned = fine.encoded_for_signing();
    recovered(&ask(&environment, "sweep-engine", "deposits-eth", DEPOSIT, &unsigned));
    // What is no canonical transaction at all.
    let trailing = [&unsigned[..], &[0]].concat();
    for unsigned in [&unsigned[..unsigned.len() - 1], &trailing, &[0x05, 0xc0]] {
        let answer = ask(&environment, "sweep-engine", "deposits-eth", DEPOSIT, unsigned);
        let code = answer.body["code"].as_str();
        assert_eq!((answer.status, code), (400, Some("malformed_transaction")));
    }
}

#[test]
fn the_same_envelope_again_gives_the_stored_result() {
    let environment = Environment::start();
    environment.create_wallets();
    let hot = address(&environment, "hot-eth", "m/44'/60'/0'/0/0");
    let unsigned = native(1, 0, hot, 1).encoded_for_signing();
    let envelope =
        sign_intent(&environment, "sweep-engine", "deposits-eth", DEPOSIT, "once", &unsigned);
    let first = environment.post("/v1/sign", &envelope);
    let second = environment.post("/v1/sign", &envelope);
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(first.body, second.body);
    let other = native(1, 0, hot, 2).encoded_for_signing();
    for (id, unsigned, code) in [
        ("another", &other, "nonce_used"),
        ("once", &native(1, 1, hot, 1).encoded_for_signing(), "intent_id_reused"),
    ] {
        let envelope =
            sign_intent(&environment, "sweep-engine", "deposits-eth", DEPOSIT, id, unsigned);
        let answer = environment.post("/v1/sign", &envelope);
        assert_eq!((answer.status, answer.body["code"].as_str()), (409, Some(code)));
    }
}

#[test]
fn addresses_survive_a_killed_enclave_and_a_restarted_proxy() {
    let mut environment = Environment::start();
    environment.create_wallets();
    let range = "/v1/wallets/deposits-eth/addresses?first=0&count=100";
    let before = environment.get(range).body["addresses"].clone();
    assert_eq!(before.as_array().unwrap().len(), 100);

    environment.kill_child("strongroom-mock-enclave");
    // Until it is back, nobody is told anything but 503.
    let mut seen = 0;
    for _ in 0..200 {
        let answer = environment.get("/readyz");
        if answer.status == 503 {
            seen += 1;
            assert_eq!(answer.content_type, "application/problem+json");
        } else if seen > 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(seen > 0, "the death of the enclave was not noticed");
    environment.until_ready();
    assert_eq!(environment.get(range).body["addresses"], before);

    environment.stop();
    environment.run();
    assert_eq!(environment.get(range).body["addresses"], before);
    let verified = [
        "addresses",
        "verify",
        "--url",
        environment.url(),
        "--wallet",
        "deposits-eth",
        "--first",
        "0",
        "--count",
        "100",
        "--root",
        &environment.root(),
    ];
    environment.succeed(&verified);
}

#[test]
fn the_tool_finds_a_swapped_address() {
    let environment = Environment::start();
    environment.create_wallets();
    let root = environment.root();
    let nonce = "00112233445566778899aabbccddeeff";
    let reply = environment.succeed(&[
        "addresses",
        "list",
        "--url",
        environment.url(),
        "--wallet",
        "deposits-eth",
        "--first",
        "0",
        "--count",
        "5",
    ]);
    let attestation = environment.succeed(&[
        "attestation",
        "fetch",
        "--url",
        environment.url(),
        "--nonce",
        nonce,
    ]);
    let attestation = environment.write("attestation.json", attestation);
    let verify = |name: &str, reply: &str, wallet: &str, nonce: &str| {
        let reply = environment.write(name, reply);
        environment.tool(&[
            "addresses",
            "verify",
            "--reply",
            &reply,
            "--attestation",
            &attestation,
            "--wallet",
            wallet,
            "--nonce",
            nonce,
            "--root",
            &root,
        ])
    };
    let genuine = verify("genuine.json", &reply, "deposits-eth", nonce);
    assert!(genuine.status.success(), "{}", String::from_utf8_lossy(&genuine.stderr));
    let json: Value = serde_json::from_str(&reply).unwrap();
    let first = json["addresses"][0]["address"].as_str().unwrap();
    let swapped = reply.replace(first, "0x6666666666666666666666666666666666666666");
    let other_nonce = nonce.replace("00", "01");
    for (name, reply, wallet, nonce) in [
        ("swapped.json", swapped.as_str(), "deposits-eth", nonce),
        ("wallet.json", &reply, "hot-eth", nonce),
        ("stale.json", &reply, "deposits-eth", &other_nonce),
    ] {
        assert_eq!(verify(name, reply, wallet, nonce).status.code(), Some(1), "{name}");
    }
}

#[test]
fn the_public_documents_have_the_shapes_that_callers_expect() {
    let environment = Environment::start();
    environment.create_wallets();
    assert_eq!(environment.get("/healthz").status, 200);
    let policy = environment.get("/v1/policy");
    let payload = policy.body["envelope"]["payload"].as_str().unwrap();
    let payload = strongroom_shared::encoding::Base64::parse(payload).unwrap();
    let digest = strongroom_shared::digest::Digest::of(&payload.0).to_string();
    assert_eq!(policy.body["digest"], digest.as_str());
    let attestation = environment.get("/v1/attestation?nonce=00112233445566778899aabbccddeeff");
    assert!(attestation.body["document"].is_string() && attestation.body["binding"].is_string());
    let wallets = environment.get("/v1/wallets");
    assert_eq!(wallets.body["wallets"].as_array().unwrap().len(), 2);
    for (path, status, code) in [
        ("/v1/attestation?nonce=0011", 400, "malformed_request"),
        ("/v1/wallets/deposits-eth/addresses", 400, "malformed_request"),
        ("/v1/wallets/deposits-eth/addresses?first=0&count=1001", 400, "malformed_request"),
        ("/v1/wallets/deposits-eth/addresses?path=m/44'/60'/0'/0/01", 400, "malformed_request"),
        ("/v1/wallets/deposits-eth/addresses?path=m/44'/60'/1'/0/0", 412, "path_denied"),
        ("/v1/wallets/nobody/addresses?first=0&count=1", 404, "unknown_wallet"),
        ("/v1/nothing", 404, "not_found"),
        ("/v1/sign", 405, "method_not_allowed"),
    ] {
        let answer = environment.get(path);
        assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{path}");
    }
}
