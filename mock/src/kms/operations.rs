//! The operations: JSON in, decision of the key policy and the grants, JSON out.
//!
//! A caller has whatever an IAM policy could give: what a key's policy leaves to IAM is allowed, and so
//! are the operations that have no key yet.

mod crypto;
mod grants;
mod keys;
mod page;
mod policy;
mod recipient;
mod rotation;

use std::collections::BTreeMap;

use rustls_pki_types::UnixTime;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Value, json};

use super::{
    LocalKms,
    attested::Recipient,
    blob::EncryptionContext,
    error::ApiError,
    grants::Grant,
    identity::Caller,
    object::Object,
    policy::{AccessRequest, Decision, principal::account},
    state::{Key, KeyState, State},
};

const SYMMETRIC_DEFAULT: &str = "SYMMETRIC_DEFAULT";

/// The action of a target, in the words of key policies; `None` for one that is not served here.
/// (`ReEncrypt` is two actions in a policy.)
pub(super) fn name(target: &str) -> Option<&'static str> {
    match target.strip_prefix("TrentService.")? {
        "CancelKeyDeletion" => Some("kms:CancelKeyDeletion"),
        "CreateGrant" => Some("kms:CreateGrant"),
        "CreateKey" => Some("kms:CreateKey"),
        "Decrypt" => Some("kms:Decrypt"),
        "DescribeKey" => Some("kms:DescribeKey"),
        "DisableKey" => Some("kms:DisableKey"),
        "DisableKeyRotation" => Some("kms:DisableKeyRotation"),
        "EnableKey" => Some("kms:EnableKey"),
        "EnableKeyRotation" => Some("kms:EnableKeyRotation"),
        "Encrypt" => Some("kms:Encrypt"),
        "GenerateDataKey" => Some("kms:GenerateDataKey"),
        "GenerateRandom" => Some("kms:GenerateRandom"),
        "GetKeyPolicy" => Some("kms:GetKeyPolicy"),
        "GetKeyRotationStatus" => Some("kms:GetKeyRotationStatus"),
        "ListGrants" => Some("kms:ListGrants"),
        "ListKeyRotations" => Some("kms:ListKeyRotations"),
        "PutKeyPolicy" => Some("kms:PutKeyPolicy"),
        "ReEncrypt" => Some("kms:ReEncrypt"),
        "RevokeGrant" => Some("kms:RevokeGrant"),
        "RotateKeyOnDemand" => Some("kms:RotateKeyOnDemand"),
        "ScheduleKeyDeletion" => Some("kms:ScheduleKeyDeletion"),
        _ => None,
    }
}

/// Answers one request of `caller`.
pub(super) fn answer(
    kms: &LocalKms,
    caller: &Caller,
    target: &str,
    body: &[u8],
    now: UnixTime,
) -> Result<Value, ApiError> {
    let action = name(target).ok_or(ApiError::UnknownOperation)?;
    check_required(action, body)?;
    let call = Call { kms, caller, action, now };
    match action {
        "kms:CancelKeyDeletion" => call.cancel_key_deletion(&parse(body)?),
        "kms:CreateGrant" => call.create_grant(parse(body)?),
        "kms:CreateKey" => call.create_key(parse(body)?),
        "kms:Decrypt" => call.decrypt(&parse(body)?),
        "kms:DescribeKey" => call.describe_key(&parse(body)?),
        "kms:DisableKey" => call.set_enabled(&parse(body)?, false),
        "kms:DisableKeyRotation" => call.disable_key_rotation(&parse(body)?),
        "kms:EnableKey" => call.set_enabled(&parse(body)?, true),
        "kms:EnableKeyRotation" => call.enable_key_rotation(&parse(body)?),
        "kms:Encrypt" => call.encrypt(&parse(body)?),
        "kms:GenerateDataKey" => call.generate_data_key(&parse(body)?),
        "kms:GenerateRandom" => call.generate_random(&parse(body)?),
        "kms:GetKeyPolicy" => call.get_key_policy(&parse(body)?),
        "kms:GetKeyRotationStatus" => call.get_key_rotation_status(&parse(body)?),
        "kms:ListGrants" => call.list_grants(&parse(body)?),
        "kms:ListKeyRotations" => call.list_key_rotations(&parse(body)?),
        "kms:PutKeyPolicy" => call.put_key_policy(parse(body)?),
        "kms:ReEncrypt" => call.re_encrypt(&parse(body)?),
        "kms:RevokeGrant" => call.revoke_grant(&parse(body)?),
        "kms:RotateKeyOnDemand" => call.rotate_key_on_demand(&parse(body)?),
        "kms:ScheduleKeyDeletion" => call.schedule_key_deletion(&parse(body)?),
        _ => Err(ApiError::UnknownOperation),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfKey {
    key_id: String,
}

/// What all operations need.
struct Call<'a> {
    kms: &'a LocalKms,
    caller: &'a Caller,
    action: &'static str,
    now: UnixTime,
}

/// What a caller wants of a key.
struct Access<'a> {
    action: &'static str,
    recipient: Option<&'a Recipient>,
    context: &'a EncryptionContext,
}

/// What lets a caller do something.
enum Authority<'a> {
    Policy,
    /// The policy does not; each of these grants does.
    Grants(Vec<&'a Grant>),
}

impl Call<'_> {
    fn state(&self) -> Result<State, ApiError> {
        Ok(State::load_at(&self.kms.dir, self.now.as_secs())?)
    }

    /// Changes the state, unless `change` fails.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        State::change_at(&self.kms.dir, self.now.as_secs(), change)
    }

    /// Changes a key, after a look at whether the caller may do that.
    fn change_key<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut Key) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.change(|state| {
            let key = state.key_mut(id, self.caller.account()).ok_or(ApiError::NotFound)?;
            self.authorize(key)?;
            change(key)
        })
    }

    /// Asks for this operation, which has no encryption context.
    fn authorize<'k>(&self, key: &'k Key) -> Result<Authority<'k>, ApiError> {
        let context = &EncryptionContext::new();
        self.authorize_access(key, &Access { action: self.action, recipient: None, context })
    }

    /// Asks the key policy and, when it says nothing, the grants.
    fn authorize_access<'k>(
        &self,
        key: &'k Key,
        access: &Access<'_>,
    ) -> Result<Authority<'k>, ApiError> {
        let Access { action, recipient, context } = *access;
        let caller = &self.caller.arn;
        let decision = key.policy.parsed.decide(&AccessRequest {
            caller,
            action,
            resource: key.arn.as_str(),
            registers: recipient.map(Recipient::registers),
            encryption_context: context,
        });
        let denied = |explicit| ApiError::AccessDenied {
            caller: session(caller),
            action,
            resource: key.arn.to_string(),
            explicit,
        };
        match decision {
            Decision::Allowed => Ok(Authority::Policy),
            Decision::ExplicitlyDenied => Err(denied(true)),
            Decision::NotAllowed => {
                let grants = key.grants.iter();
                let grants: Vec<_> =
                    grants.filter(|grant| grant.allows(caller, action, context)).collect();
                if grants.is_empty() { Err(denied(false)) } else { Ok(Authority::Grants(grants)) }
            }
        }
    }
}

/// The name that AWS gives to who calls as a role: a session of it.
fn session(role: &str) -> String {
    let name = role.rsplit('/').next().unwrap_or_default();
    let partition = role.split(':').nth(1).unwrap_or_default();
    format!("arn:{partition}:sts::{}:assumed-role/{name}/local-kms", account(role))
}

fn find<'s>(state: &'s State, id: &str, caller: &Caller) -> Result<&'s Key, ApiError> {
    state.key(id, caller.account()).ok_or(ApiError::NotFound)
}

/// AWS KMS Developer Guide, "Key states of AWS KMS keys".
fn enabled(key: &Key) -> Result<(), ApiError> {
    match key.state {
        KeyState::Enabled => Ok(()),
        KeyState::Disabled => Err(ApiError::Disabled(key.arn.clone())),
        KeyState::PendingDeletion { .. } => Err(ApiError::PendingDeletion(key.arn.clone())),
    }
}

fn not_pending_deletion(key: &Key) -> Result<(), ApiError> {
    match key.state {
        KeyState::Enabled | KeyState::Disabled => Ok(()),
        KeyState::PendingDeletion { .. } => Err(ApiError::PendingDeletion(key.arn.clone())),
    }
}

/// After all that could be refused has been looked at.
fn no_dry_run(dry_run: bool) -> Result<(), ApiError> {
    if dry_run { Err(ApiError::DryRun) } else { Ok(()) }
}

fn validation<T>(expected: &str) -> Result<T, ApiError> {
    Err(ApiError::Validation(expected.to_owned()))
}

/// The answer of an operation that says nothing.
fn nothing() -> Value {
    json!({})
}

/// Unknown members are ignored, as by the real KMS.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let request: Result<Object<T>, _> = serde_json::from_slice(body);
    request.map(|Object(request)| request).map_err(|_| ApiError::Serialization)
}

/// The members that a request must have (AWS KMS API reference); null is none.
fn check_required(action: &str, body: &[u8]) -> Result<(), ApiError> {
    let required: &[&str] = match action {
        "kms:CreateKey" | "kms:GenerateRandom" => &[],
        "kms:CreateGrant" => &["KeyId", "GranteePrincipal", "Operations"],
        "kms:Decrypt" => &["CiphertextBlob"],
        "kms:Encrypt" => &["KeyId", "Plaintext"],
        "kms:PutKeyPolicy" => &["KeyId", "Policy"],
        "kms:ReEncrypt" => &["CiphertextBlob", "DestinationKeyId"],
        "kms:RevokeGrant" => &["KeyId", "GrantId"],
        _ => &["KeyId"],
    };
    let members: Result<BTreeMap<String, Option<IgnoredAny>>, _> = serde_json::from_slice(body);
    let members = members.map_err(|_| ApiError::Serialization)?;
    let absent = required.iter().find(|name| !matches!(members.get(**name), Some(Some(_))));
    absent.map_or(Ok(()), |name| {
        Err(ApiError::Validation(format!(
            "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member \
             must not be null"
        )))
    })
}
