//! What signs the enclave's calls to KMS, and where the proxy has it from. The enclave borrows it for
//! its boot; it proves nothing to anyone, and without the enclave's attestation it opens nothing.
//!
//! Credentials are wiped when they are dropped, are never printed, and no error repeats what was
//! read. (The buffers of the HTTP client and of the allocator are not ours to wipe.)

mod error;
mod file;
mod imds;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use strongroom_shared::time::UtcSeconds;
use strongroom_shared::wire::Credentials;
pub use strongroom_shared::wire::Unusable;
use tokio::sync::Mutex;

use crate::blocking::Blocking;
use crate::metrics::{Metrics, SourceMetrics};
pub use crate::private::NotPrivate;
pub use error::CredentialsError;
pub use file::{FileError, Profile};
pub use imds::{Imds, ImdsError};

/// Where credentials come from.
pub enum Source {
    /// The metadata service of the instance.
    Imds(Imds),
    /// A profile of a file, read again for each boot.
    File {
        /// The file.
        path: PathBuf,
        /// Which of its profiles.
        profile: Profile,
    },
    /// The environment, read when the proxy started.
    Environment(Credentials),
}

impl Source {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where there is one, `AWS_SESSION_TOKEN`.
    /// `variable` looks one up, as [`std::env::var`] does.
    pub fn environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let there = |name| variable(name).filter(|value| !value.is_empty());
        let needed = |name| there(name).ok_or(CredentialsError::Variable(name));
        let credentials = Credentials {
            access_key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret_access_key: needed("AWS_SECRET_ACCESS_KEY")?,
            session_token: there("AWS_SESSION_TOKEN"),
        };
        usable(credentials).map(Self::Environment).map_err(CredentialsError::Environment)
    }

    /// As the configuration has it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Imds(_) => "imds",
            Self::File { .. } => "file",
            Self::Environment(_) => "environment",
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.name())
    }
}

/// Lends credentials to boots.
pub struct Lender {
    source: Source,
    /// The last that the metadata service gave.
    cached: Mutex<Option<Temporary>>,
    reads: Blocking,
    metrics: SourceMetrics,
}

/// Credentials that end.
pub(crate) struct Temporary {
    credentials: Credentials,
    expires: UtcSeconds,
}

impl Lender {
    /// A lender that has asked for nothing yet.
    pub fn new(source: Source, metrics: &Metrics) -> Self {
        let metrics = metrics.credentials(source.name());
        Self { source, cached: Mutex::default(), reads: Blocking::at_once(1), metrics }
    }

    /// Credentials for one attempt at a boot: the source is asked each time. What the metadata
    /// service gave serves again, to its end, while the service fails.
    pub async fn lend(&self, now: UtcSeconds) -> Result<Credentials, CredentialsError> {
        match &self.source {
            Source::Imds(imds) => self.fetched_or_cached(imds, now).await,
            Source::File { path, profile } => {
                self.counted(file::read(path, profile, &self.reads).await)
            }
            Source::Environment(credentials) => self.counted(Ok(copy(credentials))),
        }
    }

    /// An attempt may follow one whose credentials KMS refused: of a role that was replaced, of a
    /// session that was revoked, or ended while the clock here is behind. The service has better
    /// ones by then and the cache has not. Boots are rare, and those that fail wait ever longer.
    async fn fetched_or_cached(
        &self,
        imds: &Imds,
        now: UtcSeconds,
    ) -> Result<Credentials, CredentialsError> {
        let mut cached = self.cached.lock().await;
        // What has ended is wiped, not kept.
        if cached.as_ref().is_some_and(|held| held.expires <= now) {
            *cached = None;
        }
        match self.counted(imds.fetch().await.map_err(CredentialsError::from)) {
            // Lent whatever end it names: the clock here may be wrong, and KMS has the last word.
            Ok(fetched) => Ok(copy(&cached.insert(fetched).credentials)),
            Err(error) => match &*cached {
                Some(held) => {
                    let until = held.expires;
                    tracing::warn!("credentials: {error}; those of before are valid until {until}");
                    Ok(copy(&held.credentials))
                }
                None => Err(error),
            },
        }
    }

    fn counted<T>(&self, asked: Result<T, CredentialsError>) -> Result<T, CredentialsError> {
        self.metrics.fetches.inc();
        if asked.is_err() {
            self.metrics.failures.inc();
        }
        asked
    }
}

/// The time by the clock of this host: good enough to know what has ended, and nothing more.
pub(crate) fn now() -> UtcSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcSeconds::new(since.as_secs())
}

/// No credentials: for an enclave that needs none.
pub(crate) const fn nothing() -> Credentials {
    Credentials {
        access_key_id: String::new(),
        secret_access_key: String::new(),
        session_token: None,
    }
}

fn copy(credentials: &Credentials) -> Credentials {
    Credentials {
        access_key_id: credentials.access_key_id.clone(),
        secret_access_key: credentials.secret_access_key.clone(),
        session_token: credentials.session_token.clone(),
    }
}

/// Refuses what cannot be credentials. What is refused is wiped.
fn usable(credentials: Credentials) -> Result<Credentials, Unusable> {
    credentials.check()?;
    Ok(credentials)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Credentials, CredentialsError> {
        match Source::environment(variable)? {
            Source::Environment(credentials) => Ok(credentials),
            _ => unreachable!(),
        }
    }

    #[test]
    fn environment_and_what_is_missing() {
        let lent = environment(|name| Some(name.replace('_', ""))).unwrap();
        assert_eq!(lent.access_key_id, "AWSACCESSKEYID");
        assert_eq!(lent.secret_access_key, "AWSSECRETACCESSKEY");
        assert_eq!(lent.session_token.as_deref(), Some("AWSSESSIONTOKEN"));

        let no_token = |name: &str| (name != "AWS_SESSION_TOKEN").then(|| "x".to_owned());
        assert_eq!(environment(no_token).unwrap().session_token, None);
        let empty_token = |name: &str| Some(name.replace("AWS_SESSION_TOKEN", "").replace('_', ""));
        assert_eq!(environment(empty_token).unwrap().session_token, None);

        let no_secret = |name: &str| Some(name.replace("AWS_SECRET_ACCESS_KEY", ""));
        let refused = environment(no_secret).unwrap_err().to_string();
        assert_eq!(refused, "expected the environment variable AWS_SECRET_ACCESS_KEY");
    }

    #[test]
    fn what_the_enclave_would_refuse_is_refused_and_not_echoed() {
        const ID: &str = "AWS_ACCESS_KEY_ID";
        const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
        const TOKEN: &str = "AWS_SESSION_TOKEN";
        let with = |variable: &str, value: &str| {
            environment(|name| Some(if name == variable { value } else { "x" }.to_owned()))
        };
        for (variable, most, expected) in [
            (ID, 128, "access key id: expected 1 to 128 letters and digits of ASCII"),
            (SECRET, 256, "secret access key: expected 1 to 256 visible characters of ASCII"),
            (TOKEN, 16_384, "session token: expected 1 to 16384 visible characters of ASCII"),
        ] {
            assert!(with(variable, &"S".repeat(most)).is_ok(), "{variable}");
            let long = "S".repeat(most + 1);
            for wrong in [&long, "SECRET\n", "SECRET SECRET", "SECRET\u{7f}", "SECRETé"] {
                let message = with(variable, wrong).unwrap_err().to_string();
                assert_eq!(message, format!("the environment: {expected}"));
            }
        }
        assert!(with(SECRET, "!/+=~").is_ok());
        assert!(with(TOKEN, "!/+=~").is_ok());
        for wrong in ["AKIA/", "AKIA-1", "AKIA_1"] {
            let refused = with(ID, wrong).unwrap_err();
            assert!(matches!(refused, CredentialsError::Environment(Unusable::AccessKeyId)));
        }
        // None of the sources hands on an empty one as a token.
        let empty = Credentials {
            access_key_id: "x".into(),
            secret_access_key: "x".into(),
            session_token: Some(String::new()),
        };
        assert_eq!(usable(empty).unwrap_err(), Unusable::SessionToken);
    }

    #[test]
    fn not_printed() {
        let source = Source::environment(|_| Some("SECRET".into())).unwrap();
        assert_eq!(format!("{source:?}"), "Source(environment)");
    }
}
