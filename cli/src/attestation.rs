//! Attestation documents: fetching them, and the arguments by which they are judged.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use strongroom_attestation::measure::{PCR_COUNT, Pcr};
use strongroom_attestation::verify::TrustAnchor;
use strongroom_shared::attestation::AttestationReply;
use strongroom_shared::encoding::{Base64, parse_hex};
use strongroom_shared::json;
use strongroom_shared::time::UtcSeconds;

use crate::args;
use crate::error::Error;
use crate::files;
use crate::http::{Client, Server};
use crate::key::KeyError;
use crate::outcome::Outcome;
use crate::verify::{Attested, Trust, VerifyError};

/// The bytes of a nonce that this tool makes.
const NONCE_BYTES: usize = 32;

/// Fetch attestation documents.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Ask the enclave for an attestation document.
    ///
    /// Prints {"document","binding","nonce"}: the document and the bytes that it binds (base64), and
    /// the nonce that was asked for (hex). It is verified by `strongroom addresses verify` and
    /// `strongroom receipt verify`, which take the file as --attestation.
    #[command(
        after_help = "Example:\n  strongroom attestation fetch --url http://127.0.0.1:8480 > attestation.json"
    )]
    Fetch {
        #[command(flatten)]
        server: Server,
        /// The nonce, 16 to 512 bytes in hex; by default 32 random bytes.
        #[arg(long, value_name = "HEX")]
        nonce: Option<Nonce>,
    },
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let Self::Fetch { server, nonce } = self;
        let nonce = nonce.clone().map_or_else(Nonce::random, Ok)?;
        let AttestationReply { document, binding } = fetch(&server.client()?, &nonce)?;
        let file = AttestationFile { document, binding, nonce: Some(nonce.to_string()) };
        files::write_json(&file, out)?;
        Ok(Outcome::Done)
    }
}

/// What `attestation fetch` prints. The nonce in it is a note: only one that the verifier has from
/// somewhere else shows that a document is fresh.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttestationFile {
    document: Base64,
    binding: Base64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

/// Asks for a document with this nonce.
pub(crate) fn fetch(client: &Client, nonce: &Nonce) -> Result<AttestationReply, Error> {
    client.get_json("attestation", &format!("/v1/attestation?nonce={nonce}"))
}

/// Reads what `attestation fetch` printed, or what `GET /v1/attestation` answered.
pub(crate) fn read(file: &Path) -> Result<AttestationReply, Error> {
    let AttestationFile { document, binding, nonce: _ } =
        json::parse("attestation", &files::read(file)?)?;
    Ok(AttestationReply { document, binding })
}

/// A nonce: 16 to 512 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nonce(Vec<u8>);

impl Nonce {
    /// A nonce that nobody has seen.
    pub(crate) fn random() -> Result<Self, KeyError> {
        let mut bytes = vec![0; NONCE_BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Library("give random bytes"))?;
        Ok(Self(bytes))
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.0.clone()
    }
}

impl std::fmt::Display for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl std::str::FromStr for Nonce {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex(text)
            .filter(|bytes| (16..=512).contains(&bytes.len()))
            .map(Self)
            .ok_or_else(|| "expected 16 to 512 bytes in hex".into())
    }
}

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
    /// the past, give its time.
    #[arg(long, value_name = "TIME")]
    at: Option<UtcSeconds>,
    /// Take an enclave in debug mode, whose console the host reads.
    #[arg(long)]
    allow_debug: bool,
}

impl TrustArgs {
    fn trust(&self) -> Result<Trust, Error> {
        let anchor = match &self.root {
            None => TrustAnchor::aws(),
            Some(file) => {
                let text = files::read(file)?;
                TrustAnchor::from_pem(&String::from_utf8_lossy(&text)).map_err(VerifyError::Root)?
            }
        };
        let pcrs: BTreeMap<_, _> = self.pcrs.iter().copied().collect();
        if pcrs.len() != self.pcrs.len() {
            return Err(Error::Usage("--pcr: expected each register once"));
        }
        let at = self.at.unwrap_or_else(args::now);
        Ok(Trust { anchor, pcrs, allow_debug: self.allow_debug, at })
    }

    /// Verifies an attestation, and writes what that proves and what it does not.
    pub(crate) fn verify(
        &self,
        reply: &AttestationReply,
        nonce: Option<&Nonce>,
        out: &mut dyn Write,
    ) -> Result<Attested, Error> {
        let trust = self.trust()?;
        let attested = Attested::verify(reply, &trust, nonce.map(Nonce::to_vec))?;
        self.write_proof(&attested, nonce.is_some(), out)?;
        Ok(attested)
    }

    fn write_proof(
        &self,
        attested: &Attested,
        fresh: bool,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let root = if self.root.is_some() { "the given root" } else { "the root of AWS" };
        let (module, made) = (attested.module_id(), attested.made());
        writeln!(
            out,
            "proven: {root} vouches for the attestation document of {module}, made {made}"
        )?;
        if fresh {
            writeln!(out, "proven: the document is fresh: it carries the nonce")?;
        } else {
            writeln!(out, "not proven: that the document is fresh (no --nonce was given)")?;
        }
        if self.pcrs.is_empty() {
            writeln!(out, "not proven: which image runs (no --pcr was given)")?;
        }
        for (index, _) in &self.pcrs {
            writeln!(out, "proven: PCR{index} is as expected")?;
        }
        if attested.is_debug() {
            writeln!(out, "WARNING: the enclave runs in debug mode, and keeps no secret")?;
        }
        let binding = attested.binding();
        writeln!(out, "proven: it binds boot {}, policy {}", binding.boot_id, binding.policy)?;
        writeln!(
            out,
            "        and configuration {}, DEK {}",
            binding.configuration, binding.dek_id
        )?;
        Ok(())
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
    fn nonces() {
        assert_ne!(Nonce::random().unwrap(), Nonce::random().unwrap());
        let text = "ab".repeat(16);
        assert_eq!(text.parse::<Nonce>().unwrap().to_string(), text);
        assert!("ab".repeat(15).parse::<Nonce>().is_err());
        assert!("ab".repeat(513).parse::<Nonce>().is_err());
        assert!("zz".repeat(16).parse::<Nonce>().is_err());
    }

    #[test]
    fn a_nonce_in_a_file_is_no_more_than_a_note() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("attestation.json");
        std::fs::write(&file, r#"{"document":"AQI=","binding":"AQI=","nonce":"00"}"#).unwrap();
        assert_eq!(read(&file).unwrap().document.0, [1, 2]);
        std::fs::write(&file, r#"{"document":"AQI=","binding":"AQI=","other":"00"}"#).unwrap();
        assert!(matches!(read(&file), Err(Error::Json(_))));
    }
}
