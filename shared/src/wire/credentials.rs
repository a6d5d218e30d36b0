//! The AWS credentials that the host lends, and which of them fit into a request.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// The most characters of an access key id (IAM API Reference, AccessKey).
const MAX_ACCESS_KEY_ID: usize = 128;
/// The most characters of a secret access key; AWS's have 40.
const MAX_SECRET: usize = 256;
/// The most characters of a session token. AWS names no bound; those of today have about 1,000.
const MAX_TOKEN: usize = 16 << 10;

/// AWS credentials that the host lends, such as fit into a request: the enclave refuses others. Wiped on
/// drop; never printed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// `AccessKeyId`: 1 to 128 ASCII letters and digits.
    pub access_key_id: String,
    /// `SecretAccessKey`: 1 to 256 visible ASCII characters.
    pub secret_access_key: String,
    /// `Token`, of temporary credentials: 1 to 16,384 visible ASCII characters.
    pub session_token: Option<String>,
}

impl Credentials {
    /// Whether they can stand in the headers of a request. The proxy asks before it lends them, where the
    /// log can say whose fault it is; the enclave, because it believes no proxy.
    ///
    /// # Errors
    /// The first member that cannot.
    pub fn check(&self) -> Result<(), Unusable> {
        let Self { access_key_id, secret_access_key, session_token } = self;
        let is = |text: &str, most, allowed: fn(&u8) -> bool| {
            (1..=most).contains(&text.len()) && text.as_bytes().iter().all(allowed)
        };
        if !is(access_key_id, MAX_ACCESS_KEY_ID, u8::is_ascii_alphanumeric) {
            return Err(Unusable::AccessKeyId);
        }
        if !is(secret_access_key, MAX_SECRET, u8::is_ascii_graphic) {
            return Err(Unusable::SecretAccessKey);
        }
        if session_token.as_ref().is_some_and(|token| !is(token, MAX_TOKEN, u8::is_ascii_graphic)) {
            return Err(Unusable::SessionToken);
        }
        Ok(())
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.access_key_id.zeroize();
        self.secret_access_key.zeroize();
        self.session_token.zeroize();
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A member of a set of credentials that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The access key id.
    #[error("access key id: expected {}", self.expected())]
    AccessKeyId,
    /// The secret access key.
    #[error("secret access key: expected {}", self.expected())]
    SecretAccessKey,
    /// The session token.
    #[error("session token: expected {}", self.expected())]
    SessionToken,
}

impl Unusable {
    /// The member's name on the wire.
    pub const fn field(self) -> &'static str {
        match self {
            Self::AccessKeyId => "access_key_id",
            Self::SecretAccessKey => "secret_access_key",
            Self::SessionToken => "session_token",
        }
    }

    /// What it should be.
    pub const fn expected(self) -> &'static str {
        match self {
            Self::AccessKeyId => "1 to 128 letters and digits of ASCII",
            Self::SecretAccessKey => "1 to 256 visible characters of ASCII",
            Self::SessionToken => "1 to 16384 visible characters of ASCII",
        }
    }
}
