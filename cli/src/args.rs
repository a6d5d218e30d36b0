//! The commands, and arguments that several of them share.

use std::io::Write;
use std::time::{Duration, SystemTime};

use clap::{Args, Parser, Subcommand};
use strongroom_shared::digest::Digest;
use strongroom_shared::reply::PolicyReply;
use strongroom_shared::time::UtcSeconds;

use crate::error::Error;
use crate::http::{Client, Server};
use crate::outcome::Outcome;
use crate::{
    addresses, attestation, dev, intent, key, kms, policy, receipt, sign, transaction, wallet,
};

/// The tool of operators and auditors of Strongroom.
///
/// It makes keys, policies and signed intents, sends them, and verifies what comes back: that
/// addresses and receipts are those of an attested enclave, and who really signed a transaction.
#[derive(Parser)]
#[command(
    name = "strongroom",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 refused or failed, 2 wrong arguments, 3 approvals missing.\n\n\
        Begin with:\n  strongroom dev init env\n  strongroom-proxy --config env/proxy.toml --mock-enclave"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(subcommand)]
    Dev(dev::Command),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Policy(policy::Command),
    #[command(subcommand)]
    Intent(intent::Command),
    #[command(subcommand)]
    Wallet(wallet::Command),
    Sign(sign::Command),
    #[command(subcommand)]
    Addresses(addresses::Command),
    #[command(subcommand)]
    Receipt(receipt::Command),
    #[command(subcommand)]
    Transaction(transaction::Command),
    #[command(subcommand)]
    Attestation(attestation::Command),
    #[command(subcommand)]
    Kms(kms::Command),
}

impl Cli {
    /// Runs the command; what it gives goes to `out`, what it says besides to standard error.
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        match &self.command {
            Command::Dev(command) => command.run(out),
            Command::Key(command) => command.run(out),
            Command::Policy(command) => command.run(out),
            Command::Intent(command) => command.run(out),
            Command::Wallet(command) => command.run(out),
            Command::Sign(command) => command.run(out),
            Command::Addresses(command) => command.run(out),
            Command::Receipt(command) => command.run(out),
            Command::Transaction(command) => command.run(out),
            Command::Attestation(command) => command.run(out),
            Command::Kms(command) => command.run(out),
        }
    }
}

/// The time of this machine's clock. It is read here only.
pub(crate) fn now() -> UtcSeconds {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UtcSeconds::new(since.as_secs())
}

/// When a document expires.
#[derive(Args)]
pub(crate) struct Expiry {
    /// How long it is valid from now: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    expires_in: Duration,
    /// Until when it is valid, in UTC, such as 2026-11-21T10:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "expires_in")]
    expires_at: Option<UtcSeconds>,
}

impl Expiry {
    pub(crate) fn at(&self) -> UtcSeconds {
        let later = now().seconds().saturating_add(self.expires_in.as_secs());
        self.expires_at.unwrap_or(UtcSeconds::new(later))
    }
}

/// Reads `90s`, `10m`, `24h` or `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let unit = |unit: char, seconds: u64| Some((text.strip_suffix(unit)?, seconds));
    unit('s', 1)
        .or_else(|| unit('m', 60))
        .or_else(|| unit('h', 3_600))
        .or_else(|| unit('d', 86_400))
        .and_then(|(digits, seconds)| digits.parse::<u64>().ok()?.checked_mul(seconds))
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a number and s, m, h or d, such as 10m".into())
}

/// Which policy a document is bound to, and where the service is.
#[derive(Args)]
pub(crate) struct PolicySource {
    /// The digest of the policy that is meant; by default the one that --url has in force.
    #[arg(long, value_name = "sha256:…")]
    policy: Option<Digest>,
}

impl PolicySource {
    /// The digest that was given, or the one that the service has in force.
    pub(crate) fn digest(&self, server: Option<&Server>) -> Result<Digest, Error> {
        match (self.policy, server) {
            (Some(digest), _) => Ok(digest),
            (None, Some(server)) => policy_in_force(&server.client()?),
            (None, None) => Err(Error::Usage("expected --policy sha256:… or --url URL")),
        }
    }
}

/// Asks for the policy in force, and computes its digest from the envelope.
fn policy_in_force(client: &Client) -> Result<Digest, Error> {
    let reply: PolicyReply = client.get_json("policy", "/v1/policy")?;
    let digest = reply.envelope.digest();
    if digest == reply.digest {
        Ok(digest)
    } else {
        Err(Error::PolicyDigest { claimed: reply.digest, found: digest })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            if command.get_subcommands().next().is_none() {
                let name = command.get_name();
                assert!(command.get_long_about().is_some(), "{name}");
                let example = command.get_after_help().map(ToString::to_string);
                assert!(example.unwrap_or_default().contains("Example"), "{name}");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("1d"), Ok(Duration::from_secs(86_400)));
        for wrong in ["", "m", "10", "-1s", "0s", "1.5h", "99999999999999999999d", "1w"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
