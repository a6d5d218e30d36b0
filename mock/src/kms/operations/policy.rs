//! `GetKeyPolicy` and `PutKeyPolicy`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        blob::EncryptionContext,
        dice::Dice,
        error::ApiError,
        identity::Identities,
        object::nullable,
        policy::{AccessRequest, Decision, rewrite::rewritten},
        state::{KeyArn, Policy},
    },
    Call, find, nothing,
};

/// The only name of a key policy.
const NAME: &str = "default";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
    policy: String,
    #[serde(default, deserialize_with = "nullable")]
    bypass_policy_lockout_safety_check: bool,
}

/// The policy that AWS gives to a key that is created without one: all is left to the account's IAM
/// policies.
pub(super) fn default(account: &str) -> String {
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:aws:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

impl Call<'_> {
    pub(super) fn get_key_policy(&self, request: &GetKeyPolicy) -> Result<Value, ApiError> {
        let state = self.state()?;
        let key = find(&state, &request.key_id, self.caller)?;
        self.authorize(key)?;
        named(request.policy_name.as_deref())?;
        let policy = rewritten(&key.policy.text, Dice::new()?).ok_or(ApiError::Crypto)?;
        Ok(json!({"Policy": policy, "PolicyName": NAME}))
    }

    pub(super) fn put_key_policy(&self, request: PutKeyPolicy) -> Result<Value, ApiError> {
        let PutKeyPolicy { key_id, policy_name, policy, bypass_policy_lockout_safety_check } =
            request;
        named(policy_name.as_deref())?;
        self.change_key(&key_id, |key| {
            let policy = self.brought(policy)?;
            self.no_lockout(&policy, &key.arn, bypass_policy_lockout_safety_check)?;
            key.policy = policy;
            Ok(nothing())
        })
    }

    /// A policy of the caller's, whose principals exist.
    pub(super) fn brought(&self, text: String) -> Result<Policy, ApiError> {
        let policy = Policy::for_api(text)?;
        let identities = Identities::load(&self.kms.dir)?;
        if policy.parsed.principals().all(|principal| identities.may_have(principal)) {
            return Ok(policy);
        }
        Err(ApiError::invalid_principals())
    }

    /// Refuses a policy that does not let the caller put another one later, unless the caller wants that.
    pub(super) fn no_lockout(
        &self,
        policy: &Policy,
        arn: &KeyArn,
        bypass: bool,
    ) -> Result<(), ApiError> {
        let decision = policy.parsed.decide(&AccessRequest {
            caller: &self.caller.arn,
            action: "kms:PutKeyPolicy",
            resource: arn.as_str(),
            registers: None,
            encryption_context: &EncryptionContext::new(),
        });
        if bypass || decision == Decision::Allowed {
            return Ok(());
        }
        let message =
            "The new key policy will not allow you to update the key policy in the future.";
        Err(ApiError::MalformedPolicy(message.to_owned()))
    }
}

fn named(name: Option<&str>) -> Result<(), ApiError> {
    match name {
        None | Some(NAME) => Ok(()),
        Some(_) => Err(ApiError::NoSuch("policy name: expected default")),
    }
}
