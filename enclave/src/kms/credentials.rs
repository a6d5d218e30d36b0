//! The credentials that the host lends.

use aws_credential_types::Credentials;
use strongroom_shared::wire;

use super::KmsError;

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
        lent.check().map_err(|unusable| KmsError::Credentials {
            field: unusable.field(),
            expected: unusable.expected(),
        })?;
        let wire::Credentials { access_key_id, secret_access_key, session_token } = lent;
        let token = session_token.clone();
        let name = "strongroom-host";
        Ok(Self(Credentials::new(access_key_id, secret_access_key, token, None, name)))
    }

    /// The SDK's own.
    pub(super) fn into_sdk(self) -> Credentials {
        self.0
    }
}
