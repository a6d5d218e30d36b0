//! ARNs of IAM roles.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most characters of a role's name (IAM and STS quotas).
const MAX_NAME: usize = 64;
/// The most characters of a role's path (IAM and STS quotas).
const MAX_PATH: usize = 512;

/// The ARN of one IAM role: `arn:PARTITION:iam::ACCOUNT:role/[PATH/]NAME`, without wildcards.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn(String);

/// A text is not the ARN of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("role: expected arn:aws:iam::<12 digits>:role/NAME")]
pub struct ParseRoleArnError;

impl RoleArn {
    /// Reads the ARN of a role.
    ///
    /// # Errors
    /// Where it is anything else: a user, the account's root, a session, a pattern.
    pub fn parse(text: &str) -> Result<Self, ParseRoleArnError> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let [arn, partition, service, region, account, resource] = parts.as_slice() else {
            return Err(ParseRoleArnError);
        };
        let path_and_name = resource.strip_prefix("role/").unwrap_or_default();
        let (path, name) = path_and_name.rsplit_once('/').unwrap_or(("", path_and_name));
        let well_formed = *arn == "arn"
            && is_partition(partition)
            && *service == "iam"
            && region.is_empty()
            && is_account(account)
            && (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(is_of_a_name)
            && path.len() <= MAX_PATH
            // The printable ASCII characters but those that mean something in a policy.
            && path.bytes().all(|b| b.is_ascii_graphic() && !b"*?\"\\${}".contains(&b));
        if well_formed { Ok(Self(text.to_owned())) } else { Err(ParseRoleArnError) }
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What tells this role apart from others. Within an account IAM has but one role of a name, in
    /// any case and under any path.
    pub(super) fn identity(&self) -> RoleIdentity<'_> {
        let account = self.0.split(':').nth(4).unwrap_or_default();
        let name = self.0.rsplit('/').next().unwrap_or_default();
        RoleIdentity { account, name: name.to_ascii_lowercase() }
    }
}

/// A role by its meaning: equal for two ARNs of one role.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoleIdentity<'a> {
    account: &'a str,
    /// Lower case, without its path.
    name: String,
}

/// `aws`, `aws-cn`, `aws-us-gov`, …
fn is_partition(text: &str) -> bool {
    let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    text == "aws" || (text.len() <= 32 && text.starts_with("aws-") && text.bytes().all(named))
}

/// Whether a text is the id of an account: twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a text is the ARN of an account's root.
pub(super) fn is_account_root(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    matches!(
        parts.as_slice(),
        ["arn", partition, "iam", "", account, "root"]
            if is_partition(partition) && is_account(account)
    )
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RoleArn {
    type Err = ParseRoleArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RoleArn {
    type Error = ParseRoleArnError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<RoleArn> for String {
    fn from(role: RoleArn) -> Self {
        role.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn roles_and_nothing_else() {
        for role in [
            "arn:aws:iam::111122223333:role/strongroom-enclave",
            "arn:aws-us-gov:iam::111122223333:role/service/path/Name_+=,.@-",
        ] {
            assert_eq!(RoleArn::parse(role).unwrap().to_string(), role);
        }
        let long = format!("arn:aws:iam::111122223333:role/{}", "a".repeat(65));
        for other in [
            "",
            "*",
            "111122223333",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::111122223333:role/a?b",
            "arn:aws:iam::111122223333:role/p*/a",
            "arn:aws:iam::111122223333:role/${aws:username}",
            "arn:aws:iam::11112222333:role/a",
            "arn:aws:iam:eu-central-1:111122223333:role/a",
            "arn:aws:sts::111122223333:assumed-role/a/session",
            "arn:*:iam::111122223333:role/a",
            "arn:azure:iam::111122223333:role/a",
            "AROAEXAMPLEID",
            long.as_str(),
        ] {
            assert_eq!(RoleArn::parse(other), Err(ParseRoleArnError), "{other}");
        }
    }

    #[test]
    fn a_role_is_one_in_any_case_and_under_any_path() {
        let role = |text: &str| RoleArn::parse(text).unwrap();
        let enclave = role("arn:aws:iam::111122223333:role/enclave");
        let is_same = |text: &str| role(text).identity() == enclave.identity();
        assert!(is_same("arn:aws:iam::111122223333:role/path/Enclave"));
        assert!(!is_same("arn:aws:iam::444455556666:role/enclave"));
        assert!(!is_same("arn:aws:iam::111122223333:role/admin"));
    }
}
