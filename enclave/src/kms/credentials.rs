//! The credentials that the host lends.

use aws_credential_types::Credentials;
use strongroom_shared::wire;

use super::KmsError;

/// The most characters of an access key id (IAM API Reference, AccessKey).
const MAX_ACCESS_KEY_ID: usize = 128;
/// The most characters of a secret access key; AWS's have 40.
const MAX_SECRET: usize = 256;
/// The most characters of a session token. AWS names no bound; those of today have about 1,000.
const MAX_TOKEN: usize = 16 << 10;

/// Credentials that can stand in the headers of a request: the SDK takes that for granted, and panics
/// where they cannot.
///
/// They lie in memory that is wiped on drop: what came from the host in [`wire::Credentials`], the
/// SDK's own in its `Credentials`; the frame that carried them is wiped by the connection that read
/// it, but for the buffer that collects frames, where later ones come to lie over it. The signing key
/// that is derived for one day, region and service, and the token in the headers of a request, are the
/// SDK's and hyper's, live as long as the call, and are not wiped. Whoever can read this memory reads
/// the DEK, too.
pub(crate) struct HostCredentials(Credentials);

impl HostCredentials {
    /// Reads what the host lends.
    pub(crate) fn read(lent: &wire::Credentials) -> Result<Self, KmsError> {
        let wire::Credentials { access_key_id, secret_access_key, session_token } = lent;
        let refuse = |field, expected| Err(KmsError::Credentials { field, expected });
        let is_visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=MAX_ACCESS_KEY_ID).contains(&access_key_id.len())
            || !access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return refuse("access_key_id", "1 to 128 letters and digits of ASCII");
        }
        if !(1..=MAX_SECRET).contains(&secret_access_key.len()) || !is_visible(secret_access_key) {
            return refuse("secret_access_key", "1 to 256 visible characters of ASCII");
        }
        if let Some(token) = session_token
            && (!(1..=MAX_TOKEN).contains(&token.len()) || !is_visible(token))
        {
            return refuse("session_token", "1 to 16384 visible characters of ASCII");
        }
        let token = session_token.clone();
        let name = "strongroom-host";
        Ok(Self(Credentials::new(access_key_id, secret_access_key, token, None, name)))
    }

    /// The SDK's own.
    pub(super) fn into_sdk(self) -> Credentials {
        self.0
    }
}
