//! The keys: one JSON file, `state.json`, mode 0600, replaced as a whole.
//!
//! Who reads sees the file before a change or after it. Who changes it holds a lock on `state.lock` from
//! reading to writing, so that of two changes at once (of threads or of processes) none is lost.

mod key;

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyPolicy, KmsError, io_error};
use crate::files::{self, Access};
pub use key::KeyArn;
pub(super) use key::{Key, KeyState, NewKey, Policy, Rotation, Trigger};

const STATE_FILE: &str = "state.json";
const LOCK_FILE: &str = "state.lock";
const VERSION: u32 = 2;
/// The account of the first key; AWS uses this one in its examples.
const ACCOUNT: &str = "111122223333";
pub(super) const DAY_SECONDS: u64 = 24 * 60 * 60;

/// Lets everybody look, and nobody use the key: what may use it depends on an image that does not
/// exist yet.
const FIRST_POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"LookOnly","Effect":"Allow","Principal":{"AWS":"*"},"Action":["kms:DescribeKey","kms:GetKeyPolicy","kms:ListGrants"],"Resource":"*"}]}"#;

/// The keys, read and checked: what the file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    version: u32,
    /// The region of all keys.
    region: String,
    /// The first is the one that [`State::init`] made.
    pub(super) keys: Vec<Key>,
}

/// What any version of the file says.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

impl State {
    /// Makes the state when absent; gives its first key.
    pub(super) fn init(dir: &Path, region: &str) -> Result<KeyArn, KmsError> {
        let region_byte = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(region_byte) {
            return Err(KmsError::Region);
        }
        let lock = lock(dir)?;
        if !path(dir).exists() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let mut state = Self { version: VERSION, region: region.to_owned(), keys: Vec::new() };
            let policy = Policy::try_from(FIRST_POLICY.to_owned())?;
            let new = NewKey { policy, description: String::new(), multi_region: false };
            state.add(ACCOUNT, new, now.as_secs())?;
            state.write(dir)?;
        }
        drop(lock);
        Self::load(dir)?.keys.first().map(|key| key.arn.clone()).ok_or_else(|| no_key(dir))
    }

    /// Replaces the policy of a key, of the first one where none is named, after looking at it.
    pub(super) fn set_policy(
        dir: &Path,
        key_id: Option<&str>,
        policy: &str,
    ) -> Result<KeyArn, KmsError> {
        let policy = Policy::try_from(policy.to_owned())?;
        Self::change(dir, |state| {
            let key = match key_id {
                Some(id) => state.key_mut(id, ACCOUNT).ok_or(KmsError::NoKey)?,
                None => state.keys.first_mut().ok_or_else(|| no_key(dir))?,
            };
            key.policy = policy;
            Ok(key.arn.clone())
        })
    }

    /// Reads all keys.
    pub(super) fn load(dir: &Path) -> Result<Self, KmsError> {
        let path = path(dir);
        let text = Zeroizing::new(fs::read(&path).map_err(io_error(&path))?);
        let broken = |what| KmsError::State { path: path.clone(), what };
        let unreadable = |_| broken("expected the json that this program writes");
        let AnyVersion { version } = serde_json::from_slice(&text).map_err(unreadable)?;
        if version != VERSION {
            return Err(broken("expected version 2: begin anew in an empty folder"));
        }
        let state: Self = serde_json::from_slice(&text).map_err(unreadable)?;
        if state.keys.iter().any(|key| key.materials.is_empty()) {
            return Err(broken("expected key material"));
        }
        Ok(state)
    }

    /// Reads all keys, as they are at `now` (Unix seconds): what was scheduled until then has happened.
    pub(super) fn load_at(dir: &Path, now: u64) -> Result<Self, KmsError> {
        let state = Self::load(dir)?;
        if !state.keys.iter().any(|key| key.is_due(now)) {
            return Ok(state);
        }
        Self::change(dir, |state| state.settle(now))?;
        Self::load(dir)
    }

    /// Changes the state as it is at `now`; when `change` fails, nothing is changed.
    pub(super) fn change_at<T, E: From<KmsError>>(
        dir: &Path,
        now: u64,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        Self::change(dir, |state| {
            state.settle(now)?;
            change(state)
        })
    }

    fn change<T, E: From<KmsError>>(
        dir: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = lock(dir)?;
        let mut state = Self::load(dir)?;
        let result = change(&mut state)?;
        state.write(dir)?;
        Ok(result)
    }

    /// Adds a key of this account.
    pub(super) fn add(&mut self, account: &str, new: NewKey, now: u64) -> Result<&Key, KmsError> {
        let id = uuid()?;
        // AWS API reference, CreateKey: ids of multi-Region keys have a prefix of their own.
        let id = if new.multi_region { format!("mrk-{}", id.replace('-', "")) } else { id };
        let arn = KeyArn::new(&self.region, account, &id);
        let key = Key::generate(arn, new, now)?;
        Ok(self.keys.push_mut(key))
    }

    /// The key with this ARN, or with this key id in the account.
    pub(super) fn key(&self, id: &str, account: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.is_named(id, account))
    }

    /// As [`Self::key`].
    pub(super) fn key_mut(&mut self, id: &str, account: &str) -> Option<&mut Key> {
        self.keys.iter_mut().find(|key| key.is_named(id, account))
    }

    /// Rotates and deletes what is due at `now`.
    fn settle(&mut self, now: u64) -> Result<(), KmsError> {
        self.keys.retain(|key| !key.is_gone(now));
        for key in self.keys.iter_mut().filter(|key| key.is_due(now)) {
            key.rotate(Trigger::Automatic, now)?;
        }
        Ok(())
    }

    fn write(&self, dir: &Path) -> Result<(), KmsError> {
        let path = path(dir);
        let text = serde_json::to_vec_pretty(self).map(Zeroizing::new);
        let text = text.map_err(|error| io_error(&path)(error.into()))?;
        files::replace(&path, &text, Access::Owner).map_err(io_error(&path))
    }
}

/// Waits until no other thread or process changes what is in `dir`: keys or identities. Dropping the file
/// unlocks it.
pub(super) fn lock(dir: &Path) -> Result<File, KmsError> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(io_error(&path))?;
    file.lock().map_err(io_error(&path))?;
    Ok(file)
}

fn path(dir: &Path) -> PathBuf {
    dir.join(STATE_FILE)
}

fn no_key(dir: &Path) -> KmsError {
    KmsError::State { path: path(dir), what: "expected a key" }
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
mod tests;
