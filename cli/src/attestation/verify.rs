//! `strongroom attestation verify`: one document, judged by what was asked for.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use strongroom_shared::attestation::Binding;
use strongroom_shared::encoding::parse_hex;

use super::evidence::Evidence;
use super::report;
use super::{Nonce, TrustArgs, fetch};
use crate::args::parse_duration;
use crate::error::Error;
use crate::files;
use crate::http::OptionalServer;
use crate::outcome::Outcome;
use crate::verify::{Checked, JudgedAt, Trust, VerifyError};

/// The label of a public key in PEM (RFC 7468, section 13).
const PUBLIC_KEY: &str = "PUBLIC KEY";

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The document; - for standard input.
    #[arg(required_unless_present = "url", conflicts_with = "url")]
    file: Option<PathBuf>,
    #[command(flatten)]
    server: OptionalServer,
    /// The nonce that the document was asked for with, 16 to 512 bytes in hex.
    #[arg(long, value_name = "HEX", conflicts_with = "url")]
    nonce: Option<Nonce>,
    /// The user data that the document must carry, 1 to 512 bytes in hex.
    #[arg(long, value_name = "HEX")]
    user_data: Option<UserData>,
    /// The public key that the document must carry: a file with its bytes, or with PEM of a PUBLIC KEY.
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// The module that the document must be from, such as i-07e25f3bada361dec-enc0181d3dff86da785.
    #[arg(long, value_name = "ID")]
    module_id: Option<String>,
    /// How old the document may be, as of now or --at: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    max_age: Option<Duration>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// 1 to 512 bytes in hex.
#[derive(Clone)]
struct UserData(Vec<u8>);

impl std::str::FromStr for UserData {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_hex(text)
            .filter(|bytes| (1..=512).contains(&bytes.len()))
            .map(Self)
            .ok_or("expected 1 to 512 bytes in hex")
    }
}

/// A document that is valid, and what it binds, if that was there to be verified.
pub(super) struct Valid {
    pub(super) checked: Checked,
    pub(super) binding: Option<Binding>,
}

impl VerifyArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let mut trust = self.trust()?;
        let verdict = match self.server.server() {
            Some(server) => {
                let nonce = Nonce::random()?;
                trust.expectations.nonce = Some(nonce.to_vec());
                judge(Evidence::from(fetch(&server.client()?, &nonce)?), &trust)
            }
            None => {
                let file = self.file.as_deref().ok_or(Error::Usage("expected FILE or --url"))?;
                Evidence::recognise(files::read(file)?).and_then(|evidence| judge(evidence, &trust))
            }
        };
        match (&verdict, self.json) {
            (verdict, true) => report::write_json(verdict.as_ref(), &trust, out)?,
            (Ok(valid), false) => report::write_valid(valid, &trust, out)?,
            (Err(error), false) => report::write_not_valid(error, out)?,
        }
        Ok(if verdict.is_ok() { Outcome::Done } else { Outcome::NotValid })
    }

    /// All that the document is judged by, but a nonce that is yet to be made.
    fn trust(&self) -> Result<Trust, Error> {
        let files = [self.file.as_deref(), self.public_key.as_deref(), self.trust.root()];
        if files.into_iter().flatten().filter(|file| *file == Path::new("-")).count() > 1 {
            return Err(Error::Usage("-: expected one file to be standard input"));
        }
        if self.server.server().is_some() && self.trust.has_time() {
            return Err(Error::Usage("--at: is for a FILE; what --url answers is judged now"));
        }
        let mut trust = self.trust.trust()?;
        if trust.time == JudgedAt::Document && self.max_age.is_some() {
            return Err(Error::Usage(
                "--max-age: needs a time of yours; by its own time every document is new",
            ));
        }
        let expected = &mut trust.expectations;
        expected.nonce = self.nonce.as_ref().map(Nonce::to_vec);
        expected.user_data = self.user_data.as_ref().map(|UserData(bytes)| bytes.clone());
        expected.public_key = self.public_key.as_deref().map(read_public_key).transpose()?;
        expected.module_id = self.module_id.clone();
        expected.max_age = self.max_age;
        Ok(trust)
    }
}

fn judge(evidence: Evidence, trust: &Trust) -> Result<Valid, VerifyError> {
    let Evidence { document, binding } = evidence;
    let checked = trust.check(&document)?;
    let binding = binding.map(|bytes| checked.binding(&bytes)).transpose()?;
    Ok(Valid { checked, binding })
}

/// Reads PEM, or takes the bytes as they are: a document may carry a key of any form.
fn read_public_key(file: &Path) -> Result<Vec<u8>, Error> {
    let wrong = Error::Usage("--public-key: expected 1 to 1024 bytes, or pem of a PUBLIC KEY");
    let bytes = files::read(file)?;
    let key = match std::str::from_utf8(&bytes) {
        Ok(text) if text.trim_start().starts_with("-----BEGIN ") => {
            match der::Document::from_pem(text.trim()) {
                Ok((PUBLIC_KEY, key)) => key.as_bytes().to_vec(),
                _ => return Err(wrong),
            }
        }
        _ => bytes,
    };
    if (1..=1_024).contains(&key.len()) { Ok(key) } else { Err(wrong) }
}
