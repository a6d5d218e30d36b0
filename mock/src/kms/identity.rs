//! Who calls: roles and their credentials, in `identities.json` (mode 0600, replaced as a whole, changed
//! under the lock of the keys).

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    KmsError, io_error,
    policy::principal::{Principal, account},
    state,
};
use crate::files::{self, Access};

const FILE: &str = "identities.json";
const VERSION: u32 = 1;
/// The role of the enclave's instance.
pub(super) const ENCLAVE: &str = "strongroom-enclave";
/// The role of those who administer keys.
pub(super) const KEY_ADMIN: &str = "strongroom-key-admin";

/// The role whose signature a request carries.
///
/// Only the verification of a signature makes one, so that what no known role signed is not answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Caller {
    /// The role's ARN, as in `arn:aws:iam::111122223333:role/strongroom-enclave`.
    pub arn: String,
}

impl Caller {
    /// The account.
    pub fn account(&self) -> &str {
        account(&self.arn)
    }
}

/// A text that is wiped when it is dropped, and never printed.
#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What a role signs its requests with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// 20 characters: `AKIA` of a permanent one, `ASIA` of a temporary one, and 16 of A-Z and 2-7.
    pub access_key_id: String,
    /// 40 characters.
    pub secret_access_key: Secret,
    /// Temporary credentials have one, and each request must carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// Unix seconds: from then on they are refused. Only temporary credentials have one, if they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// For how long credentials are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// For ever, and without a session token.
    Permanent,
    /// Until then, or for ever, with a session token.
    Temporary {
        /// From now on.
        expires_in: Option<Duration>,
    },
}

/// A role with credentials. A role can have several: one identity for each.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The role's ARN.
    pub arn: String,
    /// Its credentials.
    pub credentials: Credentials,
}

/// The file: all roles, and the region that they call.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identities {
    version: u32,
    /// The region of the keys, which the scope of a signature must name.
    pub(super) region: String,
    /// The account of keys and roles.
    account: String,
    identities: Vec<Identity>,
}

/// Adds the role `name` to the KMS in `dir`; a server that runs there knows it from its next request
/// on.
///
/// # Errors
/// When `name` is no name of a role or exists already, or when files cannot be read or written.
pub fn add_role(dir: &Path, name: &str, validity: Validity) -> Result<Identity, KmsError> {
    add(dir, name, validity, false)
}

/// Gives the role `name`, which exists, further credentials. Those that it has stay good.
///
/// # Errors
/// As [`add_role`], but when there is no such role.
pub fn add_credentials(dir: &Path, name: &str, validity: Validity) -> Result<Identity, KmsError> {
    add(dir, name, validity, true)
}

fn add(dir: &Path, name: &str, validity: Validity, again: bool) -> Result<Identity, KmsError> {
    // The longest names, and the alphabet, that IAM takes.
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
        return Err(KmsError::RoleName);
    }
    let _lock = state::lock(dir)?;
    let mut file = Identities::load(dir)?;
    let arn = role_arn(&file.account, name);
    match (file.role(&arn).is_some(), again) {
        (true, false) => return Err(KmsError::RoleExists),
        (false, true) => return Err(KmsError::NoRole),
        (true, true) | (false, false) => {}
    }
    let identity = Identity { arn, credentials: Credentials::generate(validity)? };
    file.identities.push(identity.clone());
    file.write(dir)?;
    Ok(identity)
}

/// What [`init`] found or made: a role and the file with its credentials.
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) credentials: PathBuf,
}

/// Makes the two roles when absent, for keys in this region and account, and writes their credential
/// files. What is there already stays.
pub(super) fn init(dir: &Path, region: &str, account: &str) -> Result<[Role; 2], KmsError> {
    let _lock = state::lock(dir)?;
    if !path(dir).exists() {
        let identities = [ENCLAVE, KEY_ADMIN].map(|name| {
            let arn = role_arn(account, name);
            Ok(Identity { arn, credentials: Credentials::generate(Validity::Permanent)? })
        });
        let identities = identities.into_iter().collect::<Result<_, KmsError>>()?;
        let (region, account) = (region.to_owned(), account.to_owned());
        Identities { version: VERSION, region, account, identities }.write(dir)?;
    }
    let file = Identities::load(dir)?;
    let role = |name| {
        let arn = role_arn(account, name);
        let identity =
            file.role(&arn).ok_or_else(|| broken(dir, "expected the first two roles"))?;
        let credentials = dir.join(format!("{name}.credentials"));
        identity.credentials.write(&credentials)?;
        Ok::<_, KmsError>(Role { arn, credentials })
    };
    Ok([role(ENCLAVE)?, role(KEY_ADMIN)?])
}

impl Identities {
    /// Reads the file.
    pub(super) fn load(dir: &Path) -> Result<Self, KmsError> {
        let path = path(dir);
        let text = Zeroizing::new(fs::read(&path).map_err(io_error(&path))?);
        match serde_json::from_slice::<Self>(&text) {
            Ok(file) if file.version == VERSION => Ok(file),
            Ok(_) => Err(broken(dir, "expected version 1")),
            Err(_) => Err(broken(dir, "expected the json that this program writes")),
        }
    }

    fn write(&self, dir: &Path) -> Result<(), KmsError> {
        let path = path(dir);
        let text = serde_json::to_vec_pretty(self).map(Zeroizing::new);
        let text = text.map_err(|error| io_error(&path)(error.into()))?;
        files::replace(&path, &text, Access::Owner).map_err(io_error(&path))
    }

    /// Who has this access key.
    pub(super) fn by_access_key(&self, id: &str) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.credentials.access_key_id == id)
    }

    /// The role with this ARN, and its first credentials.
    pub(super) fn role(&self, arn: &str) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.arn == arn)
    }

    /// Whether a principal exists, as far as that is known: of other accounts it is not. There are no users.
    pub(super) fn may_have(&self, principal: &Principal) -> bool {
        match principal {
            Principal::Role(arn) => account(arn) != self.account || self.role(arn).is_some(),
            Principal::Session { account, role } => {
                let named = |identity: &Identity| identity.arn.rsplit('/').next() == Some(role);
                *account != self.account || self.identities.iter().any(named)
            }
            Principal::User { account } => *account != self.account,
            Principal::Everybody | Principal::Account(_) | Principal::Other => true,
        }
    }
}

impl Credentials {
    fn generate(validity: Validity) -> Result<Self, KmsError> {
        let (prefix, expires_in) = match validity {
            Validity::Permanent => ("AKIA", None),
            Validity::Temporary { expires_in } => ("ASIA", expires_in),
        };
        let access_key_id = format!("{prefix}{}", base32(random::<16>()?));
        let secret_access_key = Secret(STANDARD.encode(Zeroizing::new(random::<30>()?)));
        let session_token = match validity {
            Validity::Temporary { .. } => {
                Some(Secret(STANDARD.encode(Zeroizing::new(random::<96>()?))))
            }
            Validity::Permanent => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let expires_at = expires_in.map(|duration| now.saturating_add(duration).as_secs());
        Ok(Self { access_key_id, secret_access_key, session_token, expires_at })
    }

    /// Writes the file that AWS clients share: an INI section `default`.
    fn write(&self, path: &Path) -> Result<(), KmsError> {
        let Self { access_key_id, secret_access_key: Secret(secret), session_token, .. } = self;
        let mut text = Zeroizing::new(format!(
            "[default]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret}\n"
        ));
        if let Some(Secret(token)) = session_token {
            text.push_str(&format!("aws_session_token = {token}\n"));
        }
        files::replace(path, text.as_bytes(), Access::Owner).map_err(io_error(path))
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

fn broken(dir: &Path, what: &'static str) -> KmsError {
    KmsError::State { path: path(dir), what }
}

fn role_arn(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:role/{name}")
}

fn random<const N: usize>() -> Result<[u8; N], KmsError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KmsError::Crypto)?;
    Ok(bytes)
}

/// One character of the alphabet of RFC 4648, section 6, for each byte: 5 of its 8 bits.
fn base32(bytes: [u8; 16]) -> String {
    let digit = |byte: u8| match byte & 0x1f {
        value @ 0..26 => char::from(b'A' + value),
        value => char::from(b'2' + (value - 26)),
    };
    bytes.map(digit).iter().collect()
}

#[cfg(test)]
mod tests;
