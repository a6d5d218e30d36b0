//! `strongroom kms lint-policy`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};
use strongroom_attestation::key_policy::{
    Changes, Finding, Releases, RoleArn, Rules, canonical, lint, releases_to_somebody,
};
use strongroom_shared::digest::Digest;

use super::measured::MeasuredArgs;
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;

#[derive(Args)]
pub(crate) struct LintArgs {
    /// The key policy, or what `aws kms get-key-policy` prints; - is standard input.
    file: PathBuf,
    #[command(flatten)]
    measured: MeasuredArgs,
    /// What the enclave's configuration says as kms.key_policy.changes. With immutable a
    /// kms:PutKeyPolicy is a finding.
    #[arg(long, value_name = "HOW", default_value = "break-glass")]
    changes: Changes,
    /// An admin role, as the enclave's configuration lists them as kms.key_policy.admin_roles. A
    /// statement that lets another role manage the key or change the policy is a finding. Without it
    /// any named role is taken that the DEK is not released through, while an enclave takes those of
    /// its configuration only. Repeatable.
    #[arg(long = "admin-role", value_name = "ARN")]
    admin_roles: Vec<RoleArn>,
    /// The policy is of the KEK that a DEK is being moved to: roles may Encrypt.
    #[arg(long)]
    kek_change: bool,
    /// Print {"digest","findings":[{"statement","sid","code","what","about","exploit"}]}.
    /// With findings the digest stands for nothing: a text without them may have the same.
    #[arg(long)]
    json: bool,
}

impl LintArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let not_linted = |error| Error::NotLinted(Box::new(error));
        let measurements = self.measured.read().map_err(not_linted)?;
        let bytes = files::read(&self.file).map_err(not_linted)?;
        let releases = if measurements.is_empty() {
            Releases::Complete
        } else {
            Releases::Exactly(&measurements)
        };
        let rules = Rules {
            releases,
            changes: self.changes,
            kek_change: self.kek_change,
            admins: (!self.admin_roles.is_empty()).then_some(&self.admin_roles),
        };
        let policy = policy(&bytes);
        let findings = lint(&policy, &rules);
        let digest = canonical(&policy).map(|form| Digest::of(&form));
        if self.json {
            let findings = findings.iter().map(FindingLine::from).collect();
            files::write_json(&Report { digest, findings }, out)?;
        } else {
            write(&findings, out)?;
            if findings.is_empty() {
                let to = released_to(&policy, rules.releases);
                writeln!(out, "no finding: {to}; changes: {}", rules.changes)?;
                // Only here: a text with findings may have the form of another, which has none.
                if let Some(digest) = digest {
                    writeln!(out, "digest: {digest}, as receipts of boots have it")?;
                }
            }
        }
        Ok(if findings.is_empty() { Outcome::Done } else { Outcome::NotValid })
    }
}

/// What `aws kms get-key-policy` prints.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct GetKeyPolicy {
    policy: String,
    #[serde(rename = "PolicyName")]
    _policy_name: Option<String>,
}

/// The text of the policy. Bytes that are not UTF-8 are no JSON, as little as no text at all.
fn policy(bytes: &[u8]) -> String {
    match serde_json::from_slice(bytes) {
        Ok(GetKeyPolicy { policy, .. }) => policy,
        Err(_) => String::from_utf8(bytes.to_vec()).unwrap_or_default(),
    }
}

fn write(findings: &[Finding], out: &mut dyn Write) -> Result<(), Error> {
    for Finding { statement, hole, about } in findings {
        match statement {
            Some(place) => writeln!(out, "{place}: {}", hole.code())?,
            None => writeln!(out, "document: {}", hole.code())?,
        }
        match about {
            Some(about) => writeln!(out, "  what:    {hole}: {about}")?,
            None => writeln!(out, "  what:    {hole}")?,
        }
        writeln!(out, "  exploit: {}", hole.exploit())?;
    }
    match findings.len() {
        0 => {}
        1 => writeln!(out, "1 finding")?,
        several => writeln!(out, "{several} findings")?,
    }
    Ok(())
}

/// Whom a policy without a finding releases the DEK to.
fn released_to(policy: &str, releases: Releases<'_>) -> &'static str {
    match releases {
        _ if !releases_to_somebody(policy) => {
            "the DEK is released to nobody: no statement allows kms:Decrypt or kms:GenerateDataKey"
        }
        Releases::Complete => {
            "the DEK is released to image, configuration and policy bound together"
        }
        Releases::Exactly(_) => "the DEK is released to the given measurements only",
    }
}

#[derive(Serialize)]
struct Report<'a> {
    /// Of the canonical form; null where there is none. Where there is no finding receipts of boots
    /// have the same; with findings it stands for nothing, as a text without them may share the form.
    digest: Option<Digest>,
    findings: Vec<FindingLine<'a>>,
}

#[derive(Serialize)]
struct FindingLine<'a> {
    /// Counted from 1; null where it is the document.
    statement: Option<usize>,
    sid: Option<&'a str>,
    code: &'static str,
    what: String,
    about: Option<&'a str>,
    exploit: &'static str,
}

impl<'a> From<&'a Finding> for FindingLine<'a> {
    fn from(Finding { statement, hole, about }: &'a Finding) -> Self {
        let place = statement.as_ref();
        Self {
            statement: place.map(|place| place.number),
            sid: place.and_then(|place| place.sid.as_ref()).map(|sid| sid.as_str()),
            code: hole.code(),
            what: hole.to_string(),
            about: about.as_ref().map(|about| about.as_str()),
            exploit: hole.exploit(),
        }
    }
}
