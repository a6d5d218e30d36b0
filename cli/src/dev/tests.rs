#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use strongroom_attestation::measure;
use strongroom_policy::Policy;
use strongroom_shared::dsse::{Envelope, PayloadType};

use super::environment::Environment;
use super::*;
use crate::key::SigningKey;

/// Stand-ins for the helper programs, which print what the real ones print.
fn programs(folder: &Path) {
    let pcr = "ab".repeat(48);
    let mock = format!(
        "echo PEM > \"$3/root.pem\"\n\
         printf '{{\"root\":\"%s\",\"pcr0\":\"{pcr}\",\"pcr1\":\"{pcr}\",\"pcr2\":\"{pcr}\"}}\\n' \"$3/root.pem\""
    );
    let kms = "case $1 in\n\
        init) echo CERTIFICATE > \"$3/ca.pem\"\n\
        printf '{\"key_arn\":\"arn:aws:kms:eu-central-1:000000000000:key/1\",\"ca\":\"%s\"}\\n' \"$3/ca.pem\";;\n\
        set-policy) cp \"$5\" \"$3/installed.json\";;\n\
        esac";
    program(folder, "strongroom-mock-enclave", &mock);
    program(folder, "strongroom-local-kms", kms);
}

fn program(folder: &Path, name: &str, body: &str) {
    let file = folder.join(name);
    fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
}

fn listen() -> SocketAddr {
    "127.0.0.1:8480".parse().unwrap()
}

#[test]
fn an_environment_is_complete_and_private() {
    let folder = tempfile::tempdir().unwrap();
    programs(folder.path());
    let dir = folder.path().join("env");
    let environment = Environment::create(&dir).unwrap().with_programs(folder.path());
    let measurements = environment.init(listen(), Some(4443)).unwrap();

    let policy = fs::read(dir.join("policy.json")).unwrap();
    let parsed = Policy::parse(&policy).unwrap();
    let envelope = fs::read(dir.join("policy.dsse.json")).unwrap();
    let envelope = Envelope::parse(PayloadType::Policy, &envelope).unwrap();
    assert_eq!(envelope.digest(), *parsed.digest());
    for signature in &envelope.signatures {
        let file = dir.join(format!("keys/{}.pem", signature.keyid));
        let key = SigningKey::read(&file).unwrap().public().unwrap();
        assert!(key.verifies(&envelope.pae(), &signature.sig.0));
    }
    assert_eq!(envelope.signatures.len(), 2);
    assert_eq!(fs::read_dir(dir.join("keys")).unwrap().count(), 8);

    let text = fs::read_to_string(dir.join("enclave.toml")).unwrap();
    let enclave: toml::Table = text.parse().unwrap();
    assert_eq!(enclave["kms"]["tls_roots"].as_str(), Some("CERTIFICATE\n"));
    assert_eq!(enclave["kms"]["region"].as_str(), Some("eu-central-1"));
    assert_eq!(enclave["policy_admins"]["threshold"].as_integer(), Some(2));
    assert_eq!(enclave["policy_admins"]["keys"].as_array().unwrap().len(), 3);
    let proxy: toml::Table = fs::read_to_string(dir.join("proxy.toml")).unwrap().parse().unwrap();
    assert_eq!(proxy["relay"]["target"].as_str(), Some("127.0.0.1:4443"));

    assert_eq!(measurements.pcr16, measure::extend_from_zero(text.as_bytes()));
    assert_eq!(measurements.pcr17, measure::extend_from_zero(&policy));
    let installed = fs::read(dir.join("mock/kms/installed.json")).unwrap();
    let installed: serde_json::Value = serde_json::from_slice(&installed).unwrap();
    let condition = &installed["Statement"][0]["Condition"]["StringEqualsIgnoreCase"];
    assert_eq!(condition["kms:RecipientAttestation:PCR17"], measurements.pcr17.to_string());
    assert_eq!(condition["kms:RecipientAttestation:ImageSha384"], "ab".repeat(48));

    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("run"), mode("keys/rule.pem")), (0o700, 0o700, 0o600));
    assert_eq!(mode("proxy.toml"), 0o600);

    // an edited policy is signed and measured anew; one that is no policy is not
    let edited = String::from_utf8(policy).unwrap().replace("500000", "400000");
    fs::write(dir.join("policy.json"), &edited).unwrap();
    let updated = environment.update().unwrap();
    assert_eq!(updated.pcr17, measure::extend_from_zero(edited.as_bytes()));
    assert_eq!((updated.pcr0, updated.pcr16), (measurements.pcr0, measurements.pcr16));
    fs::write(dir.join("policy.json"), "{}").unwrap();
    let refused = environment.update().unwrap_err().to_string();
    assert!(refused.starts_with("step policy: policy: missing field"), "{refused}");
}

#[test]
fn a_folder_with_something_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let refused = Environment::create(folder.path()).err().unwrap();
    assert!(matches!(refused, Error::Dev(DevError::NotEmpty { .. })));
}

#[test]
fn a_path_too_long_for_sockets_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Environment::create(&folder.path().join("a".repeat(100))).err().unwrap();
    assert!(matches!(refused, Error::Dev(DevError::Path { .. })));
}

#[test]
fn a_failure_names_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str| {
        let dir = folder.path().join(name);
        let environment = Environment::create(&dir).unwrap().with_programs(folder.path());
        environment.init(listen(), None).unwrap_err().to_string()
    };
    assert!(refused("none").starts_with("step mock nsm: "), "{}", refused("none"));
    programs(folder.path());
    program(folder.path(), "strongroom-local-kms", "echo 'error: the disk is full' >&2; exit 1");
    let expected = "step local kms: strongroom-local-kms failed: error: the disk is full";
    assert_eq!(refused("failed"), expected);
    let arn = r#"init) printf '{"key_arn":"key","ca":"%s/ca.pem"}' "$3"; echo x > "$3/ca.pem";;"#;
    program(folder.path(), "strongroom-local-kms", &format!("case $1 in {arn} esac"));
    assert!(refused("arn").contains("key_arn: expected arn:aws:kms"));
    program(folder.path(), "strongroom-local-kms", "echo hello");
    let found = refused("answer");
    assert!(found.contains("expected one line of json from strongroom-local-kms"), "{found}");
}

#[test]
fn plain_http_is_for_loopback() {
    assert!(parse_loopback("127.0.0.1:8480").is_ok());
    assert!(parse_loopback("[::1]:8480").is_ok());
    for wrong in ["0.0.0.0:8480", "10.0.0.1:8480", "127.0.0.1:0", "localhost:8480", "8480"] {
        assert!(parse_loopback(wrong).is_err(), "{wrong}");
    }
}
