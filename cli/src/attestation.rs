//! Attestation documents: fetching them, and verifying them.

mod evidence;
mod proof;
mod report;
mod trust;
mod verify;

use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use strongroom_shared::attestation::AttestationReply;
use strongroom_shared::encoding::{Base64, parse_hex};
use strongroom_shared::json::{self, JsonError};

use crate::error::Error;
use crate::files;
use crate::http::{Client, Server};
use crate::key::KeyError;
use crate::outcome::Outcome;
pub(crate) use trust::TrustArgs;
use verify::VerifyArgs;

/// The bytes of a nonce that this tool makes.
const NONCE_BYTES: usize = 32;

/// Fetch and verify attestation documents.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Ask the enclave for an attestation document.
    ///
    /// Prints {"document","binding","nonce"}: the document and the bytes that it binds (base64), and
    /// the nonce that was asked for (hex). It is verified by `strongroom attestation verify`, and by
    /// `strongroom addresses verify` and `strongroom receipt verify`, which take the file as
    /// --attestation.
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
    /// Verify an attestation document, and show what is in it.
    ///
    /// Verifies the syntax, the certificates up to the root, the signature, and whatever else is
    /// asked for below; then prints what the document says, what that proves and what it does not. FILE is
    /// raw CBOR, base64, hex, or what `strongroom attestation fetch` printed, of which the binding is verified
    /// too. With --url it asks for a document now, with a nonce of its own. Exit 0: valid; 1: not, with
    /// the step that failed; 2: wrong arguments.
    #[command(
        after_help = "Examples:\n  strongroom attestation verify --url http://127.0.0.1:8480 --root env/mock/nsm/root.pem\n  strongroom attestation verify document.cbor --pcr 0=<96 hex digits> --nonce 00112233445566778899aabbccddeeff --max-age 5m\n  strongroom attestation verify old.b64 --at document --json"
    )]
    Verify(Box<VerifyArgs>),
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        match self {
            Self::Fetch { server, nonce } => {
                let nonce = nonce.clone().map_or_else(Nonce::random, Ok)?;
                let AttestationReply { document, binding } = fetch(&server.client()?, &nonce)?;
                let file = AttestationFile { document, binding, nonce: Some(nonce.to_string()) };
                files::write_json(&file, out)?;
                Ok(Outcome::Done)
            }
            Self::Verify(args) => args.run(out),
        }
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
    Ok(parse(&files::read(file)?)?)
}

fn parse(bytes: &[u8]) -> Result<AttestationReply, JsonError> {
    let AttestationFile { document, binding, nonce: _ } = json::parse("attestation", bytes)?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
