//! The two configuration files: `enclave.toml`, which is measured, and `proxy.toml`.

use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use strongroom_attestation::key_policy::{Changes, Measurements, RoleArn};
use strongroom_shared::key::PublicKey;

use super::DevError;

const ENCLAVE_HEADER: &str = "\
# The measured configuration of the enclave: PCR16 is computed over the exact bytes of this file.
# After a change run `strongroom dev update DIR`, and restart the proxy.

";

const PROXY_HEADER: &str = "\
# The proxy on the host. Nothing here is trusted by the enclave.
# `development` makes HTTP plain and binds it to loopback; without it [http.tls] is required.

";

/// `enclave.toml`.
#[derive(Serialize)]
pub(super) struct EnclaveConfig<'a> {
    pub(super) version: u8,
    /// Goes into the encryption context of KMS.
    pub(super) deployment: &'a str,
    pub(super) kms: KmsConfig<'a>,
    pub(super) policy_admins: PolicyAdmins<'a>,
}

#[derive(Serialize)]
pub(super) struct KmsConfig<'a> {
    pub(super) key_arn: &'a str,
    pub(super) region: &'a str,
    /// The TLS server name.
    pub(super) host: &'a str,
    /// The roots that TLS to KMS trusts, in PEM.
    pub(super) tls_roots: &'a str,
    pub(super) key_policy: KekRules,
}

/// What the enclave takes as the key policy of its KEK.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KekRules {
    pub(super) changes: Changes,
    /// Who may manage the key and, as the break-glass, change its policy.
    pub(super) admin_roles: Vec<RoleArn>,
    /// Other measurements that it may name, while an upgrade rolls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) also_releases_to: Vec<Measurements>,
}

/// What is read of `enclave.toml` after it was edited; the enclave reads all of it.
#[derive(Deserialize)]
struct Edited {
    kms: Kek,
}

/// The KEK, as `enclave.toml` has it.
#[derive(Deserialize)]
pub(super) struct Kek {
    pub(super) key_arn: String,
    /// The KEK that the DEK is moved from.
    pub(super) previous_key_arn: Option<String>,
    pub(super) key_policy: KekRules,
}

impl Kek {
    /// That of an `enclave.toml`.
    pub(super) fn of_toml(text: &[u8]) -> Result<Self, DevError> {
        let text = std::str::from_utf8(text).map_err(|_| DevError::Kek)?;
        let edited: Edited = toml::from_str(text).map_err(|_| DevError::Kek)?;
        Ok(edited.kms)
    }
}

#[derive(Serialize)]
pub(super) struct PolicyAdmins<'a> {
    pub(super) threshold: u8,
    pub(super) keys: Vec<Admin<'a>>,
}

#[derive(Serialize)]
pub(super) struct Admin<'a> {
    pub(super) id: &'a str,
    pub(super) key: PublicKey,
}

impl EnclaveConfig<'_> {
    pub(super) fn to_toml(&self) -> Result<String, DevError> {
        write("enclave.toml", ENCLAVE_HEADER, self)
    }
}

/// `proxy.toml`.
#[derive(Serialize)]
struct ProxyConfig<'a> {
    development: bool,
    http: Http,
    store: Store,
    enclave: Enclave,
    relay: [Relay; 1],
    credentials: Credentials<'a>,
    mock: Mock<'a>,
}

#[derive(Serialize)]
struct Http {
    listen: SocketAddr,
}

#[derive(Serialize)]
struct Store {
    database: String,
}

#[derive(Serialize)]
struct Enclave {
    endpoint: String,
    policy: String,
}

#[derive(Serialize)]
struct Relay {
    listen: String,
    target: String,
}

/// Those of the enclave's role, as the local KMS made them.
#[derive(Serialize)]
struct Credentials<'a> {
    source: &'a str,
    path: &'a Path,
}

#[derive(Serialize)]
struct Mock<'a> {
    nsm: String,
    image: &'a str,
    enclave_config: String,
    kms: String,
}

/// The proxy's configuration for the environment at the absolute path `dir`.
pub(super) fn proxy_toml(
    dir: &str,
    image: &str,
    listen: SocketAddr,
    kms_port: u16,
    credentials: &Path,
) -> Result<String, DevError> {
    let config = ProxyConfig {
        development: true,
        http: Http { listen },
        store: Store { database: format!("{dir}/strongroom.sqlite") },
        enclave: Enclave {
            endpoint: format!("unix://{dir}/run/enclave.sock"),
            policy: format!("{dir}/policy.dsse.json"),
        },
        relay: [Relay {
            listen: format!("unix://{dir}/run/kms-relay.sock"),
            target: format!("127.0.0.1:{kms_port}"),
        }],
        credentials: Credentials { source: "file", path: credentials },
        mock: Mock {
            nsm: format!("{dir}/mock/nsm"),
            image,
            enclave_config: format!("{dir}/enclave.toml"),
            kms: format!("{dir}/mock/kms"),
        },
    };
    write("proxy.toml", PROXY_HEADER, &config)
}

fn write(name: &'static str, header: &str, config: &impl Serialize) -> Result<String, DevError> {
    let text = toml::to_string(config).map_err(|_| DevError::Unwritable(name))?;
    Ok(format!("{header}{text}"))
}
