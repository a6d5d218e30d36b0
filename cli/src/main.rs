//! `strongroom`: the tool of operators and auditors.
//!
//! Each room of the tool is a module with its `clap` arguments and a `run`, which writes to the
//! writer that it is given and reports how it ended as an [`outcome::Outcome`] or an
//! [`error::Error`]. Nothing here is trusted by the enclave: what this tool makes is a signature,
//! and what it checks it checks by itself.

mod addresses;
mod args;
mod attestation;
mod dev;
mod envelope;
mod error;
mod files;
mod http;
mod intent;
mod key;
mod kms;
mod outcome;
mod policy;
mod receipt;
mod sign;
mod transaction;
mod verify;
mod wallet;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    match args::Cli::parse().run(&mut out) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(help) = error.help() {
                eprintln!("help: {help}");
            }
            error.exit_code()
        }
    }
}
