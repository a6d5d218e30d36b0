//! Nothing secret is in anything that the host sees: every file, every log, every answer of a run
//! is searched for the DEK and the seeds of that run.
//!
//! The test can know them, because it owns the KMS: it decrypts the DEK itself, and opens the
//! sealed seeds by the written format, with another implementation of HKDF and AES-GCM than the
//! enclave's.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use strongroom_attestation::UnixTime;
use strongroom_host_proxy::store::Store;
use strongroom_mock::kms::LocalKms;
use strongroom_mock::kms::client::Client;
use strongroom_mock::pki::MockPki;
use strongroom_shared::encoding::Base64;
use strongroom_shared::wire::SealedKey;
use strongroom_tests::environment::Environment;
use strongroom_tests::transaction::{native, unsigned};

/// HKDF-SHA-256 (RFC 5869) with an empty salt and 32 bytes of output.
fn hkdf(secret: &[u8], info: &[u8]) -> Vec<u8> {
    let extract = hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]);
    let prk = hmac::sign(&extract, secret);
    let expand = hmac::Key::new(hmac::HMAC_SHA256, prk.as_ref());
    hmac::sign(&expand, &[info, &[1]].concat()).as_ref().to_vec()
}

fn decrypt_dek(environment: &Environment, encrypted: Vec<u8>) -> Vec<u8> {
    let dir = environment.dir();
    let (kms, nsm) = (dir.join("mock/kms"), dir.join("mock/nsm"));
    let made = strongroom_mock::kms::init(&kms, "eu-central-1", None).unwrap();
    let open = json!({
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": made.admin_role}, "Action": "kms:*",
            "Resource": "*",
        }],
    });
    let key_arn = strongroom_mock::kms::set_policy(&kms, &open.to_string()).unwrap();
    let configuration = std::fs::read_to_string(dir.join("enclave.toml")).unwrap();
    let deployment = configuration
        .lines()
        .find_map(|line| line.strip_prefix("deployment = \""))
        .and_then(|rest| rest.split('"').next())
        .unwrap()
        .to_owned();
    let request = json!({
        "KeyId": key_arn.as_str(), "CiphertextBlob": Base64(encrypted),
        "EncryptionContext": {
            "strongroom:deployment": deployment, "strongroom:purpose": "dek",
        },
    });
    let anchor = MockPki::load(&nsm).unwrap().trust_anchor().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = UnixTime::since_unix_epoch(now);
    let local = LocalKms::open(&kms, anchor).unwrap();
    let admin = Client::new(&kms, &made.admin_role).unwrap();
    let reply = admin.ask(&local, "Decrypt", &request, now).unwrap();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let reply: Value = serde_json::from_slice(&reply.body).unwrap();
    Base64::parse(reply["Plaintext"].as_str().unwrap()).unwrap().0
}

/// Opens a sealed seed by the format that `docs/formats.md` writes down.
fn open_seed(dek: &[u8], sealed: &SealedKey) -> Vec<u8> {
    let mut aad = b"strongroom-sealed-key-v1\0".to_vec();
    let dek_id = sealed.dek_id.to_string();
    for part in [sealed.key_id.as_str(), "hd_seed", sealed.wallet.as_str(), &dek_id] {
        aad.push(u8::try_from(part.len()).unwrap());
        aad.extend(part.as_bytes());
    }
    let key = UnboundKey::new(&AES_256_GCM, &hkdf(dek, b"strongroom-seal-wallets-v1")).unwrap();
    let nonce = Nonce::try_assume_unique_for_key(&sealed.nonce).unwrap();
    let mut ciphertext = sealed.ciphertext.to_vec();
    let key = LessSafeKey::new(key);
    key.open_in_place(nonce, Aad::from(aad), &mut ciphertext).unwrap().to_vec()
}

/// What the proxy has in store: the DEK as KMS encrypted it, and the sealed keys.
fn stored(environment: &Environment) -> (Vec<u8>, Vec<SealedKey>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let path = environment.dir().join("strongroom.sqlite");
        let store = Store::open(&path).await.unwrap();
        let dek = store.newest_dek().await.unwrap().unwrap();
        let sealed = store.sealed_keys().await.unwrap();
        store.close().await;
        (dek, sealed)
    })
}

/// Every file below `dir` but the KMS's own state, which is where the KEK is.
fn files(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn nothing_secret_is_written_or_answered() {
    let mut environment = Environment::start();
    environment.create_wallets();
    let mut written = Vec::new();
    let addresses = environment.get("/v1/wallets/hot-eth/addresses?path=m/44'/60'/0'/0/0");
    let hot = addresses.body["addresses"][0]["address"].as_str().unwrap().parse().unwrap();
    let thief = alloy::primitives::Address::repeat_byte(0x66);
    for (nonce, to) in [(0, hot), (1, thief)] {
        let transaction = hex::encode(unsigned(&native(1, nonce, to, 1)));
        let envelope = environment.succeed(&[
            "intent",
            "sign",
            "--url",
            environment.url(),
            "--wallet",
            "deposits-eth",
            "--path",
            "m/44'/60'/0'/0/7",
            "--intent-id",
            &nonce.to_string(),
            "--unsigned",
            &format!("0x{transaction}"),
            "--key",
            &environment.key("sweep-engine"),
        ]);
        let answer = environment.post("/v1/sign", &envelope);
        written.push((format!("answer {nonce}"), answer.body.to_string().into_bytes()));
    }
    for path in [
        "/v1/wallets",
        "/v1/policy",
        "/v1/wallets/deposits-eth/addresses?first=0&count=10",
        "/v1/attestation?nonce=00112233445566778899aabbccddeeff",
    ] {
        written.push((path.to_owned(), environment.get(path).body.to_string().into_bytes()));
    }
    // A boot that opens what was sealed, and one that fails.
    environment.kill_child("strongroom-mock-enclave");
    std::thread::sleep(Duration::from_millis(200));
    environment.until_ready();
    environment.stop();

    let (encrypted_dek, sealed) = stored(&environment);
    let dek = decrypt_dek(&environment, encrypted_dek);
    assert_eq!(dek.len(), 32);
    assert_eq!(sealed.len(), 2);
    let mut secrets = vec![("the DEK".to_owned(), dek.clone())];
    secrets.push(("the sealing key".into(), hkdf(&dek, b"strongroom-seal-wallets-v1")));
    for key in &sealed {
        let seed = open_seed(&dek, key);
        assert_eq!(seed.len(), 32);
        secrets.push((format!("the seed of {}", key.wallet), seed));
    }

    files(environment.dir().parent().unwrap(), &mut written);
    assert!(written.iter().any(|(name, _)| name.ends_with("strongroom.sqlite")));
    let log = written.iter().find(|(name, _)| name.ends_with("proxy.log")).unwrap();
    assert!(!log.1.is_empty(), "the log was captured");
    for (what, secret) in &secrets {
        for (name, content) in &written {
            for spelling in spellings(secret) {
                let found = content.windows(spelling.len()).any(|window| window == spelling);
                assert!(!found, "{what} stands in {name}");
            }
        }
    }
    // The search finds what is there.
    let (_, database) =
        written.iter().find(|(name, _)| name.ends_with("strongroom.sqlite")).unwrap();
    let control = Base64(sealed[0].ciphertext.to_vec()).to_string();
    assert!(database.windows(control.len()).any(|window| window == control.as_bytes()));
}

/// Raw, hex in both cases, and base64 at each of its three alignments.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut spellings = vec![
        secret.to_vec(),
        hex::encode(secret).into_bytes(),
        hex::encode_upper(secret).into_bytes(),
    ];
    for skip in 0..3 {
        let whole = (secret.len() - skip) / 3 * 3;
        spellings.push(Base64(secret[skip..skip + whole].to_vec()).to_string().into_bytes());
    }
    // As a list of decimal numbers: what a derived `Debug` would print.
    let numbers: Vec<String> = secret.iter().map(u8::to_string).collect();
    spellings.push(numbers.join(", ").into_bytes());
    spellings
}
