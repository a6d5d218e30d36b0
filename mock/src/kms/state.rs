//! The keys: one JSON file, `state.json`, mode 0600, replaced as a whole.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{KeyPolicy, KmsError, io_error};
use crate::files::{self, Access};

const STATE_FILE: &str = "state.json";
const VERSION: u32 = 1;
/// The account of all keys; AWS uses this one in its examples.
const ACCOUNT: &str = "111122223333";

/// Lets everybody look, and nobody use the key: what may use it depends on an image that does not
/// exist yet.
const FIRST_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"LookOnly","Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:DescribeKey","kms:GetKeyPolicy","kms:ListGrants"],"Resource":"*"}]}"#;

/// The Amazon Resource Name of a key, as in `arn:aws:kms:eu-central-1:111122223333:key/…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyArn(String);

impl KeyArn {
    /// The text of the ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The account, which is the fifth part.
    pub(super) fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// The key id, which is what follows `key/`.
    pub(super) fn key_id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    version: u32,
    keys: Vec<KeyRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRecord {
    arn: KeyArn,
    /// Unix seconds.
    created_at: u64,
    /// base64 of 32 bytes.
    material: String,
    /// The text of the policy, as it was given.
    policy: String,
}

impl Drop for KeyRecord {
    fn drop(&mut self) {
        self.material.zeroize();
    }
}

/// The keys, read and checked.
pub(super) struct State {
    keys: Vec<Key>,
}

/// A symmetric key.
pub(super) struct Key {
    pub(super) arn: KeyArn,
    /// Unix seconds.
    pub(super) created_at: u64,
    pub(super) material: Zeroizing<[u8; 32]>,
    pub(super) policy: KeyPolicy,
    pub(super) policy_text: String,
}

impl State {
    /// Makes the state when absent; gives its key.
    pub(super) fn init(dir: &Path, region: &str) -> Result<KeyArn, KmsError> {
        let region_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(region_byte) {
            return Err(KmsError::Region);
        }
        if !path(dir).exists() {
            write(dir, &StateFile { version: VERSION, keys: vec![KeyRecord::generate(region)?] })?;
        }
        Self::load(dir)?.first(dir).map(|key| key.arn.clone())
    }

    /// Replaces the policy of the key, after looking at it.
    pub(super) fn set_policy(dir: &Path, policy: &str) -> Result<KeyArn, KmsError> {
        KeyPolicy::parse(policy)?;
        let mut file = read(dir)?;
        let record = file.keys.first_mut().ok_or_else(|| no_key(dir))?;
        policy.clone_into(&mut record.policy);
        let arn = record.arn.clone();
        write(dir, &file)?;
        Ok(arn)
    }

    /// Reads all keys.
    pub(super) fn load(dir: &Path) -> Result<Self, KmsError> {
        let keys =
            read(dir)?.keys.iter().map(|record| record.check(dir)).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// The key with this ARN or key id.
    pub(super) fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.arn.as_str() == id || key.arn.key_id() == id)
    }

    fn first(&self, dir: &Path) -> Result<&Key, KmsError> {
        self.keys.first().ok_or_else(|| no_key(dir))
    }
}

impl KeyRecord {
    fn generate(region: &str) -> Result<Self, KmsError> {
        let mut material = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(material.as_mut_slice()).map_err(|_| KmsError::Crypto)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            arn: KeyArn(format!("arn:aws:kms:{region}:{ACCOUNT}:key/{}", uuid()?)),
            created_at: now.as_secs(),
            material: STANDARD.encode(material.as_slice()),
            policy: FIRST_POLICY.to_owned(),
        })
    }

    fn check(&self, dir: &Path) -> Result<Key, KmsError> {
        let broken = |what| KmsError::State { path: path(dir), what };
        let material = STANDARD.decode(&self.material).map(Zeroizing::new);
        let material = material.map_err(|_| broken("expected key material in base64"))?;
        let material = <[u8; 32]>::try_from(material.as_slice())
            .map_err(|_| broken("expected key material of 32 bytes"))?;
        Ok(Key {
            arn: self.arn.clone(),
            created_at: self.created_at,
            material: Zeroizing::new(material),
            policy: KeyPolicy::parse(&self.policy)?,
            policy_text: self.policy.clone(),
        })
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(STATE_FILE)
}

fn no_key(dir: &Path) -> KmsError {
    KmsError::State { path: path(dir), what: "expected a key" }
}

fn read(dir: &Path) -> Result<StateFile, KmsError> {
    let path = path(dir);
    let text = Zeroizing::new(fs::read(&path).map_err(io_error(&path))?);
    match serde_json::from_slice::<StateFile>(&text) {
        Ok(file) if file.version == VERSION => Ok(file),
        Ok(_) => Err(KmsError::State { path, what: "expected version 1" }),
        Err(_) => Err(KmsError::State { path, what: "expected the json that this program writes" }),
    }
}

fn write(dir: &Path, file: &StateFile) -> Result<(), KmsError> {
    let path = path(dir);
    let text = serde_json::to_vec_pretty(file).map(Zeroizing::new);
    let text = text.map_err(|error| io_error(&path)(error.into()))?;
    files::replace(&path, &text, Access::Owner).map_err(io_error(&path))
}

/// A random UUID (RFC 9562, section 5.4).
pub(super) fn uuid() -> Result<String, KmsError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| KmsError::Crypto)?;
    let cleared = u128::from_be_bytes(random) & !(0xf << 76) & !(0x3 << 62);
    let digits = format!("{:032x}", cleared | (0x4 << 76) | (0x2 << 62));
    let part = |range| digits.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    Ok(format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_state_is_made_once_and_secret() {
        let dir = tempfile::tempdir().unwrap();
        let arn = State::init(dir.path(), "eu-central-1").unwrap();
        assert_eq!(State::init(dir.path(), "us-east-1").unwrap(), arn, "what is there stays");
        assert!(arn.as_str().starts_with("arn:aws:kms:eu-central-1:111122223333:key/"));
        assert_eq!(arn.key_id().len(), 36);
        let mode = fs::metadata(path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let state = State::load(dir.path()).unwrap();
        assert!(state.key(arn.as_str()).is_some() && state.key(arn.key_id()).is_some());
        assert!(state.key("").is_none());
    }

    #[test]
    fn a_refused_policy_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let arn = State::init(dir.path(), "eu-central-1").unwrap();
        assert!(State::set_policy(dir.path(), "{}").is_err());
        let state = State::load(dir.path()).unwrap();
        assert_eq!(state.key(arn.as_str()).unwrap().policy_text, FIRST_POLICY);
    }

    #[test]
    fn what_is_no_region_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for region in ["", "EU", "eu:central", "eu/1"] {
            assert!(matches!(State::init(dir.path(), region), Err(KmsError::Region)));
        }
    }

    #[test]
    fn uuids_are_of_version_4() {
        let id = uuid().unwrap();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.get(14..15), Some("4"));
        assert!(matches!(id.get(19..20), Some("8" | "9" | "a" | "b")));
    }
}
