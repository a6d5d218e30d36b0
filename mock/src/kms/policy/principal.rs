//! Principals: who a statement, or a grant, is about.
//!
//! All callers of the local KMS are roles, by their ARN, and none is limited by an IAM policy. So an
//! account stands for every caller of it: what AWS leaves to the account's IAM policies, the attacker
//! in question is assumed to have.

use super::truth::Truth;

/// Digits of an account id.
const ACCOUNT_DIGITS: usize = 12;

/// Who is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) enum Principal {
    /// `*`.
    Everybody,
    /// An account id, or the ARN of its root: every caller of that account.
    Account(String),
    /// The ARN of a role.
    Role(String),
    /// A session of the role with this name and account. Whoever holds the role names its sessions, and
    /// requests do not say how: whether this is one of them is not known.
    Session { account: String, role: String },
    /// A user of the account: no caller of this KMS.
    User { account: String },
    /// A service or an identity provider: no caller either.
    Other,
}

impl Principal {
    /// Reads an entry of `"AWS"`, or a principal of a grant.
    ///
    /// As in AWS, a part of an ARN cannot be a wildcard.
    pub(in crate::kms) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everybody);
        }
        if is_account(text) {
            return Some(Self::Account(text.to_owned()));
        }
        if text.contains(['*', '?', '$']) {
            return None;
        }
        let [arn, partition, service, region, account, resource] =
            *text.splitn(6, ':').collect::<Vec<_>>().as_slice()
        else {
            return None;
        };
        let partition = matches!(partition, "aws" | "aws-cn" | "aws-us-gov");
        if arn != "arn" || !partition || !region.is_empty() || !is_account(account) {
            return None;
        }
        let account = account.to_owned();
        match (service, resource.split_once('/')) {
            ("iam", None) if resource == "root" => Some(Self::Account(account)),
            ("iam", Some(("role", name))) if !name.is_empty() => Some(Self::Role(text.to_owned())),
            ("iam", Some(("user", name))) if !name.is_empty() => Some(Self::User { account }),
            ("sts", Some(("assumed-role", session))) => {
                let (role, session) = session.split_once('/')?;
                let named = !role.is_empty() && !session.is_empty();
                named.then(|| Self::Session { account, role: role.to_owned() })
            }
            _ => None,
        }
    }

    /// Whether `caller`, the ARN of a role, is meant.
    pub(in crate::kms) fn is(&self, caller: &str) -> Truth {
        match self {
            Self::Everybody => Truth::Yes,
            Self::Account(id) => (account(caller) == id).into(),
            Self::Role(arn) => (arn == caller).into(),
            Self::Session { account: of, role } => {
                let name = caller.rsplit('/').next().unwrap_or_default();
                if account(caller) == of && name == role { Truth::Unknown } else { Truth::No }
            }
            Self::User { .. } | Self::Other => Truth::No,
        }
    }
}

/// The account of an ARN, which is its fifth part.
pub(in crate::kms) fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ENCLAVE: &str = "arn:aws:iam::111122223333:role/path/enclave";

    #[test]
    fn callers_are_told_apart() {
        for (text, expected) in [
            ("*", Truth::Yes),
            ("111122223333", Truth::Yes),
            ("444455556666", Truth::No),
            ("arn:aws:iam::111122223333:root", Truth::Yes),
            ("arn:aws:iam::444455556666:root", Truth::No),
            (ENCLAVE, Truth::Yes),
            ("arn:aws:iam::111122223333:role/enclave", Truth::No),
            ("arn:aws:iam::444455556666:role/path/enclave", Truth::No),
            ("arn:aws:iam::111122223333:user/enclave", Truth::No),
            ("arn:aws:sts::111122223333:assumed-role/enclave/i-0", Truth::Unknown),
            ("arn:aws:sts::111122223333:assumed-role/other/i-0", Truth::No),
            ("arn:aws:sts::444455556666:assumed-role/enclave/i-0", Truth::No),
        ] {
            assert_eq!(Principal::parse(text).unwrap().is(ENCLAVE), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_principal_is_refused() {
        for text in [
            "",
            "enclave",
            "11112222333",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/*",
            "arn:aws:iam::*:root",
            "arn:aws:iam::1111:root",
            "arn:other:iam::111122223333:root",
            "arn:aws:iam:eu-central-1:111122223333:root",
            "arn:aws:kms::111122223333:key/1",
            "arn:aws:sts::111122223333:assumed-role/enclave",
            "arn:aws:sts::111122223333:assumed-role/enclave/",
            "arn:aws:iam::111122223333:role/${aws:username}",
        ] {
            assert_eq!(Principal::parse(text), None, "{text}");
        }
    }
}
