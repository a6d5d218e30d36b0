//! `proxy.toml`: read, checked and resolved as a whole before anything is opened.

mod file;
mod relay;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use strongroom_shared::dsse::EnvelopeError;
use strongroom_shared::endpoint::Endpoint;
use strongroom_shared::json::JsonError;

use crate::credentials::{CredentialsError, Source};
use file::File;
pub use relay::{RelayConfig, Relays, Target};

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
    /// The ways out of the enclave; the first one leads to KMS.
    pub relays: Relays,
    /// Where the credentials come from that sign the enclave's calls to KMS.
    pub credentials: Source,
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
    #[error("credentials: {0}")]
    Credentials(#[from] CredentialsError),
}

impl Config {
    /// Reads the file and everything small that it names.
    pub fn read(path: &Path, overrides: Overrides) -> Result<Self, ConfigError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = File::parse(path, &read(path)?)?;
        file.check(overrides, folder, |name| std::env::var(name).ok())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
