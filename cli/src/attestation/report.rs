//! The verdict on a document, for people and for programs.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;
use strongroom_attestation::measure::Pcr;
use strongroom_shared::attestation::Binding;
use strongroom_shared::digest::Digest;
use strongroom_shared::time::UtcSeconds;

use super::proof::Proof;
use super::verify::Valid;
use crate::error::Error;
use crate::files;
use crate::verify::{JudgedAt, Step, Trust, VerifyError};

/// The most bytes that are shown as they are; of more the digest is shown.
const SHOWN_BYTES: usize = 64;

/// What --json prints. Of a document that is not valid nothing is repeated.
#[derive(Serialize)]
struct Report<'a> {
    valid: bool,
    step: Option<u8>,
    error: Option<String>,
    #[serde(flatten)]
    document: Document<'a>,
    binding: Option<&'a Binding>,
    proven: Vec<&'a str>,
    not_proven: Vec<&'a str>,
}

/// What a valid document says; bytes are in hex.
#[derive(Default, Serialize)]
struct Document<'a> {
    module_id: Option<&'a str>,
    timestamp: Option<UtcSeconds>,
    pcrs: Option<&'a BTreeMap<u16, Pcr>>,
    user_data: Option<String>,
    nonce: Option<String>,
    public_key: Option<String>,
}

pub(super) fn write_json(
    verdict: Result<&Valid, &VerifyError>,
    trust: &Trust,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match verdict {
        Ok(Valid { checked, binding }) => {
            let document = checked.document();
            let proof = Proof::of(trust, checked, binding.as_ref());
            let report = Report {
                valid: true,
                step: None,
                error: None,
                document: Document {
                    module_id: Some(document.module_id()),
                    timestamp: Some(checked.made()),
                    pcrs: Some(document.pcrs()),
                    user_data: document.user_data().map(hex::encode),
                    nonce: document.nonce().map(hex::encode),
                    public_key: document.public_key().map(hex::encode),
                },
                binding: binding.as_ref(),
                proven: proof.proven(),
                not_proven: proof.not_proven(),
            };
            files::write_json(&report, out)
        }
        Err(error) => {
            let report = Report {
                valid: false,
                step: error.step().map(Step::number),
                error: Some(error.to_string()),
                document: Document::default(),
                binding: None,
                proven: Vec::new(),
                not_proven: Vec::new(),
            };
            files::write_json(&report, out)
        }
    }
}

pub(super) fn write_not_valid(error: &VerifyError, out: &mut dyn Write) -> Result<(), Error> {
    match error.step() {
        Some(step) => writeln!(out, "not valid: {step}: {error}")?,
        None => writeln!(out, "not valid: {error}")?,
    }
    if let Some(help) = error.help() {
        writeln!(out, "help: {help}")?;
    }
    Ok(())
}

pub(super) fn write_valid(valid: &Valid, trust: &Trust, out: &mut dyn Write) -> Result<(), Error> {
    let Valid { checked, binding } = valid;
    let document = checked.document();
    let mut row = |name: &str, value: &str| writeln!(out, "{name:<13} {}", value.trim_end());
    row("valid", "the document is genuine, and says what was asked for")?;
    row("module", &document.module_id().escape_default().to_string())?;
    let claimed = if trust.time == JudgedAt::Document { " (its own claim)" } else { "" };
    row("made", &format!("{}{claimed}", checked.made()))?;
    for (index, pcr) in document.pcrs().iter().filter(|(_, pcr)| !pcr.is_zero()) {
        row(&format!("PCR{index}"), &format!("{pcr} {}", register(*index)))?;
    }
    row("user data", &shown(document.user_data()))?;
    row("nonce", &shown(document.nonce()))?;
    row("public key", &shown(document.public_key()))?;
    if let Some(binding) = binding {
        let Binding { version: _, boot_id, receipt_key, policy, configuration, dek_id } = binding;
        row("boot", boot_id.as_str())?;
        row("receipt key", &format!("{receipt_key:?}"))?;
        row("policy", &policy.to_string())?;
        row("configuration", &configuration.to_string())?;
        row("DEK", &dek_id.to_string())?;
    }
    Proof::of(trust, checked, binding.as_ref()).write(out)
}

/// What is measured in a register: 0 to 8 by AWS, 16 and 17 by Strongroom.
fn register(index: u16) -> &'static str {
    match index {
        0 => "image",
        1 => "kernel",
        2 => "application",
        3 => "role",
        4 => "instance",
        8 => "signing certificate",
        16 => "configuration",
        17 => "policy",
        _ => "",
    }
}

fn shown(member: Option<&[u8]>) -> String {
    match member {
        None => "none".into(),
        Some([]) => "0 bytes".into(),
        Some(bytes) if bytes.len() <= SHOWN_BYTES => {
            format!("{} bytes, {}", bytes.len(), hex::encode(bytes))
        }
        Some(bytes) => format!("{} bytes, {}", bytes.len(), Digest::of(bytes)),
    }
}
