//! What a verified attestation proves, and what it does not.

use std::io::Write;

use strongroom_attestation::verify::TrustAnchor;
use strongroom_shared::attestation::Binding;

use crate::error::Error;
use crate::verify::{Checked, JudgedAt, Trust};

/// What is proven of a document, line by line.
pub(super) struct Proof {
    lines: Vec<Line>,
}

enum Line {
    Proven(String),
    NotProven(String),
    /// Not proven, and without it the rest is worth little.
    Warning(String),
}

impl Proof {
    /// What `checked` proves to who gave `trust`, with the binding, if it was verified too.
    pub(super) fn of(trust: &Trust, checked: &Checked, binding: Option<&Binding>) -> Self {
        let lines = [
            origin(trust, checked),
            freshness(trust),
            image(trust, checked),
            members(trust),
            vec![bound(binding)],
        ];
        Self { lines: lines.into_iter().flatten().collect() }
    }

    /// What is proven.
    pub(super) fn proven(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| line.is_proven()).map(Line::text).collect()
    }

    /// What is not.
    pub(super) fn not_proven(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| !line.is_proven()).map(Line::text).collect()
    }

    /// Writes it for people.
    pub(super) fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        for line in &self.lines {
            match line {
                Line::Proven(text) => writeln!(out, "proven: {text}"),
                Line::NotProven(text) => writeln!(out, "not proven: {text}"),
                Line::Warning(text) => writeln!(out, "WARNING: not proven: {text}"),
            }?;
        }
        Ok(())
    }
}

impl Line {
    fn is_proven(&self) -> bool {
        matches!(self, Self::Proven(_))
    }

    fn text(&self) -> &str {
        let (Self::Proven(text) | Self::NotProven(text) | Self::Warning(text)) = self;
        text
    }
}

/// Who vouches for the document, and as of when.
fn origin(trust: &Trust, checked: &Checked) -> Vec<Line> {
    let root =
        if trust.anchor == TrustAnchor::aws() { "the root of AWS" } else { "the given root" };
    let (module, made) = (checked.document().module_id().escape_default(), checked.made());
    let vouches = format!("{root} vouches for the attestation document of {module}");
    match trust.time {
        JudgedAt::Now(_) => vec![Line::Proven(format!("{vouches}, made {made}"))],
        JudgedAt::Given(time) => vec![
            Line::Proven(format!("{vouches}, made {made}")),
            Line::NotProven(format!(
                "that its certificates are valid now: they were valid at {time}"
            )),
        ],
        JudgedAt::Document => vec![
            Line::Proven(vouches),
            Line::NotProven(format!(
                "when it was made: its certificates were valid at {made}, which is its own claim"
            )),
        ],
    }
}

/// How old the document may be.
fn freshness(trust: &Trust) -> Vec<Line> {
    let age = match (trust.expectations.max_age, trust.time) {
        (Some(age), JudgedAt::Now(time) | JudgedAt::Given(time)) => {
            Some(Line::Proven(format!("it was at most {} seconds old at {time}", age.as_secs())))
        }
        _ => None,
    };
    let fresh = match trust.expectations.nonce {
        Some(_) => Line::Proven("the document is fresh: it carries the nonce".into()),
        None => Line::NotProven("that the document is fresh (no --nonce was given)".into()),
    };
    age.into_iter().chain([fresh]).collect()
}

/// Which enclave it is.
fn image(trust: &Trust, checked: &Checked) -> Vec<Line> {
    let mut lines = Vec::new();
    if trust.is_any_image() {
        lines.push(Line::Warning(
            "which image runs (no --pcr 0=HEX was given): AWS vouches for everybody's enclaves, \
             so this may be anybody's, and say anything"
                .into(),
        ));
    } else if !trust.expectations.pcrs.contains_key(&0) {
        lines.push(Line::NotProven("which image runs (no --pcr 0=HEX was given)".into()));
    }
    for index in trust.expectations.pcrs.keys() {
        lines.push(Line::Proven(format!("PCR{index} is as expected")));
    }
    if checked.document().is_debug() {
        lines.push(Line::Warning(
            "that the enclave keeps a secret: it runs in debug mode, and the host reads its console"
                .into(),
        ));
    }
    lines
}

fn members(trust: &Trust) -> Vec<Line> {
    let expected = &trust.expectations;
    [
        ("module id", expected.module_id.is_some()),
        ("user data", expected.user_data.is_some()),
        ("public key", expected.public_key.is_some()),
    ]
    .into_iter()
    .filter(|(_, expected)| *expected)
    .map(|(member, _)| Line::Proven(format!("its {member} is as expected")))
    .collect()
}

fn bound(binding: Option<&Binding>) -> Line {
    let Some(binding) = binding else {
        return Line::NotProven(
            "which boot, receipt key, policy and DEK: the document came without its binding".into(),
        );
    };
    let Binding { version: _, boot_id, receipt_key: _, policy, configuration, dek_id } = binding;
    Line::Proven(format!(
        "it binds boot {boot_id} and its receipt key, policy {policy}, configuration \
         {configuration}, DEK {dek_id}"
    ))
}
