#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use strongroom_attestation::key_policy::{Changes, Measurements, Releases, RoleArn, Rules, lint};
use strongroom_attestation::measure;
use strongroom_policy::Policy;
use strongroom_shared::dsse::{Envelope, PayloadType};

use super::environment::Environment;
use super::*;
use crate::key::SigningKey;

const ADMIN: &str = "arn:aws:iam::111122223333:role/strongroom-key-admin";

/// Stand-ins for the helper programs, which print what the real ones print.
fn programs(folder: &Path) {
    let pcr = "ab".repeat(48);
    let mock = format!(
        "echo PEM > \"$3/root.pem\"\n\
         printf '{{\"root\":\"%s\",\"pcr0\":\"{pcr}\",\"pcr1\":\"{pcr}\",\"pcr2\":\"{pcr}\"}}\\n' \"$3/root.pem\""
    );
    let kms = "case $1 in\n\
        init) echo CERTIFICATE > \"$3/ca.pem\"\n\
        printf '{\"key_arn\":\"arn:aws:kms:eu-central-1:111122223333:key/1\",\"ca\":\"%s\",' \"$3/ca.pem\"\n\
        printf '\"enclave_role\":\"arn:aws:iam::111122223333:role/strongroom-enclave\",'\n\
        printf '\"admin_role\":\"arn:aws:iam::111122223333:role/strongroom-key-admin\",'\n\
        printf '\"enclave_credentials\":\"%s/enclave\",\"admin_credentials\":\"%s/admin\"}\\n' \"$3\" \"$3\";;\n\
        set-policy) test \"$6\" = --key-id || exit 1\n\
        cp \"$5\" \"$3/installed.json\"; cp \"$5\" \"$3/${7##*/}.json\";;\n\
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
    assert_eq!(proxy["relay"][0]["target"].as_str(), Some("127.0.0.1:4443"));

    assert_eq!(measurements.pcr16, measure::extend_from_zero(text.as_bytes()));
    assert_eq!(measurements.pcr17, measure::extend_from_zero(&policy));
    let credentials = dir.canonicalize().unwrap().join("mock/kms/enclave");
    assert_eq!(proxy["credentials"]["source"].as_str(), Some("file"));
    assert_eq!(proxy["credentials"]["path"].as_str(), credentials.to_str());
    assert_eq!(enclave["kms"]["key_policy"]["changes"].as_str(), Some("break-glass"));
    let roles = fs::read(dir.join("roles.json")).unwrap();
    let roles: serde_json::Value = serde_json::from_slice(&roles).unwrap();
    assert_eq!(roles["admin_role"], ADMIN);
    let admins = enclave["kms"]["key_policy"]["admin_roles"].as_array().unwrap();
    assert_eq!(admins.as_slice(), [toml::Value::from(ADMIN)]);
    assert_eq!(releases(&dir, Changes::BreakGlass, &[measurements]), 2);
    assert_eq!(measurements.pcr0.to_string(), "ab".repeat(48));

    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("run"), mode("keys/rule.pem")), (0o700, 0o700, 0o600));
    assert_eq!(mode("proxy.toml"), 0o600);

    // an edited policy is signed and measured anew; one that is no policy is not
    let edited = String::from_utf8(policy).unwrap().replace("500000", "400000");
    fs::write(dir.join("policy.json"), &edited).unwrap();
    let updated = environment.update().unwrap().measurements;
    assert_eq!(updated.pcr17, measure::extend_from_zero(edited.as_bytes()));
    assert_eq!((updated.pcr0, updated.pcr16), (measurements.pcr0, measurements.pcr16));
    assert_eq!(releases(&dir, Changes::BreakGlass, &[updated]), 2);
    // the key policy follows the configuration
    let also = serde_json::to_string(&measurements).unwrap().replace("\":", "\"=");
    let update = |rules: &str| {
        let text = text.replace("changes = \"break-glass\"", rules);
        fs::write(dir.join("enclave.toml"), &text).unwrap();
        environment.update().map(|updated| updated.measurements)
    };
    let both = format!("changes = \"break-glass\"\nalso_releases_to = [{also}]");
    let updated = update(&both).unwrap();
    assert_eq!(releases(&dir, Changes::BreakGlass, &[updated, measurements]), 4);
    let updated = update("changes = \"immutable\"").unwrap();
    assert_eq!(releases(&dir, Changes::Immutable, &[updated]), 2);
    let refused = update(&both.replace("break-glass", "immutable")).unwrap_err().to_string();
    assert!(refused.starts_with("step key policy: releases: expected the same"), "{refused}");
    let broken =
        [("[kms.key_policy]", "[kms.other]"), ("admin_roles", "roles"), ("key_arn", "key")];
    for (from, to) in broken {
        fs::write(dir.join("enclave.toml"), text.replace(from, to)).unwrap();
        let refused = environment.update().err().unwrap().to_string();
        assert!(refused.starts_with("enclave.toml: kms: expected key_arn, "), "{refused}");
    }
    let nobody = text.replace(&format!("\"{ADMIN}\""), "");
    assert_ne!(nobody, text);
    fs::write(dir.join("enclave.toml"), nobody).unwrap();
    let refused = environment.update().err().unwrap().to_string();
    assert_eq!(refused, "step key policy: admin roles: expected at least one");
    let others = text.replace("strongroom-key-admin", "other-admin");
    fs::write(dir.join("enclave.toml"), others).unwrap();
    environment.update().unwrap();
    let installed = fs::read_to_string(dir.join("mock/kms/installed.json")).unwrap();
    assert!(installed.contains("role/other-admin") && !installed.contains(ADMIN));
    fs::write(dir.join("policy.json"), "{}").unwrap();
    let refused = environment.update().err().unwrap().to_string();
    assert!(refused.starts_with("step policy: policy: missing field"), "{refused}");
}

#[test]
fn the_key_policy_is_put_on_the_key_that_the_configuration_names() {
    const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/";
    let folder = tempfile::tempdir().unwrap();
    programs(folder.path());
    let dir = folder.path().join("env");
    let environment = Environment::create(&dir).unwrap().with_programs(folder.path());
    let first = environment.init(listen(), None).unwrap();
    let text = fs::read_to_string(dir.join("enclave.toml")).unwrap();
    assert!(text.contains("`strongroom dev update DIR`, and restart the proxy.\n"), "{text}");
    let update = |from: &str, to: &str| {
        assert!(text.contains(from));
        fs::write(dir.join("enclave.toml"), text.replace(from, to)).unwrap();
        let updated = environment.update()?;
        let mut said = Vec::new();
        updated.say(&mut said).unwrap();
        Ok::<_, Error>((updated.measurements, String::from_utf8(said).unwrap()))
    };
    let policy = |key: &str| fs::read_to_string(dir.join(format!("mock/kms/{key}.json"))).unwrap();
    let before = policy("1");

    let (measured, said) = update("key/1", "key/2").unwrap();
    assert_eq!(policy("1"), before);
    assert!(policy("2").contains(&measured.pcr16.to_string()));
    assert!(said.contains(&format!("put the key policy on {ARN}2\n")), "{said}");
    assert!(said.contains("restart the proxy: ") && !said.contains("previous"), "{said}");

    // the kek changes: each of the two keys has a policy for this configuration
    let arns = format!("key_arn = \"{ARN}1\"");
    let moving = format!("key_arn = \"{ARN}2\"\nprevious_key_arn = \"{ARN}1\"");
    let also = serde_json::to_string(&first).unwrap().replace("\":", "\"=");
    let rules = format!("changes = \"break-glass\"\nalso_releases_to = [{also}]");
    let edited = text.replace(&arns, &moving).replace("changes = \"break-glass\"", &rules);
    let (measured, said) = update(&text, &edited).unwrap();
    let admins = [RoleArn::parse(ADMIN).unwrap()];
    let findings = |key: &str, to: &[Measurements], kek_change| {
        let releases = Releases::Exactly(to);
        let changes = Changes::BreakGlass;
        lint(&policy(key), &Rules { releases, changes, kek_change, admins: Some(&admins) }).len()
    };
    assert_eq!(findings("2", &[measured], true), 0);
    assert_eq!(findings("2", &[measured], false), 1, "encrypt");
    assert_eq!(findings("1", &[measured, first], false), 0);
    for key in ["1", "2"] {
        assert!(policy(key).contains(&measured.pcr16.to_string()), "{key}");
    }
    assert!(policy("1").contains(&first.pcr16.to_string()));
    for expected in [
        format!("put the key policy for a change of the KEK on {ARN}2\n"),
        format!("put the key policy on the previous KEK, {ARN}1\n"),
        "take kms.previous_key_arn out".to_owned(),
    ] {
        assert!(said.contains(&expected), "{said}");
    }

    let forever = edited.replace("break-glass", "immutable").replace("also_releases_to", "#");
    let refused = update(&text, &forever).unwrap_err().to_string();
    assert!(refused.starts_with("step key policy: changes: expected break-glass"), "{refused}");
    program(folder.path(), "strongroom-local-kms", "echo 'key id: expected that' >&2; exit 1");
    let refused = update("key/1", "key/3").unwrap_err().to_string();
    assert_eq!(refused, "step key policy: strongroom-local-kms failed: key id: expected that");
}

/// How often an action is released on condition by the policy that was installed, which must be
/// without a finding.
fn releases(dir: &Path, changes: Changes, to: &[Measurements]) -> usize {
    let installed = fs::read_to_string(dir.join("mock/kms/installed.json")).unwrap();
    assert_eq!(installed, fs::read_to_string(dir.join("key-policy.json")).unwrap());
    let admins = [RoleArn::parse(ADMIN).unwrap()];
    let rules = Rules {
        releases: Releases::Exactly(to),
        changes,
        kek_change: false,
        admins: Some(&admins),
    };
    assert_eq!(lint(&installed, &rules), []);
    for measurements in to {
        assert!(installed.contains(&measurements.pcr17.to_string()));
    }
    ["kms:Decrypt", "kms:GenerateDataKey"].iter().map(|a| installed.matches(a).count()).sum()
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
    let arn = r#"init) printf '{"key_arn":"key","ca":"%s/ca.pem",' "$3"; echo x > "$3/ca.pem"
        printf '"enclave_role":"arn:aws:iam::111122223333:role/a","enclave_credentials":"a",'
        printf '"admin_role":"arn:aws:iam::111122223333:role/b","admin_credentials":"b"}';;"#;
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
