//! The file as it is written, and the rules between its fields.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::endpoint::Endpoint;
use strongroom_shared::json;

use super::{Config, ConfigError, MockConfig, Overrides, RelayConfig, Relays, TlsFiles, read};
use crate::credentials::{Imds, Profile, Source};

/// `proxy.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    development: bool,
    http: Http,
    store: StoreSection,
    enclave: EnclaveSection,
    relay: Vec<RelayConfig>,
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
#[serde(deny_unknown_fields)]
struct CredentialSection {
    source: SourceName,
    path: Option<PathBuf>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SourceName {
    Imds,
    File,
    Environment,
}

impl CredentialSection {
    fn check(
        self,
        folder: &Path,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Source, ConfigError> {
        let Self { source, path, profile } = self;
        match (source, path, profile) {
            (SourceName::Imds, None, None) => Ok(Source::Imds(Imds::default())),
            (SourceName::Environment, None, None) => Ok(Source::environment(variable)?),
            (SourceName::File, Some(path), profile) => {
                Ok(Source::File { path: folder.join(path), profile: profile.unwrap_or_default() })
            }
            (SourceName::File, None, _) => {
                Err(ConfigError::Rule("credentials.path: expected with source = \"file\""))
            }
            (SourceName::Imds | SourceName::Environment, _, _) => Err(ConfigError::Rule(
                "credentials: expected path and profile with source = \"file\" only",
            )),
        }
    }
}

impl File {
    /// Reads the text, and none of what it names. By way of JSON, whose errors name the field and never echo a value: TOML's own errors quote
    /// the line, and a line may hold credentials.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
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

    /// Checks what the fields say of each other, and reads the small files that they name.
    pub(super) fn check(
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
        rule(!development && mock.is_some(), "mock: expected with development = true only")?;
        rule(
            overrides.mock_enclave && mock.is_none(),
            "mock: expected, because --mock-enclave was given",
        )?;
        let relays = Relays::new(relay, &enclave.endpoint).map_err(ConfigError::Rule)?;
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
            relays,
            credentials: credentials.check(folder, variable)?,
            mock: mock.map(|MockConfig { nsm, image, enclave_config, kms }| MockConfig {
                nsm: folder.join(nsm),
                image,
                enclave_config: folder.join(enclave_config),
                kms: folder.join(kms),
            }),
        })
    }
}
