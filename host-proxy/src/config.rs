//! `proxy.toml`: read, checked and resolved as a whole before anything is opened.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use strongroom_shared::dsse::{Envelope, EnvelopeError, PayloadType};
use strongroom_shared::endpoint::Endpoint;
use strongroom_shared::json::{self, JsonError};

use crate::credentials::{HeldCredentials, MissingVariable};

/// The configuration, with every rule of it checked. Relative paths are relative to the file.
#[derive(Debug)]
pub struct Config {
    /// Where HTTP listens.
    pub listen: SocketAddr,
    /// mTLS; absent in development only.
    pub tls: Option<TlsFiles>,
    /// The SQLite database.
    pub database: PathBuf,
    /// Where the enclave listens.
    pub enclave: Endpoint,
    /// The bytes of the signed policy's envelope.
    pub policy: Vec<u8>,
    /// The relay to KMS.
    pub relay: RelayConfig,
    /// What signs the enclave's calls to KMS.
    pub credentials: HeldCredentials,
    /// What `--mock-enclave` starts, where it was asked for.
    pub mock: Option<MockConfig>,
}

/// The PEM files of mTLS.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The proxy's certificate chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificate authorities whose clients may connect.
    pub client_ca: PathBuf,
}

/// The relay to KMS.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Where it listens for the enclave: `unix://` or `vsock://`.
    pub listen: Endpoint,
    /// The only address it forwards to.
    pub target: Target,
}

/// What `--mock-enclave` starts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MockConfig {
    /// The folder of the mock NSM's material.
    pub nsm: PathBuf,
    /// The label that the mock image is measured from.
    pub image: String,
    /// The enclave's measured configuration.
    pub enclave_config: PathBuf,
    /// The folder of the local KMS's material.
    pub kms: PathBuf,
}

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// Reads a host name or address, a colon and a port.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        (!host.is_empty() && port != 0).then(|| Self(text.to_owned()))
    }

    /// `host:port`, as [`tokio::net::TcpStream::connect`] takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

strongroom_shared::serde_as_text!(Target, "HOST:PORT");

/// What the command line says beside the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--mock-enclave`.
    pub mock_enclave: bool,
}

/// Why the configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Not TOML.
    #[error("{}: line {line}: not well-formed TOML", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: usize,
    },
    /// TOML of another shape.
    #[error(transparent)]
    Shape(#[from] JsonError),
    /// One of the rules between fields.
    #[error("proxy.toml: {0}")]
    Rule(&'static str),
    /// The policy is not a signed policy.
    #[error("enclave.policy: {0}")]
    Policy(#[from] EnvelopeError),
    /// The environment has no credentials.
    #[error(transparent)]
    Credentials(#[from] MissingVariable),
}

impl Config {
    /// Reads the file and everything small that it names.
    pub fn read(path: &Path, overrides: Overrides) -> Result<Self, ConfigError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = File::parse(path, &read(path)?)?;
        file.check(overrides, folder, |name| std::env::var(name).ok())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    development: bool,
    http: Http,
    store: StoreSection,
    enclave: EnclaveSection,
    relay: RelayConfig,
    credentials: CredentialSection,
    mock: Option<MockConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    listen: SocketAddr,
    tls: Option<TlsFiles>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreSection {
    database: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnclaveSection {
    endpoint: Endpoint,
    policy: PathBuf,
}

#[derive(Deserialize)]
#[serde(tag = "source", rename_all = "snake_case", deny_unknown_fields)]
enum CredentialSection {
    Static { access_key_id: String, secret_access_key: String },
    Environment {},
}

impl File {
    /// By way of JSON, whose errors name the field and never echo a value: TOML's own errors quote
    /// the line, and a line may hold credentials.
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let syntax = |offset: usize| {
            let line_ends = bytes.iter().take(offset).filter(|byte| **byte == b'\n').count();
            ConfigError::Syntax { path: path.to_owned(), line: line_ends.saturating_add(1) }
        };
        let text = std::str::from_utf8(bytes).map_err(|error| syntax(error.valid_up_to()))?;
        let table: toml::Table =
            toml::from_str(text).map_err(|e| syntax(e.span().map_or(0, |span| span.start)))?;
        let json = serde_json::to_vec(&table).map_err(|_| syntax(0))?;
        Ok(json::parse("proxy.toml", &json)?)
    }

    fn check(
        self,
        overrides: Overrides,
        folder: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let Self { development, http, store, enclave, relay, credentials, mock } = self;
        let listen = overrides.listen.unwrap_or(http.listen);
        let rule = |broken: bool, text| if broken { Err(ConfigError::Rule(text)) } else { Ok(()) };
        rule(
            development && !listen.ip().is_loopback(),
            "http.listen: expected a loopback address, because development = true serves plain HTTP",
        )?;
        rule(
            development && http.tls.is_some(),
            "http.tls: expected without development = true, which serves plain HTTP",
        )?;
        rule(
            !development && http.tls.is_none(),
            "http.tls: expected certificate, key and client_ca, because development is not true",
        )?;
        rule(
            !development && matches!(credentials, CredentialSection::Static { .. }),
            "credentials.source: expected \"environment\", because development is not true",
        )?;
        rule(!development && mock.is_some(), "mock: expected with development = true only")?;
        rule(
            overrides.mock_enclave && mock.is_none(),
            "mock: expected, because --mock-enclave was given",
        )?;
        rule(
            matches!(relay.listen, Endpoint::HybridVsock { .. }),
            "relay.listen: expected unix:// or vsock://",
        )?;
        let policy = read(&folder.join(enclave.policy))?;
        Envelope::parse(PayloadType::Policy, &policy)?;
        let tls = http.tls.map(|TlsFiles { certificate, key, client_ca }| TlsFiles {
            certificate: folder.join(certificate),
            key: folder.join(key),
            client_ca: folder.join(client_ca),
        });
        let mock = mock.filter(|_| overrides.mock_enclave);
        Ok(Config {
            listen,
            tls,
            database: folder.join(store.database),
            enclave: enclave.endpoint,
            policy,
            relay,
            credentials: match credentials {
                CredentialSection::Static { access_key_id, secret_access_key } => {
                    HeldCredentials::fixed(access_key_id, secret_access_key)
                }
                CredentialSection::Environment {} => HeldCredentials::from_environment(variable)?,
            },
            mock: mock.map(|MockConfig { nsm, image, enclave_config, kms }| MockConfig {
                nsm: folder.join(nsm),
                image,
                enclave_config: folder.join(enclave_config),
                kms: folder.join(kms),
            }),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
