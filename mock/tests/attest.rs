//! The program `strongroom-mock-enclave attest`.
#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Command, Output},
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use strongroom_attestation::{
    UnixTime, cms::RecipientKey, document::UnverifiedDocument, measure::extend_from_zero,
    verify::VerifiedDocument,
};
use strongroom_mock::{nsm::image_measurements, pki::MockPki};

fn attest(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom-mock-enclave"));
    command.args(["attest", "--image", "label", "--dir"]).arg(dir).current_dir(dir);
    command.args(["--public-key", "key.der"]).args(arguments).output().unwrap()
}

fn verified(dir: &Path, arguments: &[&str]) -> VerifiedDocument {
    let output = attest(dir, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document = STANDARD.decode(output.stdout.trim_ascii_end()).unwrap();
    let anchor = MockPki::load(dir).unwrap().trust_anchor().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = UnixTime::since_unix_epoch(now);
    UnverifiedDocument::parse(&document).unwrap().verify(&anchor, now).unwrap()
}

fn folder() -> (tempfile::TempDir, RecipientKey) {
    let dir = tempfile::tempdir().unwrap();
    MockPki::init(dir.path()).unwrap();
    let key = RecipientKey::generate().unwrap();
    std::fs::write(dir.path().join("key.der"), key.public_key_der()).unwrap();
    std::fs::write(dir.path().join("enclave.toml"), b"configuration\n").unwrap();
    std::fs::write(dir.path().join("policy.json"), b"{}").unwrap();
    (dir, key)
}

#[test]
fn the_document_is_that_of_an_enclave_with_these_files() {
    let (dir, key) = folder();
    let files = ["--config", "enclave.toml", "--policy", "policy.json"];
    let members = ["--nonce", "00ff", "--user-data", "abcd"];
    let document = verified(dir.path(), &[files, members].concat());
    let pcr = |index| document.pcrs().get(&index).copied();
    let [pcr0, ..] = image_measurements("label");
    assert_eq!(pcr(0), Some(pcr0));
    assert_eq!(pcr(16), Some(extend_from_zero(b"configuration\n")));
    assert_eq!(pcr(17), Some(extend_from_zero(b"{}")));
    assert_eq!(document.public_key(), Some(key.public_key_der()));
    assert_eq!(document.nonce(), Some([0, 0xff].as_slice()));
    assert_eq!(document.user_data(), Some([0xab, 0xcd].as_slice()));
}

#[test]
fn what_is_not_given_is_not_in_the_document() {
    let (dir, _) = folder();
    let document = verified(dir.path(), &[]);
    assert_eq!(document.pcrs().get(&16), None);
    assert_eq!(document.pcrs().get(&17), None);
    assert_eq!((document.nonce(), document.user_data()), (None, None));
}

#[test]
fn what_no_nsm_takes_is_refused() {
    let (dir, _) = folder();
    let long = "00".repeat(513);
    for arguments in [["--nonce", "0g"], ["--nonce", "0"], ["--nonce", &long]] {
        assert!(!attest(dir.path(), &arguments).status.success(), "{arguments:?}");
    }
    std::fs::write(dir.path().join("key.der"), [0; 1025]).unwrap();
    assert!(!attest(dir.path(), &[]).status.success(), "a public key of 1025 bytes");
    std::fs::remove_file(dir.path().join("key.der")).unwrap();
    let output = attest(dir.path(), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("key.der"));
}
