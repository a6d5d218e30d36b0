//! Key policies of the KEK: written, and read for holes. The enclave (at boot) and the tool share it.
//!
//! | module | what |
//! | --- | --- |
//! | `canonical` | one form for all the ways in which one key policy is written |
//! | `actions` | the table of the actions that a key policy may name, and what the others give away |
//! | `generate` | [`KeyPolicySpec`] → the policy's text |
//! | `json`, `syntax` | the policy's text → statements, read strictly |
//! | `lint` | statements → [`Finding`]s |
//! | `release` | the attestation conditions of one statement |
//! | `hole`, `finding` | what can be wrong, how each is exploited, and where it was found |
//! | `role` | ARNs of IAM roles |
//!
//! [`lint`] is an allow-list: what it does not know is a finding. A key policy without a finding gives
//! the DEK to nobody but enclaves with the allowed measurements:
//!
//! 1. a key policy of KMS allows what one of its `Allow` statements allows; nothing is taken from
//!    `Deny` statements, which can only take away;
//! 2. each `Allow` names actions out of one table, without wildcards, and roles by their ARN;
//! 3. `kms:Decrypt` and `kms:GenerateDataKey` stand only where image (PCR0), configuration (PCR16) and
//!    policy (PCR17) are bound at once;
//! 4. `kms:PutKeyPolicy` stands nowhere, or as the break-glass: alone, and for admin roles;
//! 5. what manages the key is for admin roles, and never for the host's.
//!
//! Grants are no part of a key policy: whoever relies on one looks at `ListGrants` as well.

mod actions;
mod canonical;
mod finding;
mod generate;
mod hole;
mod json;
mod lint;
mod release;
mod role;
mod syntax;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::measure::{self, Pcr};

pub use canonical::canonical;
pub use finding::{Excerpt, Finding, Place};
pub use generate::{KeyPolicySpec, SpecError};
pub use hole::Hole;
pub use lint::{MAX_FINDINGS, lint, releases_to_somebody};
pub use role::{ParseRoleArnError, RoleArn};

/// The most bytes of a key policy (KMS resource quotas: 32 KB).
pub const MAX_KEY_POLICY_BYTES: usize = 32_768;

/// What an enclave must attest to: image, configuration and policy. All three are needed, for the
/// image alone would let a host boot it with a configuration of the host's own, or with an older
/// policy that a quorum once signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurements {
    /// The image: PCR0, which conditions also call `ImageSha384`.
    pub pcr0: Pcr,
    /// The measured configuration.
    pub pcr16: Pcr,
    /// The signing policy.
    pub pcr17: Pcr,
}

impl Measurements {
    /// What an image attests to that boots with exactly these bytes of configuration and policy.
    pub fn of(pcr0: Pcr, configuration: &[u8], policy: &[u8]) -> Self {
        Self {
            pcr0,
            pcr16: measure::extend_from_zero(configuration),
            pcr17: measure::extend_from_zero(policy),
        }
    }
}

/// One line for each register.
impl fmt::Display for Measurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pcr0, pcr16, pcr17 } = self;
        writeln!(f, "pcr0  (image)         {pcr0}")?;
        writeln!(f, "pcr16 (configuration) {pcr16}")?;
        write!(f, "pcr17 (policy)        {pcr17}")
    }
}

/// One release of the DEK: to these measurements, and where given to this signing certificate or
/// parent role as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Image, configuration and policy.
    pub measurements: Measurements,
    /// SHA-384 over the ARN of the parent instance's IAM role.
    pub pcr3: Option<Pcr>,
    /// The certificate that signed the image.
    pub pcr8: Option<Pcr>,
}

impl From<Measurements> for Release {
    fn from(measurements: Measurements) -> Self {
        Self { measurements, pcr3: None, pcr8: None }
    }
}

/// Whether a key policy can be changed. In text `immutable` and `break-glass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changes {
    /// By nobody of the account, its root included. (AWS itself can: its support restores access to
    /// keys that are locked out, after checks of its own.)
    Immutable,
    /// By the key admins, through a statement for `kms:PutKeyPolicy` alone, which CloudTrail shows.
    BreakGlass,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Immutable => "immutable",
            Self::BreakGlass => "break-glass",
        })
    }
}

/// A text is no [`Changes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("changes: expected immutable or break-glass")]
pub struct ParseChangesError;

impl FromStr for Changes {
    type Err = ParseChangesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "immutable" => Ok(Self::Immutable),
            "break-glass" => Ok(Self::BreakGlass),
            _ => Err(ParseChangesError),
        }
    }
}

/// Which measurements a key policy may release the DEK to.
#[derive(Clone, Copy, Debug)]
pub enum Releases<'a> {
    /// Any, as long as image, configuration and policy are bound together and none is zero.
    Complete,
    /// These and no others; it need not be all of them.
    Exactly(&'a [Measurements]),
}

/// By what a key policy is judged.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Whom the DEK may be released to.
    pub releases: Releases<'a>,
    /// Whether the policy may have a break-glass.
    pub changes: Changes,
    /// Whether a change to this KEK is under way: then roles may `Encrypt` under it.
    pub kek_change: bool,
    /// The roles that may manage the key and, as the break-glass, change its policy. `None`: any
    /// named role that the DEK is not released through.
    pub admins: Option<&'a [RoleArn]>,
}
