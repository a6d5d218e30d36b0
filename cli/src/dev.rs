//! Development environments: every key, policy and configuration that a mock enclave needs.

mod config;
mod environment;
mod policy;
mod programs;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::error::Error;
use crate::outcome::Outcome;
use config::Kek;
use environment::{Environment, Updated};

#[cfg(test)]
pub(crate) use policy::example as example_policy;

/// Make and update development environments, with mock hardware and a local KMS.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a complete development environment.
    ///
    /// Writes into DIR: keys of all principals, a policy with the wallets deposits-eth and hot-eth on
    /// chains 1 and 31337, signed by two of three policy admins, the measured configuration of the
    /// enclave, the configuration of the proxy, and the material of the mock NSM and the local KMS,
    /// whose key policy releases the data key to exactly this image, configuration and policy. Every
    /// file is for its owner only. It is for development: everything in it is on this one disk.
    #[command(
        after_help = "Example:\n  strongroom dev init env\n  strongroom-proxy --config env/proxy.toml --mock-enclave"
    )]
    Init {
        /// The folder; it must not exist, or be empty.
        dir: PathBuf,
        /// Where the proxy listens for HTTP: plain, and so on this machine only.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8480", value_parser = parse_loopback)]
        listen: SocketAddr,
        /// The port of the local KMS; by default a free one.
        #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
        kms_port: Option<u16>,
    },
    /// Sign the policy again and measure anew, after policy.json or enclave.toml was edited.
    ///
    /// Signs DIR/policy.json as policy-admin-1 and policy-admin-2, and puts a KMS key policy on the key
    /// of kms.key_arn, for the PCR16 and PCR17 that follow from the two files, for those of
    /// kms.key_policy.also_releases_to, and for its admin_roles. With kms.previous_key_arn that policy
    /// is put on the previous key, and kms.key_arn gets one for a change of the KEK: for these PCR16
    /// and PCR17 alone, and the enclave's role may Encrypt. Files are read when the proxy starts, which
    /// boots the mock enclave: restart the proxy afterwards.
    #[command(after_help = "Example:\n  strongroom dev update env")]
    Update {
        /// The folder that `strongroom dev init` made.
        dir: PathBuf,
    },
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        match self {
            Self::Init { dir, listen, kms_port } => {
                let environment = Environment::create(dir)?;
                let measurements = environment.init(*listen, *kms_port)?;
                let dir = environment.dir().display();
                writeln!(out, "made a development environment in {dir}")?;
                writeln!(out, "{measurements}\n")?;
                writeln!(out, "start it:")?;
                writeln!(out, "  strongroom-proxy --config {dir}/proxy.toml --mock-enclave")?;
                writeln!(out, "create a wallet:")?;
                writeln!(
                    out,
                    "  strongroom wallet create --url http://{listen} --wallet hot-eth \
                     --key {dir}/keys/policy-admin-1.pem --key {dir}/keys/policy-admin-2.pem"
                )?;
                writeln!(out, "verify its address:")?;
                writeln!(
                    out,
                    "  strongroom addresses verify --url http://{listen} --wallet hot-eth \
                     --path \"m/44'/60'/0'/0/0\" --root {dir}/mock/nsm/root.pem --pcr 0={}",
                    measurements.pcr0
                )?;
            }
            Self::Update { dir } => {
                let environment = Environment::open(dir)?;
                environment.update()?.say(out)?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl Updated {
    fn say(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let Self { measurements, kek: Kek { key_arn, previous_key_arn, .. } } = self;
        writeln!(out, "signed the policy")?;
        match previous_key_arn {
            None => writeln!(out, "put the key policy on {key_arn}")?,
            Some(previous) => {
                writeln!(out, "put the key policy for a change of the KEK on {key_arn}")?;
                writeln!(out, "put the key policy on the previous KEK, {previous}")?;
            }
        }
        writeln!(out, "{measurements}")?;
        writeln!(
            out,
            "restart the proxy: it holds the signed policy, and boots the mock enclave anew"
        )?;
        if previous_key_arn.is_some() {
            writeln!(
                out,
                "when the DEK has moved, take kms.previous_key_arn out and do the same again: until \
                 then the host can encrypt a DEK that it knows"
            )?;
        }
        Ok(())
    }
}

/// Why an environment was not made; names the step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevError {
    /// The folder has something in it.
    #[error("{}: expected a folder that does not exist or is empty", .dir.display())]
    NotEmpty { dir: PathBuf },
    /// The folder cannot be used.
    #[error("{}: {source}", .dir.display())]
    Folder { dir: PathBuf, source: std::io::Error },
    /// The path cannot stand in a configuration, or is too long for a socket.
    #[error("{}: expected {expected}", .dir.display())]
    Path { dir: PathBuf, expected: &'static str },
    /// A helper program is not there or cannot be run.
    #[error("step {step}: {} cannot be run: {source}", .program.display())]
    Run { step: &'static str, program: PathBuf, source: std::io::Error },
    /// A helper program failed.
    #[error("step {step}: {program} failed: {said}")]
    Failed { step: &'static str, program: &'static str, said: String },
    /// A helper program said something else than it should.
    #[error("step {step}: expected one line of json from {program}: {source}")]
    Answer { step: &'static str, program: &'static str, source: strongroom_shared::json::JsonError },
    /// Something else failed.
    #[error("step {step}: {source}")]
    Step { step: &'static str, source: Box<Error> },
    /// What the local KMS calls its key is no ARN.
    #[error("key_arn: expected arn:aws:kms:REGION:ACCOUNT:key/ID from the local kms")]
    Arn,
    /// An edited configuration does not say which key is the KEK, or what its key policy may be.
    #[error(
        "enclave.toml: kms: expected key_arn, perhaps previous_key_arn, and in key_policy changes, \
         admin_roles and, perhaps, also_releases_to"
    )]
    Kek,
    /// A document of ours cannot be written.
    #[error("{0}: cannot be written")]
    Unwritable(&'static str),
}

impl DevError {
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotEmpty { .. } => {
                Some("choose another folder, or remove it; its keys are gone then")
            }
            Self::Run { .. } => Some("build the whole workspace: the programs stand side by side"),
            Self::Failed { .. } | Self::Answer { .. } | Self::Step { .. } => {
                Some("what was made so far is incomplete; after `dev init` remove the folder")
            }
            _ => None,
        }
    }
}

/// JSON for people to read and edit: indented, its members in the order of the type.
fn pretty<T: Serialize>(name: &'static str, value: &T) -> Result<Vec<u8>, DevError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|_| DevError::Unwritable(name))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .ok()
        .filter(|address: &SocketAddr| address.ip().is_loopback() && address.port() != 0)
        .ok_or_else(|| "expected a loopback address and a port, such as 127.0.0.1:8480".into())
}

#[cfg(test)]
mod tests;
