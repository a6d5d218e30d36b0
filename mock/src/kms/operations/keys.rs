//! Keys: made, described, enabled and disabled, deleted.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        error::ApiError,
        object::nullable,
        state::{DAY_SECONDS, Key, KeyState, NewKey},
    },
    Call, OfKey, SYMMETRIC_DEFAULT, find, not_pending_deletion, nothing, policy, validation,
};

const MAX_DESCRIPTION_BYTES: usize = 8_192;
/// The most keys, fewer than AWS's 100,000: each request reads them all.
const MAX_KEYS: usize = 256;
const DEFAULT_WINDOW_DAYS: u64 = 30;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateKey {
    policy: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    bypass_policy_lockout_safety_check: bool,
    #[serde(default, deserialize_with = "nullable")]
    description: String,
    key_spec: Option<String>,
    customer_master_key_spec: Option<String>,
    key_usage: Option<String>,
    origin: Option<String>,
    custom_key_store_id: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    multi_region: bool,
    #[serde(default, deserialize_with = "nullable")]
    tags: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ScheduleKeyDeletion {
    key_id: String,
    pending_window_in_days: Option<u64>,
}

impl CreateKey {
    /// Only what this KMS makes: symmetric keys of its own.
    fn check(&self) -> Result<(), ApiError> {
        let is = |found: &Option<String>, expected| found.as_deref().is_none_or(|f| f == expected);
        if !is(&self.key_spec, SYMMETRIC_DEFAULT)
            || !is(&self.customer_master_key_spec, SYMMETRIC_DEFAULT)
        {
            return Err(ApiError::Unsupported("key spec: expected SYMMETRIC_DEFAULT"));
        }
        if !is(&self.key_usage, "ENCRYPT_DECRYPT") {
            return Err(ApiError::Unsupported("key usage: expected ENCRYPT_DECRYPT"));
        }
        if !is(&self.origin, "AWS_KMS") || self.custom_key_store_id.is_some() {
            return Err(ApiError::Unsupported("origin: expected AWS_KMS"));
        }
        if !self.tags.is_empty() {
            return Err(ApiError::Unsupported("the local kms has no tags"));
        }
        if self.description.len() > MAX_DESCRIPTION_BYTES {
            return validation("description: expected at most 8192 bytes");
        }
        Ok(())
    }
}

impl Call<'_> {
    /// Of no key: any caller may. The key is of the caller's account.
    pub(super) fn create_key(&self, request: CreateKey) -> Result<Value, ApiError> {
        request.check()?;
        let CreateKey { policy, bypass_policy_lockout_safety_check: bypass, .. } = request;
        let CreateKey { description, multi_region, .. } = request;
        self.change(|state| {
            if state.keys.len() >= MAX_KEYS {
                let limit = format!("keys: expected at most {MAX_KEYS}");
                return Err(ApiError::LimitExceeded(limit));
            }
            let account = self.caller.account();
            let policy = policy.unwrap_or_else(|| policy::default(account));
            let policy = self.brought(policy)?;
            let new = NewKey { policy, description, multi_region };
            let key = state.add(account, new, self.now.as_secs())?;
            self.no_lockout(&key.policy, &key.arn, bypass)?;
            Ok(json!({"KeyMetadata": metadata(key)}))
        })
    }

    pub(super) fn describe_key(&self, request: &OfKey) -> Result<Value, ApiError> {
        let state = self.state()?;
        let key = find(&state, &request.key_id, self.caller)?;
        self.authorize(key)?;
        Ok(json!({"KeyMetadata": metadata(key)}))
    }

    pub(super) fn set_enabled(&self, request: &OfKey, enabled: bool) -> Result<Value, ApiError> {
        self.change_key(&request.key_id, |key| {
            not_pending_deletion(key)?;
            key.state = if enabled { KeyState::Enabled } else { KeyState::Disabled };
            Ok(nothing())
        })
    }

    pub(super) fn schedule_key_deletion(
        &self,
        request: &ScheduleKeyDeletion,
    ) -> Result<Value, ApiError> {
        let days @ 7..=30 = request.pending_window_in_days.unwrap_or(DEFAULT_WINDOW_DAYS) else {
            return validation("pending window in days: expected 7 to 30");
        };
        self.change_key(&request.key_id, |key| {
            not_pending_deletion(key)?;
            let at = self.now.as_secs().saturating_add(days.saturating_mul(DAY_SECONDS));
            key.state = KeyState::PendingDeletion { at };
            Ok(json!({
                "DeletionDate": at,
                "KeyId": key.arn,
                "KeyState": "PendingDeletion",
                "PendingWindowInDays": days,
            }))
        })
    }

    /// The key is disabled then.
    pub(super) fn cancel_key_deletion(&self, request: &OfKey) -> Result<Value, ApiError> {
        self.change_key(&request.key_id, |key| match key.state {
            KeyState::PendingDeletion { .. } => {
                key.state = KeyState::Disabled;
                Ok(json!({"KeyId": key.arn}))
            }
            KeyState::Enabled | KeyState::Disabled => {
                Err(ApiError::NotPendingDeletion(key.arn.clone()))
            }
        })
    }
}

/// AWS KMS API reference, KeyMetadata.
fn metadata(key: &Key) -> Value {
    let state = match key.state {
        KeyState::Enabled => "Enabled",
        KeyState::Disabled => "Disabled",
        KeyState::PendingDeletion { .. } => "PendingDeletion",
    };
    let mut metadata = json!({
        "AWSAccountId": key.arn.account(),
        "Arn": key.arn,
        "CreationDate": key.created_at,
        "CustomerMasterKeySpec": SYMMETRIC_DEFAULT,
        "Description": key.description,
        "Enabled": key.state == KeyState::Enabled,
        "EncryptionAlgorithms": [SYMMETRIC_DEFAULT],
        "KeyId": key.arn.key_id(),
        "KeyManager": "CUSTOMER",
        "KeySpec": SYMMETRIC_DEFAULT,
        "KeyState": state,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": key.multi_region,
        "Origin": "AWS_KMS",
    });
    if let Value::Object(members) = &mut metadata {
        if let KeyState::PendingDeletion { at } = key.state {
            members.insert("DeletionDate".to_owned(), at.into());
        }
        if key.multi_region {
            let configuration = json!({
                "MultiRegionKeyType": "PRIMARY",
                "PrimaryKey": {"Arn": key.arn, "Region": key.arn.region()},
                "ReplicaKeys": [],
            });
            members.insert("MultiRegionConfiguration".to_owned(), configuration);
        }
    }
    metadata
}
