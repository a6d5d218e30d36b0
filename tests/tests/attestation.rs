//! `strongroom attestation` against the running system: documents of the mock NSM, fetched over HTTP.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use strongroom_shared::encoding::Base64;
use strongroom_tests::environment::Environment;

/// Runs `strongroom attestation verify … --json`: its exit code, and what it says.
fn verify(environment: &Environment, arguments: &[&str]) -> (i32, Value) {
    let command = [&["attestation", "verify", "--json"], arguments].concat();
    let output = environment.tool(&command);
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.code().unwrap(), said)
}

fn says(said: &Value, list: &str, words: &str) -> bool {
    said[list].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains(words))
}

#[test]
fn a_service_is_asked_with_a_nonce_of_ones_own() {
    let environment = Environment::start();
    let (url, root) = (environment.url().to_owned(), environment.root());
    let online = ["--url", &url, "--root", &root];

    let (code, said) = verify(&environment, &online);
    assert_eq!(code, 0, "{said}");
    assert_eq!(said["valid"], true);
    assert!(said["binding"]["boot_id"].is_string());
    assert_eq!(said["nonce"].as_str().unwrap().len(), 64);
    assert!(says(&said, "proven", "fresh"), "{said}");
    assert!(says(&said, "not_proven", "which image"), "{said}");

    // the registers are those that the environment was made for
    let file = std::fs::read(environment.dir().join("measurements.json")).unwrap();
    let measured: Value = serde_json::from_slice(&file).unwrap();
    let pcr = |index: u16| format!("{index}={}", measured[format!("pcr{index}")].as_str().unwrap());
    let (image, configuration, policy) = (pcr(0), pcr(16), pcr(17));
    let exact = ["--pcr", &image, "--pcr", &configuration, "--pcr", &policy, "--max-age", "1m"];
    let (code, said) = verify(&environment, &[&online[..], &exact[..]].concat());
    assert_eq!((code, &said["not_proven"]), (0, &Value::Array(vec![])), "{said}");

    let other = format!("0={}", measured["pcr16"].as_str().unwrap());
    let (code, said) = verify(&environment, &[&online[..], &["--pcr", &other]].concat());
    assert_eq!((code, &said["step"]), (1, &Value::from(12)), "{said}");

    // nobody of AWS vouches for a mock
    let (code, said) = verify(&environment, &["--url", &url]);
    assert_eq!((code, &said["step"], &said["module_id"]), (1, &Value::from(4), &Value::Null));
}

#[test]
fn a_file_proves_what_its_reader_knows() {
    let environment = Environment::start();
    let root = environment.root();
    let (nonce, other) = ("ab".repeat(32), "cd".repeat(32));
    let fetched = environment.succeed(&[
        "attestation",
        "fetch",
        "--url",
        environment.url(),
        "--nonce",
        &nonce,
    ]);
    let file = environment.write("attestation.json", &fetched);
    let (code, said) = verify(&environment, &[&file, "--root", &root, "--nonce", &nonce]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = verify(&environment, &[&file, "--root", &root, "--nonce", &other]);
    assert_eq!((code, &said["step"]), (1, &Value::from(14)), "{said}");

    // the binding is another than the document says
    let mut changed: Value = serde_json::from_str(&fetched).unwrap();
    let mut binding: Value =
        serde_json::from_slice(&Base64::parse(changed["binding"].as_str().unwrap()).unwrap().0)
            .unwrap();
    binding["dek_id"] = Value::from("00".repeat(32));
    changed["binding"] = Value::from(Base64(serde_json::to_vec(&binding).unwrap()).to_string());
    let file = environment.write("changed.json", changed.to_string());
    let (code, said) = verify(&environment, &[&file, "--root", &root]);
    assert_eq!((code, &said["step"], &said["binding"]), (1, &Value::from(16), &Value::Null));

    // the document alone
    let document = environment.write("document", changed["document"].as_str().unwrap());
    let (code, said) = verify(&environment, &[&document, "--root", &root]);
    assert_eq!((code, &said["binding"]), (0, &Value::Null), "{said}");
    assert!(says(&said, "not_proven", "binding"), "{said}");
}
