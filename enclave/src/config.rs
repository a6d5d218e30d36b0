//! The measured configuration: `enclave.toml`, whose exact bytes are extended into PCR16.
//!
//! It is part of what KMS attests before it releases the DEK, so nothing in it can be changed by
//! the host without losing every key.

mod kms;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use strongroom_shared::digest::Digest;
use strongroom_shared::id::PrincipalId;
use strongroom_shared::key::PublicKey;

use kms::RawKms;
pub use kms::{KekRules, KeyArn, KmsConfig};

/// The configuration, valid as a whole.
pub struct Config {
    digest: Digest,
    bytes: Vec<u8>,
    deployment: String,
    kms: KmsConfig,
    admins: Admins,
    vsock: Vsock,
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
mod tests;
