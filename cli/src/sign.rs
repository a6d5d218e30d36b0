//! Sending envelopes.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use strongroom_shared::dsse::{Envelope, PayloadType};

use crate::error::Error;
use crate::files;
use crate::http::{Response, Server};
use crate::outcome::Outcome;

/// Send a signed intent, and print what comes back.
///
/// Prints the reply's JSON, whatever it is: the signed transaction with its receipt (exit 0), what
/// approvals are missing (exit 3), or the refusal (exit 1; its code and detail are on standard error
/// too).
#[derive(Args)]
#[command(
    after_help = "Example:\n  strongroom sign --url http://127.0.0.1:8480 intent.json > signed.json"
)]
pub(crate) struct Command {
    #[command(flatten)]
    server: Server,
    /// The envelope; - for standard input.
    envelope: PathBuf,
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let bytes = files::read(&self.envelope)?;
        Envelope::parse(PayloadType::Intent, &bytes)?;
        post(&self.server, "/v1/sign", &bytes, out)
    }
}

/// Sends an envelope, and prints the reply's JSON.
pub(crate) fn post(
    server: &Server,
    path: &str,
    envelope: &[u8],
    out: &mut dyn Write,
) -> Result<Outcome, Error> {
    answered(&server.client()?.post(path, envelope)?, out)
}

fn answered(response: &Response, out: &mut dyn Write) -> Result<Outcome, Error> {
    // Only JSON is passed on: a host may answer with anything.
    if response.is_json() {
        out.write_all(&response.body)?;
        writeln!(out)?;
    }
    match response.status {
        200 | 201 => Ok(Outcome::Done),
        202 => {
            eprintln!("approvals are missing; who could give them stands in the reply");
            Ok(Outcome::Pending)
        }
        _ => {
            eprintln!("refused: {}", response.refusal());
            Ok(Outcome::Refused)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_status_is_the_outcome() {
        for (status, outcome) in [
            (200, Outcome::Done),
            (201, Outcome::Done),
            (202, Outcome::Pending),
            (412, Outcome::Refused),
            (503, Outcome::Refused),
            (302, Outcome::Refused),
        ] {
            let mut out = Vec::new();
            let response = Response { status, body: br#"{"code":"x"}"#.to_vec() };
            assert_eq!(answered(&response, &mut out).unwrap(), outcome, "{status}");
            assert_eq!(out, b"{\"code\":\"x\"}\n");
        }
    }

    #[test]
    fn what_is_not_json_is_not_passed_on() {
        let mut out = Vec::new();
        let response = Response { status: 502, body: b"<html>".to_vec() };
        assert_eq!(answered(&response, &mut out).unwrap(), Outcome::Refused);
        assert!(out.is_empty());
    }
}
