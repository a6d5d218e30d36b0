//! Rotation of key material, by itself and on demand.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        error::ApiError,
        state::{KeyState, Rotation, Trigger},
    },
    Call, OfKey, enabled, find, nothing,
    page::Page,
    validation,
};

const DEFAULT_PERIOD_DAYS: u32 = 365;
/// AWS KMS quotas, "On-demand rotation".
const MAX_ON_DEMAND: usize = 25;
/// By default, and at most.
const PAGE: [usize; 2] = [100, 1_000];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EnableKeyRotation {
    key_id: String,
    rotation_period_in_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListKeyRotations {
    key_id: String,
    #[serde(flatten)]
    page: Page,
}

impl Call<'_> {
    pub(super) fn enable_key_rotation(
        &self,
        request: &EnableKeyRotation,
    ) -> Result<Value, ApiError> {
        let days @ 90..=2560 = request.rotation_period_in_days.unwrap_or(DEFAULT_PERIOD_DAYS)
        else {
            return validation("rotation period in days: expected 90 to 2560");
        };
        self.change_key(&request.key_id, |key| {
            enabled(key)?;
            key.rotation = Some(Rotation::from(self.now.as_secs(), days));
            Ok(nothing())
        })
    }

    pub(super) fn disable_key_rotation(&self, request: &OfKey) -> Result<Value, ApiError> {
        self.change_key(&request.key_id, |key| {
            enabled(key)?;
            key.rotation = None;
            Ok(nothing())
        })
    }

    pub(super) fn get_key_rotation_status(&self, request: &OfKey) -> Result<Value, ApiError> {
        let state = self.state()?;
        let key = find(&state, &request.key_id, self.caller)?;
        self.authorize(key)?;
        // A key that is to be deleted does not rotate.
        let pending = matches!(key.state, KeyState::PendingDeletion { .. });
        Ok(match key.rotation.filter(|_| !pending) {
            None => json!({"KeyId": key.arn, "KeyRotationEnabled": false}),
            Some(Rotation { period_days, next_at }) => json!({
                "KeyId": key.arn,
                "KeyRotationEnabled": true,
                "RotationPeriodInDays": period_days,
                "NextRotationDate": next_at,
            }),
        })
    }

    pub(super) fn rotate_key_on_demand(&self, request: &OfKey) -> Result<Value, ApiError> {
        self.change_key(&request.key_id, |key| {
            enabled(key)?;
            let on_demand = key.materials.iter().filter(|m| m.trigger == Trigger::OnDemand);
            if on_demand.count() >= MAX_ON_DEMAND {
                let limit = format!("rotations on demand: expected at most {MAX_ON_DEMAND}");
                return Err(ApiError::LimitExceeded(limit));
            }
            key.rotate(Trigger::OnDemand, self.now.as_secs())?;
            Ok(json!({"KeyId": key.arn}))
        })
    }

    pub(super) fn list_key_rotations(&self, request: &ListKeyRotations) -> Result<Value, ApiError> {
        let state = self.state()?;
        let key = find(&state, &request.key_id, self.caller)?;
        self.authorize(key)?;
        let rotations = key.materials.iter().enumerate();
        let entries = rotations.filter_map(|(version, material)| {
            let kind = match material.trigger {
                Trigger::Creation => return None,
                Trigger::Automatic => "AUTOMATIC",
                Trigger::OnDemand => "ON_DEMAND",
            };
            let entry = json!({
                "KeyId": key.arn, "RotationDate": material.created_at, "RotationType": kind
            });
            Some((version.to_string(), entry))
        });
        request.page.of("Rotations", entries.collect(), PAGE)
    }
}
