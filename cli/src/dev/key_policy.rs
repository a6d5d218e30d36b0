//! Measurements, and the KMS key policy that releases the data key to them only.

use std::fmt;

use serde::{Deserialize, Serialize};
use strongroom_attestation::measure::{self, Pcr};

use super::DevError;

/// What an environment's enclave attests to: `measurements.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measurements {
    /// The image.
    pub(super) pcr0: Pcr,
    /// The measured configuration: enclave.toml.
    pub(super) pcr16: Pcr,
    /// The policy.
    pub(super) pcr17: Pcr,
}

impl Measurements {
    /// The registers that result from these exact bytes.
    pub(super) fn of(pcr0: Pcr, configuration: &[u8], policy: &[u8]) -> Self {
        Self {
            pcr0,
            pcr16: measure::extend_from_zero(configuration),
            pcr17: measure::extend_from_zero(policy),
        }
    }

    /// A key policy in the shape of AWS: attested Decrypt and GenerateDataKey, and nothing else.
    ///
    /// All three registers are needed: the image alone would let a host boot it with a configuration
    /// of its own, or with an older policy that a quorum once signed.
    pub(super) fn key_policy(&self) -> Result<Vec<u8>, DevError> {
        let policy = KeyPolicy {
            version: "2012-10-17",
            id: "strongroom-development",
            statement: [Statement {
                sid: "ReleaseToTheMeasuredEnclave",
                effect: "Allow",
                principal: Principal { aws: "*" },
                action: ["kms:Decrypt", "kms:GenerateDataKey"],
                resource: "*",
                condition: Condition { string_equals_ignore_case: self.into() },
            }],
        };
        super::pretty("key-policy.json", &policy)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyPolicy {
    version: &'static str,
    id: &'static str,
    statement: [Statement; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    principal: Principal,
    action: [&'static str; 2],
    resource: &'static str,
    condition: Condition,
}

#[derive(Serialize)]
struct Principal {
    #[serde(rename = "AWS")]
    aws: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    string_equals_ignore_case: Registers,
}

#[derive(Serialize)]
struct Registers {
    #[serde(rename = "kms:RecipientAttestation:ImageSha384")]
    pcr0: Pcr,
    #[serde(rename = "kms:RecipientAttestation:PCR16")]
    pcr16: Pcr,
    #[serde(rename = "kms:RecipientAttestation:PCR17")]
    pcr17: Pcr,
}

impl From<&Measurements> for Registers {
    fn from(&Measurements { pcr0, pcr16, pcr17 }: &Measurements) -> Self {
        Self { pcr0, pcr16, pcr17 }
    }
}

impl fmt::Display for Measurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pcr0, pcr16, pcr17 } = self;
        write!(
            f,
            "pcr0  (image)         {pcr0}\npcr16 (configuration) {pcr16}\npcr17 (policy)        {pcr17}"
        )
    }
}
