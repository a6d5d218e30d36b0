//! The measured configuration: `enclave.toml`, whose exact bytes are extended into PCR16.
//!
//! It is part of what KMS attests before it releases the DEK, so nothing in it can be changed by
//! the host without losing every key.

use std::collections::{BTreeMap, BTreeSet};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use strongroom_shared::digest::Digest;
use strongroom_shared::id::PrincipalId;
use strongroom_shared::key::PublicKey;

/// The configuration, valid as a whole.
pub struct Config {
    digest: Digest,
    bytes: Vec<u8>,
    deployment: String,
    kms: KmsConfig,
    admins: Admins,
    vsock: Vsock,
}

/// Where the DEK comes from.
pub struct KmsConfig {
    /// The KEK's full ARN; the only `KeyId` that is sent and accepted.
    pub key_arn: String,
    /// The AWS region that calls are signed for.
    pub region: String,
    /// The host name that the certificate of KMS must have.
    pub host: ServerName<'static>,
    /// The only certificates that its chain may end in.
    pub tls_roots: Vec<CertificateDer<'static>>,
}

/// Who says what the policy is.
pub struct Admins {
    /// How many of them must sign.
    pub threshold: usize,
    /// Their keys.
    pub keys: BTreeMap<PrincipalId, PublicKey>,
}

/// The ports of the vsock. They are for the real device; nothing is trusted because of them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vsock {
    /// Where the enclave listens for its host.
    pub listen_port: u32,
    /// The context id of the parent: 3 on Nitro.
    pub parent_cid: u32,
    /// Where the host's relay in front of KMS listens.
    pub relay_port: u32,
}

impl Default for Vsock {
    fn default() -> Self {
        Self { listen_port: 5000, parent_cid: 3, relay_port: 8000 }
    }
}

/// Why the configuration was refused. The configuration is no secret: messages may quote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML of this shape.
    #[error("configuration: {0}")]
    Toml(String),
    /// A field has a value that cannot be.
    #[error("configuration: {field}: expected {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    version: u32,
    deployment: String,
    kms: RawKms,
    policy_admins: RawAdmins,
    #[serde(default)]
    vsock: Vsock,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKms {
    key_arn: String,
    region: String,
    host: String,
    tls_roots: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAdmins {
    threshold: usize,
    keys: Vec<RawAdmin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAdmin {
    id: PrincipalId,
    key: PublicKey,
}

fn field(field: &'static str, expected: &'static str) -> ConfigError {
    ConfigError::Field { field, expected }
}

impl Config {
    /// Reads and checks the whole of `enclave.toml`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ConfigError::Toml("not UTF-8".into()))?;
        let RawConfig { version, deployment, kms, policy_admins, vsock } =
            toml::from_str(text).map_err(|error| ConfigError::Toml(error.message().into()))?;
        if version != 1 {
            return Err(field("version", "1"));
        }
        if deployment.is_empty() || deployment.len() > 64 {
            return Err(field("deployment", "1 to 64 characters"));
        }
        Ok(Self {
            digest: Digest::of(bytes),
            bytes: bytes.to_vec(),
            deployment,
            kms: KmsConfig::parse(kms)?,
            admins: Admins::parse(policy_admins)?,
            vsock,
        })
    }

    /// SHA-256 of the exact bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The exact bytes, for the measurement.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The deployment's name; part of the encryption context of the DEK.
    pub fn deployment(&self) -> &str {
        &self.deployment
    }

    /// Where the DEK comes from.
    pub fn kms(&self) -> &KmsConfig {
        &self.kms
    }

    /// Who says what the policy is.
    pub fn admins(&self) -> &Admins {
        &self.admins
    }

    /// The ports of the real device.
    pub fn vsock(&self) -> Vsock {
        self.vsock
    }
}

impl KmsConfig {
    fn parse(raw: RawKms) -> Result<Self, ConfigError> {
        let RawKms { key_arn, region, host, tls_roots } = raw;
        // arn:partition:kms:region:account:key/id (AWS General Reference, ARNs). An alias would
        // let whoever may move it choose the key.
        let parts: Vec<&str> = key_arn.split(':').collect();
        let is_key = matches!(parts.as_slice(),
            ["arn", _, "kms", in_region, _, key] if *in_region == region && key.starts_with("key/"));
        if !is_key {
            return Err(field("kms.key_arn", "the full ARN of a key in kms.region, not an alias"));
        }
        let host = ServerName::try_from(host)
            .ok()
            .filter(|name| matches!(name, ServerName::DnsName(_)))
            .ok_or_else(|| field("kms.host", "a DNS name"))?;
        let tls_roots: Vec<_> = CertificateDer::pem_slice_iter(tls_roots.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| field("kms.tls_roots", "PEM certificates"))?;
        if tls_roots.is_empty() {
            return Err(field("kms.tls_roots", "at least one PEM certificate"));
        }
        Ok(Self { key_arn, region, host, tls_roots })
    }
}

impl Admins {
    fn parse(raw: RawAdmins) -> Result<Self, ConfigError> {
        let RawAdmins { threshold, keys } = raw;
        let count = keys.len();
        let distinct: BTreeSet<&PublicKey> = keys.iter().map(|admin| &admin.key).collect();
        if distinct.len() != count {
            return Err(field("policy_admins.keys", "a key of their own for each"));
        }
        let keys: BTreeMap<_, _> = keys.into_iter().map(|admin| (admin.id, admin.key)).collect();
        if keys.len() != count {
            return Err(field("policy_admins.keys", "a name of their own for each"));
        }
        if threshold == 0 || threshold > count {
            return Err(field("policy_admins.threshold", "1 to the number of keys"));
        }
        Ok(Self { threshold, keys })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ROOT_PEM: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    fn key(byte: u8) -> String {
        let text = strongroom_shared::encoding::Base64(vec![byte; 32]).to_string();
        format!(r#"{{ type = "ed25519", public = "{text}" }}"#)
    }

    fn good() -> String {
        format!(
            r#"
version = 1
deployment = "test"
[kms]
key_arn = "arn:aws:kms:eu-central-1:000000000000:key/1"
region = "eu-central-1"
host = "localhost"
tls_roots = """{ROOT_PEM}"""
[policy_admins]
threshold = 2
keys = [{{ id = "policy-admin-1", key = {} }}, {{ id = "policy-admin-2", key = {} }}]
"#,
            key(1),
            key(2)
        )
    }

    #[test]
    fn a_good_one_is_read() {
        let config = Config::parse(good().as_bytes()).unwrap();
        assert_eq!(config.admins().threshold, 2);
        assert_eq!(config.vsock().parent_cid, 3);
    }

    #[test]
    fn each_refusal_names_the_field() {
        for (from, to, expected) in [
            ("version = 1", "version = 2", "version: expected 1"),
            ("deployment = \"test\"", "deployment = \"\"", "deployment: expected"),
            ("eu-central-1:0", "eu-west-1:0", "kms.key_arn: expected"),
            ("key/1", "alias/1", "kms.key_arn: expected"),
            ("localhost", "127.0.0.1", "kms.host: expected"),
            ("BEGIN CERTIFICATE", "BEGIN NOTHING", "kms.tls_roots: expected"),
            ("threshold = 2", "threshold = 0", "policy_admins.threshold: expected"),
            ("threshold = 2", "threshold = 3", "policy_admins.threshold: expected"),
            ("policy-admin-2", "policy-admin-1", "policy_admins.keys: expected a name"),
            ("[kms]", "extra = 1\n[kms]", "unknown field"),
        ] {
            let error = Config::parse(good().replace(from, to).as_bytes()).err().unwrap();
            assert!(error.to_string().contains(expected), "{to}: {error}");
        }
        let same_key = good().replace(&key(2), &key(1));
        let error = Config::parse(same_key.as_bytes()).err().unwrap();
        assert!(error.to_string().contains("a key of their own"), "{error}");
    }
}
