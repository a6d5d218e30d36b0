//! What signs the enclave's calls to KMS. The enclave borrows it; it proves nothing to anyone, and
//! without the enclave's attestation it opens nothing.

use strongroom_shared::wire::Credentials;

/// AWS credentials as the proxy holds them. They are neither printed nor logged.
#[derive(Clone)]
pub struct HeldCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// An environment variable that is not there, or not text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("credentials: expected the environment variable {0}")]
pub struct MissingVariable(pub &'static str);

impl HeldCredentials {
    /// Credentials that stand in the configuration.
    pub fn fixed(access_key_id: String, secret_access_key: String) -> Self {
        Self { access_key_id, secret_access_key, session_token: None }
    }

    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where there is one, `AWS_SESSION_TOKEN`.
    /// `variable` looks one up, as [`std::env::var`] does.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, MissingVariable> {
        let needed = |name| variable(name).filter(|v| !v.is_empty()).ok_or(MissingVariable(name));
        Ok(Self {
            access_key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret_access_key: needed("AWS_SECRET_ACCESS_KEY")?,
            session_token: needed("AWS_SESSION_TOKEN").ok(),
        })
    }

    /// A copy for one boot.
    pub fn lend(&self) -> Credentials {
        Credentials {
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
        }
    }
}

impl std::fmt::Debug for HeldCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldCredentials(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn environment_and_what_is_missing() {
        let all = |name: &str| Some(format!("value of {name}"));
        let lent = HeldCredentials::from_environment(all).unwrap().lend();
        assert_eq!(lent.secret_access_key, "value of AWS_SECRET_ACCESS_KEY");
        assert_eq!(lent.session_token.as_deref(), Some("value of AWS_SESSION_TOKEN"));

        let no_token = |name: &str| (name != "AWS_SESSION_TOKEN").then(|| "x".to_owned());
        assert_eq!(HeldCredentials::from_environment(no_token).unwrap().lend().session_token, None);

        let no_secret = |name: &str| Some(name.replace("AWS_SECRET_ACCESS_KEY", ""));
        assert_eq!(
            HeldCredentials::from_environment(no_secret).unwrap_err(),
            MissingVariable("AWS_SECRET_ACCESS_KEY")
        );
    }

    #[test]
    fn not_printed() {
        let held = HeldCredentials::fixed("AKIA".into(), "SECRET".into());
        assert_eq!(format!("{held:?}"), "HeldCredentials(…)");
    }
}
