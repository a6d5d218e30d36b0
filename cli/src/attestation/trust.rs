//! The arguments by which an attestation is judged.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use strongroom_attestation::expect::Expectations;
use strongroom_attestation::measure::{PCR_COUNT, Pcr};
use strongroom_attestation::verify::TrustAnchor;
use strongroom_shared::attestation::AttestationReply;
use strongroom_shared::time::UtcSeconds;

use super::Nonce;
use super::proof::Proof;
use crate::args;
use crate::error::Error;
use crate::files;
use crate::verify::{Attested, JudgedAt, Trust, VerifyError};

/// By what an attestation is judged.
#[derive(Args)]
pub(crate) struct TrustArgs {
    /// The root certificate; by default the one of AWS, which is built in. A development
    /// environment has its own, in mock/nsm/root.pem.
    #[arg(long, value_name = "PEM")]
    root: Option<PathBuf>,
    /// A register that the document must have: 0 is the image, 16 the configuration, 17 the policy.
    #[arg(long = "pcr", value_name = "N=HEX", value_parser = parse_pcr)]
    pcrs: Vec<(u16, Pcr)>,
    /// When certificates must be valid; by default now. They live for hours only: for a document from
    /// the past, give its time, or the word document for the time that it claims itself.
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
    /// Take an enclave in debug mode, whose console the host reads.
    #[arg(long)]
    allow_debug: bool,
}

/// A time that is given, or the document's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Time(UtcSeconds),
    Document,
}

impl FromStr for At {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "document" => Ok(Self::Document),
            _ => UtcSeconds::parse(text)
                .map(Self::Time)
                .ok_or("expected a UTC time such as 2026-11-21T10:00:00Z, or the word document"),
        }
    }
}

impl TrustArgs {
    /// The certificate under --root, if one was given.
    pub(super) fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Whether --at was given.
    pub(super) fn has_time(&self) -> bool {
        self.at.is_some()
    }

    pub(super) fn trust(&self) -> Result<Trust, Error> {
        let pcrs: BTreeMap<_, _> = self.pcrs.iter().copied().collect();
        if pcrs.len() != self.pcrs.len() {
            return Err(Error::Usage("--pcr: expected each register once"));
        }
        let anchor = match &self.root {
            None => TrustAnchor::aws(),
            Some(file) => {
                let text = files::read(file)?;
                TrustAnchor::from_pem(&String::from_utf8_lossy(&text)).map_err(VerifyError::Root)?
            }
        };
        let time = match self.at {
            None => JudgedAt::Now(args::now()),
            Some(At::Time(time)) => JudgedAt::Given(time),
            Some(At::Document) => JudgedAt::Document,
        };
        let expectations =
            Expectations { pcrs, allow_debug: self.allow_debug, ..Expectations::default() };
        Ok(Trust { anchor, time, expectations })
    }

    /// Verifies an attestation, and writes what that proves and what it does not.
    pub(crate) fn verify(
        &self,
        reply: &AttestationReply,
        nonce: Option<&Nonce>,
        out: &mut dyn Write,
    ) -> Result<Attested, Error> {
        let mut trust = self.trust()?;
        trust.expectations.nonce = nonce.map(Nonce::to_vec);
        let (attested, checked) = Attested::verify(reply, &trust)?;
        Proof::of(&trust, &checked, Some(attested.binding())).write(out)?;
        Ok(attested)
    }
}

/// Reads `0=<96 hex digits>`.
fn parse_pcr(text: &str) -> Result<(u16, Pcr), String> {
    let expected = "expected a register from 0 to 31, = and 96 hex digits";
    let (index, value) = text.split_once('=').ok_or(expected)?;
    let index = index.parse().ok().filter(|index| *index < PCR_COUNT).ok_or(expected)?;
    Ok((index, value.parse().map_err(|_| expected)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pcr_arguments() {
        let value = "ab".repeat(48);
        let (index, pcr) = parse_pcr(&format!("16={value}")).unwrap();
        assert_eq!((index, pcr.to_string()), (16, value.clone()));
        for wrong in ["", "16", &value, &format!("32={value}"), "0=ab", &format!("-1={value}")] {
            assert!(parse_pcr(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_register_is_given_once() {
        let trust = |pcrs| TrustArgs { root: None, pcrs, at: None, allow_debug: false };
        assert!(trust(vec![(0, Pcr::ZERO), (1, Pcr::ZERO)]).trust().is_ok());
        let twice = trust(vec![(0, Pcr::ZERO), (0, Pcr::new([1; 48]))]).trust();
        assert!(matches!(twice, Err(Error::Usage(_))));
    }

    #[test]
    fn a_time_or_the_documents_own() {
        let time = UtcSeconds::parse("2026-11-21T10:00:00Z").unwrap();
        assert_eq!("2026-11-21T10:00:00Z".parse(), Ok(At::Time(time)));
        assert_eq!("document".parse(), Ok(At::Document));
        for wrong in ["", "now", "Document", "2026-11-21", "2026-11-21T10:00:00+01:00"] {
            assert!(wrong.parse::<At>().is_err(), "{wrong}");
        }
    }
}
