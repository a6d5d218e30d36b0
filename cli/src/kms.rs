//! The KEK's key policy: writing it, and reading one for holes.

mod lint;
mod measured;

use std::io::Write;

use clap::{Args, Subcommand};
use strongroom_attestation::key_policy::{Changes, KeyPolicySpec, Release, RoleArn};
use strongroom_attestation::measure::Pcr;

use crate::error::Error;
use crate::outcome::Outcome;
use lint::LintArgs;
use measured::{MeasuredArgs, paired};

/// Write and check the key policy of the KEK in AWS KMS.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write a key policy that releases the DEK to measured enclaves only.
    ///
    /// Prints the policy (JSON) to standard output, and what to do with it to standard error. It lets the
    /// enclave roles Decrypt and GenerateDataKey with an attestation document of this image (PCR0),
    /// configuration (PCR16) and signing policy (PCR17) together, and look at the key; it lets the
    /// admin roles manage the key without using it. --pcr0, --config-pcr and --policy-pcr are required,
    /// or --measurements in their place; --released-to-nobody is for a key that is yet to be made.
    /// While an upgrade rolls give each of them several times: the first of each belong together, and
    /// so on; one that is given once goes with all. An immutable policy is for one image,
    /// configuration and signing policy.
    #[command(
        after_help = "Examples:\n  strongroom kms key-policy --released-to-nobody \\\n    --enclave-role arn:aws:iam::111122223333:role/strongroom-enclave \\\n    --admin-role arn:aws:iam::111122223333:role/strongroom-key-admin > key-policy.json\n  strongroom kms key-policy --pcr0 $IMAGE --config-pcr $CONFIG --policy-pcr $POLICY \\\n    --enclave-role arn:aws:iam::111122223333:role/strongroom-enclave \\\n    --admin-role arn:aws:iam::111122223333:role/strongroom-key-admin > key-policy.json\n  strongroom kms key-policy --measurements old.json --measurements new.json \\\n    --enclave-role … --admin-role … --changes break-glass > key-policy.json"
    )]
    KeyPolicy(KeyPolicyArgs),
    /// Find what in a key policy defeats attestation.
    ///
    /// Reads a key policy, or what `aws kms get-key-policy` prints, with the linter that the enclave
    /// runs at each boot. Tells each finding with its statement, what it is and how it is exploited. It is
    /// an allow-list: what it does not know is a finding, and Deny statements are not relied upon.
    /// With measurements the policy may release the DEK to these only; with admin roles these only may
    /// manage the key and change its policy. Without --admin-role any named role is taken for an admin
    /// that the DEK is not released through, while an enclave takes those of its configuration only.
    /// Where there is no finding the digest is told that the receipts of boots have. Grants are no part
    /// of a key policy: see `aws kms list-grants`. Exit code 0: no finding, 1: findings, 2: not
    /// linted (wrong usage, or a file that cannot be read).
    #[command(
        after_help = "Examples:\n  strongroom kms lint-policy key-policy.json\n  aws kms get-key-policy --key-id $KEY_ARN --policy-name default | \\\n    strongroom kms lint-policy - --measurements measurements.json --admin-role $ADMIN_ROLE --json"
    )]
    LintPolicy(LintArgs),
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        match self {
            Self::KeyPolicy(args) => {
                writeln!(out, "{}", args.policy()?)?;
                eprint!("{}", args.advice());
                Ok(Outcome::Done)
            }
            Self::LintPolicy(args) => args.run(out),
        }
    }
}

#[derive(Args)]
pub(crate) struct KeyPolicyArgs {
    #[command(flatten)]
    measured: MeasuredArgs,
    /// The parent's role as the NSM measures it, too: SHA-384 over the ARN of its IAM role.
    #[arg(long, value_name = "HEX")]
    pcr3: Vec<Pcr>,
    /// The certificate that signed the image, too.
    #[arg(long, value_name = "HEX")]
    pcr8: Vec<Pcr>,
    /// The role of the parent instance, whose credentials the enclave signs its calls with. Repeatable.
    #[arg(long = "enclave-role", value_name = "ARN", required = true)]
    enclave_roles: Vec<RoleArn>,
    /// A role that manages the key and cannot use it; not one of the enclave's. Repeatable.
    #[arg(long = "admin-role", value_name = "ARN", required = true)]
    admin_roles: Vec<RoleArn>,
    /// break-glass: the admin roles can change the policy, which CloudTrail shows. immutable: nobody
    /// can, so it takes one release only, and no --kek-change. The enclave's configuration says the
    /// same, as kms.key_policy.changes.
    #[arg(long, value_name = "HOW", default_value = "break-glass")]
    changes: Changes,
    /// Let the enclave roles Encrypt as well, to move a DEK to this KEK: for the boot with
    /// kms.previous_key_arn in its configuration. Write the policy without it afterwards: so it is
    /// for break-glass policies only.
    #[arg(long)]
    kek_change: bool,
    /// For `aws kms create-key`: a policy that releases the DEK to nobody yet, without measurements.
    /// One that releases it comes after: PCR16 is over the configuration, which names the key's ARN.
    /// For break-glass policies only.
    #[arg(long, conflicts_with_all = MeasuredArgs::NAMES, conflicts_with_all = ["pcr3", "pcr8", "kek_change"])]
    released_to_nobody: bool,
}

impl KeyPolicyArgs {
    fn policy(&self) -> Result<String, Error> {
        let measurements = self.measured.read()?;
        if measurements.is_empty() && !self.released_to_nobody {
            return Err(Error::Usage(
                "expected --pcr0, --config-pcr and --policy-pcr, or --measurements: the image alone would \
                 let the host boot it with a configuration or a policy of its own choice",
            ));
        }
        let several = measurements.len();
        let releases = measurements.into_iter().enumerate();
        let releases = releases.map(|(index, measurements)| {
            let pcr3 = paired("--pcr3", &self.pcr3, index, several)?;
            let pcr8 = paired("--pcr8", &self.pcr8, index, several)?;
            Ok(Release { measurements, pcr3, pcr8 })
        });
        let spec = KeyPolicySpec {
            releases: releases.collect::<Result<_, Error>>()?,
            enclave_roles: self.enclave_roles.clone(),
            admin_roles: self.admin_roles.clone(),
            changes: self.changes,
        };
        let text = match (self.released_to_nobody, self.kek_change) {
            (true, _) => spec.to_json_released_to_nobody(),
            (false, true) => spec.to_json_for_kek_change(),
            (false, false) => spec.to_json(),
        };
        Ok(text?)
    }

    fn advice(&self) -> String {
        if self.released_to_nobody {
            creation_advice(&self.admin_roles)
        } else {
            advice(self.changes, self.kek_change, &self.admin_roles)
        }
    }
}

/// What to do with the key policy of a key that is yet to be made.
fn creation_advice(admin_roles: &[RoleArn]) -> String {
    let configuration = configuration(Changes::BreakGlass, admin_roles);
    format!(
        "\nIn this order:\n\
         1. Create the key with this policy, as one of the admin roles (KMS takes no policy that its\n   \
         caller could not change again):\n     \
         aws kms create-key --description strongroom-kek --policy file://key-policy.json\n\
         2. Put the key's ARN into the enclave's configuration, as kms.key_arn, with\n{configuration}\
         3. Measure: PCR16 is over the configuration, so it is known only now.\n\
         4. Put the key policy that `strongroom kms key-policy` writes for the measurements.\n\
         Until then the DEK is released to nobody, and no enclave boots with this key.\n"
    )
}

/// What the enclave's configuration says of its key policy.
fn configuration(changes: Changes, admin_roles: &[RoleArn]) -> String {
    let admins: Vec<_> = admin_roles.iter().map(|role| format!("\"{role}\"")).collect();
    let admins = admins.join(", ");
    format!("  [kms.key_policy]\n  changes = \"{changes}\"\n  admin_roles = [{admins}]\n")
}

/// What to do with a key policy.
fn advice(changes: Changes, kek_change: bool, admin_roles: &[RoleArn]) -> String {
    let (who, bypass) = match changes {
        Changes::BreakGlass => (
            "as one of the admin roles (KMS takes no policy that its caller could not change again)",
            "",
        ),
        Changes::Immutable => (
            "with KMS's check against lock-out bypassed",
            " \\\n    --bypass-policy-lockout-safety-check",
        ),
    };
    let after = match changes {
        Changes::BreakGlass => {
            "Whoever has an admin role can open the key by another policy: alarm in CloudTrail on\n\
             PutKeyPolicy, CreateGrant and ScheduleKeyDeletion of this key.\n"
        }
        Changes::Immutable => {
            "WARNING: nobody of the account, its root included, can change this policy afterwards. An\n\
             image, configuration or signing policy that is not in it now never gets the DEK, and an enclave\n\
             refuses a policy with others than its configuration lists: no upgrade, no change of the signing\n\
             policy or of the KEK, for ever. Try it with a key that holds nothing.\n"
        }
    };
    let encrypt = if kek_change {
        "When the DEK has moved, put the policy that is written without --kek-change: until then the host\n\
         can encrypt a DEK that it knows, and only the dek_ids of the signing policy refuse it.\n"
    } else {
        ""
    };
    let configuration = configuration(changes, admin_roles);
    format!(
        "\nPut it on the key that the enclave's configuration names as kms.key_arn,\n{who}:\n  \
         aws kms put-key-policy --key-id $KEY_ARN --policy-name default \\\n    \
         --policy file://key-policy.json{bypass}\n\
         The configuration has, when it is measured:\n{configuration}{after}{encrypt}"
    )
}

#[cfg(test)]
mod tests;
