#![allow(clippy::unwrap_used)]
use strongroom_attestation::key_policy::{Changes, Measurements, RoleArn};
use strongroom_attestation::measure::Pcr;

use super::*;

const BREAK_GLASS: &str = "changes = \"break-glass\"";
const KEK: &str = "arn:aws:kms:eu-central-1:000000000000:key/0a";
const PREVIOUS: &str = "arn:aws:kms:eu-central-1:000000000000:key/0b";
/// PEM around a sequence of nothing.
const NO_ROOT: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
const ADMIN: &str = "arn:aws:iam::000000000000:role/key-admin";
const EXAMPLE: &str = include_str!("../../../docs/examples/enclave.toml");

/// The first root of the example.
fn root_pem() -> &'static str {
    let (_, from) = EXAMPLE.split_once("SHA-256 of the DER").unwrap();
    &from[..from.find("Amazon Root CA 2").unwrap()]
}

fn key(byte: u8) -> String {
    let text = strongroom_shared::encoding::Base64(vec![byte; 32]).to_string();
    format!(r#"{{ type = "ed25519", public = "{text}" }}"#)
}

fn also([pcr0, pcr16, pcr17]: [Pcr; 3]) -> String {
    format!(r#"also_releases_to = [{{ pcr0 = "{pcr0}", pcr16 = "{pcr16}", pcr17 = "{pcr17}" }}]"#)
}

fn good() -> String {
    format!(
        r#"
version = 1
deployment = "test"
[kms]
key_arn = "{KEK}"
region = "eu-central-1"
host = "localhost"
tls_roots = """{}"""
[kms.key_policy]
changes = "break-glass"
admin_roles = ["{ADMIN}"]
[policy_admins]
threshold = 2
keys = [{{ id = "policy-admin-1", key = {} }}, {{ id = "policy-admin-2", key = {} }}]
"#,
        root_pem(),
        key(1),
        key(2)
    )
}

#[test]
fn a_good_one_is_read() {
    let config = Config::parse(good().as_bytes()).unwrap();
    assert_eq!(config.admins().threshold, 2);
    assert_eq!(config.vsock().parent_cid, 3);
    assert_eq!(config.kms().key_arn.as_str(), KEK);
    assert_eq!(config.kms().previous_key_arn, None);
    assert_eq!(config.kms().key_policy.changes, Changes::BreakGlass);
    assert_eq!(config.kms().key_policy.admin_roles, [RoleArn::parse(ADMIN).unwrap()]);
    assert_eq!(config.kms().key_policy.also_releases_to, []);
    assert_eq!(config.kms().tls_roots.len(), 1);
}

#[test]
fn what_an_upgrade_needs_is_read() {
    let pcrs = [7, 8, 9].map(|byte| Pcr::new([byte; 48]));
    let text = good()
        .replace("region =", &format!("previous_key_arn = \"{PREVIOUS}\"\nregion ="))
        .replace(BREAK_GLASS, &format!("{BREAK_GLASS}\n{}", also(pcrs)));
    let config = Config::parse(text.as_bytes()).unwrap();
    assert_eq!(config.kms().previous_key_arn.as_ref().unwrap().as_str(), PREVIOUS);
    let [pcr0, pcr16, pcr17] = pcrs;
    assert_eq!(config.kms().key_policy.also_releases_to, [Measurements { pcr0, pcr16, pcr17 }]);
}

/// What belongs to an upgrade, or to the change of the KEK, cannot work under a key policy for ever.
#[test]
fn an_immutable_key_policy_goes_with_neither_upgrade_nor_change() {
    let immutable = good().replace("break-glass", "immutable");
    let config = Config::parse(immutable.as_bytes()).unwrap();
    assert_eq!(config.kms().key_policy.changes, Changes::Immutable);
    let admins = format!("admin_roles = [\"{ADMIN}\"]");
    let listed = format!("{admins}\n{}", also([7, 8, 9].map(|byte| Pcr::new([byte; 48]))));
    let previous = format!("previous_key_arn = \"{PREVIOUS}\"\nregion =");
    for (from, to, expected) in [
        ("region =", previous.as_str(), "kms.previous_key_arn: expected none, where"),
        (&admins, &listed, "kms.key_policy.also_releases_to: expected none, where"),
        (&admins, "admin_roles = []", "kms.key_policy.admin_roles: expected at least one"),
    ] {
        let error = Config::parse(immutable.replace(from, to).as_bytes()).err().unwrap();
        assert!(error.to_string().contains(expected), "{to}: {error}");
    }
}

/// With its placeholders filled in, and with what stands there commented out.
#[test]
fn the_example_is_read() {
    assert!(Config::parse(EXAMPLE.as_bytes()).is_err(), "nobody uses it as it is");
    let key = |n: u8| strongroom_shared::encoding::Base64(vec![n; 32]).to_string();
    let mut text = EXAMPLE
        .replace("<key id>", "0a")
        .replace("<key id of before>", "0b")
        .replace("<96 hex digits>", &"07".repeat(48));
    for n in 1..=3 {
        text = text.replacen("<base64 of 32 bytes>", &key(n), 1);
    }
    let config = Config::parse(text.as_bytes()).unwrap();
    assert_eq!((config.kms().tls_roots.len(), config.admins().keys.len()), (4, 3));
    assert_eq!(config.kms().key_policy.changes, Changes::BreakGlass);
    for line in ["previous_key_arn", "also_releases_to", "    { pcr0", "]\n"] {
        text = text.replacen(&format!("# {line}"), line, 1);
    }
    let config = Config::parse(text.as_bytes()).unwrap();
    assert!(config.kms().previous_key_arn.is_some());
    assert_eq!(config.kms().key_policy.also_releases_to.len(), 1);
}

#[test]
fn each_refusal_names_the_field() {
    let admins = format!("admin_roles = [\"{ADMIN}\"]");
    for (from, to, expected) in [
        ("version = 1", "version = 2", "version: expected 1"),
        ("deployment = \"test\"", "deployment = \"\"", "deployment: expected"),
        // In the ARN as well: the two agree, and the region goes into a header.
        ("eu-central-1", "", "kms.region: expected a name of lower-case letters"),
        ("eu-central-1", "EU-central-1", "kms.region: expected"),
        ("eu-central-1", "eu_central_1", "kms.region: expected"),
        ("eu-central-1", "eu-central-1\\r\\nx", "kms.region: expected"),
        ("eu-central-1", "eu-central-1\\u00e9", "kms.region: expected"),
        ("eu-central-1:0", "eu-west-1:0", "kms.key_arn: expected"),
        ("key/0a", "alias/a", "kms.key_arn: expected"),
        ("key/0a", "key/0A", "kms.key_arn: expected"),
        ("key/0a", "key/0a:1", "kms.key_arn: expected"),
        (":000000000000:key", ":1:key", "kms.key_arn: expected"),
        ("arn:aws:kms", "arn:aws:s3", "kms.key_arn: expected"),
        ("region =", "previous_key_arn = \"1\"\nregion =", "kms.previous_key_arn: expected"),
        ("changes = \"break-glass\"", "", "missing field"),
        ("break-glass", "whenever", "unknown variant"),
        (&format!("[kms.key_policy]\n{BREAK_GLASS}\n{admins}\n"), "", "missing field"),
        ("admin_roles =", "admin_role =", "unknown field"),
        (&admins, "", "missing field"),
        (&format!("\"{ADMIN}\""), "", "kms.key_policy.admin_roles: expected at least one"),
        (":role/", ":user/", "role: expected"),
        ("localhost", "127.0.0.1", "kms.host: expected"),
        ("BEGIN CERTIFICATE", "BEGIN NOTHING", "kms.tls_roots: expected"),
        (root_pem(), "", "kms.tls_roots: expected at least one"),
        (root_pem(), NO_ROOT, "kms.tls_roots: expected certificates that TLS takes"),
        ("threshold = 2", "threshold = 0", "policy_admins.threshold: expected"),
        ("threshold = 2", "threshold = 3", "policy_admins.threshold: expected"),
        ("policy-admin-2", "policy-admin-1", "policy_admins.keys: expected a name"),
        ("[kms]", "extra = 1\n[kms]", "unknown field"),
    ] {
        let error = Config::parse(good().replace(from, to).as_bytes()).err().unwrap();
        assert!(error.to_string().contains(expected), "{to}: {error}");
    }
    let same_kek = format!("previous_key_arn = \"{KEK}\"\nregion =");
    let error = Config::parse(good().replace("region =", &same_kek).as_bytes()).err().unwrap();
    assert!(error.to_string().contains("another key than"), "{error}");
    for zero in 0..3 {
        let mut pcrs = [Pcr::new([7; 48]); 3];
        pcrs[zero] = Pcr::ZERO;
        let text = good().replace(BREAK_GLASS, &format!("{BREAK_GLASS}\n{}", also(pcrs)));
        let error = Config::parse(text.as_bytes()).err().unwrap();
        assert!(error.to_string().contains("also_releases_to: expected"), "{error}");
    }
    let same_key = good().replace(&key(2), &key(1));
    let error = Config::parse(same_key.as_bytes()).err().unwrap();
    assert!(error.to_string().contains("a key of their own"), "{error}");
}
