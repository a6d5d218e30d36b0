//! A symmetric key: its material in versions, its policy, its grants.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use super::{
    super::{KmsError, PolicyError, grants::Grant},
    DAY_SECONDS, KeyPolicy,
};

/// The Amazon Resource Name of a key, as in `arn:aws:kms:eu-central-1:111122223333:key/…`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyArn(String);

impl KeyArn {
    pub(super) fn new(region: &str, account: &str, id: &str) -> Self {
        Self(format!("arn:aws:kms:{region}:{account}:key/{id}"))
    }

    /// The text of the ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region, which is the fourth part.
    pub(in crate::kms) fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    /// The account, which is the fifth part.
    pub(in crate::kms) fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// The key id, which is what follows `key/`.
    pub(in crate::kms) fn key_id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a new key is to be.
pub(in crate::kms) struct NewKey {
    pub(in crate::kms) policy: Policy,
    pub(in crate::kms) description: String,
    pub(in crate::kms) multi_region: bool,
}

/// A symmetric key. All times are Unix seconds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::kms) struct Key {
    pub(in crate::kms) arn: KeyArn,
    pub(in crate::kms) created_at: u64,
    pub(in crate::kms) description: String,
    pub(in crate::kms) multi_region: bool,
    pub(in crate::kms) state: KeyState,
    /// Absent: the key does not rotate by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::kms) rotation: Option<Rotation>,
    pub(in crate::kms) policy: Policy,
    pub(in crate::kms) grants: Vec<Grant>,
    /// At least one. What is encrypted now, is with the last; what was, with the one that its blob names
    /// by its place.
    pub(in crate::kms) materials: Vec<Material>,
}

/// Whether a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::kms) enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion { at: u64 },
}

/// When a key rotates by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::kms) struct Rotation {
    pub(in crate::kms) period_days: u32,
    pub(in crate::kms) next_at: u64,
}

impl Rotation {
    /// A rotation whose period begins at `now`.
    pub(in crate::kms) fn from(now: u64, period_days: u32) -> Self {
        let period = u64::from(period_days).saturating_mul(DAY_SECONDS);
        Self { period_days, next_at: now.saturating_add(period) }
    }
}

/// What made a version of the key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::kms) enum Trigger {
    Creation,
    Automatic,
    OnDemand,
}

/// A version of the key material.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::kms) struct Material {
    pub(in crate::kms) trigger: Trigger,
    pub(in crate::kms) created_at: u64,
    pub(in crate::kms) secret: Secret,
}

impl Material {
    fn generate(trigger: Trigger, now: u64) -> Result<Self, KmsError> {
        let mut secret = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(secret.as_mut_slice()).map_err(|_| KmsError::Crypto)?;
        Ok(Self { trigger, created_at: now, secret: Secret(secret) })
    }
}

/// 32 bytes; base64 in the file.
pub(in crate::kms) struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    pub(in crate::kms) fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.0.as_slice())))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(text.as_bytes()).map(Zeroizing::new);
        let bytes = bytes.ok().and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        bytes
            .map(|bytes| Self(Zeroizing::new(bytes)))
            .ok_or_else(|| D::Error::custom("expected key material of 32 bytes in base64"))
    }
}

/// A key policy, and its text as it was given.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[derive(Clone)]
pub(in crate::kms) struct Policy {
    pub(in crate::kms) text: String,
    pub(in crate::kms) parsed: KeyPolicy,
}

impl TryFrom<String> for Policy {
    type Error = PolicyError;

    fn try_from(text: String) -> Result<Self, PolicyError> {
        let parsed = KeyPolicy::parse(&text)?;
        Ok(Self { text, parsed })
    }
}

impl Policy {
    /// As a caller of the API brings it.
    pub(in crate::kms) fn for_api(text: String) -> Result<Self, PolicyError> {
        let parsed = KeyPolicy::parse_for_api(&text)?;
        Ok(Self { text, parsed })
    }
}

impl From<Policy> for String {
    fn from(policy: Policy) -> Self {
        policy.text
    }
}

impl Key {
    pub(super) fn generate(arn: KeyArn, new: NewKey, now: u64) -> Result<Self, KmsError> {
        let NewKey { policy, description, multi_region } = new;
        Ok(Self {
            arn,
            created_at: now,
            description,
            multi_region,
            state: KeyState::Enabled,
            rotation: None,
            policy,
            grants: Vec::new(),
            materials: vec![Material::generate(Trigger::Creation, now)?],
        })
    }

    pub(super) fn is_named(&self, id: &str, account: &str) -> bool {
        self.arn.as_str() == id || (self.arn.key_id() == id && self.arn.account() == account)
    }

    /// Whether it was to be deleted until `now`.
    pub(super) fn is_gone(&self, now: u64) -> bool {
        matches!(self.state, KeyState::PendingDeletion { at } if at <= now)
    }

    /// Whether something is to happen to it at `now`. Only a key that is enabled rotates.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let rotates = self.rotation.is_some_and(|rotation| rotation.next_at <= now);
        self.is_gone(now) || (rotates && self.state == KeyState::Enabled)
    }

    /// Makes new material, for all that is encrypted from now on. An automatic rotation starts the next
    /// period; one on demand leaves the schedule as it is.
    pub(in crate::kms) fn rotate(&mut self, trigger: Trigger, now: u64) -> Result<(), KmsError> {
        self.materials.push(Material::generate(trigger, now)?);
        if let (Trigger::Automatic, Some(rotation)) = (trigger, self.rotation) {
            self.rotation = Some(Rotation::from(now, rotation.period_days));
        }
        Ok(())
    }
}
