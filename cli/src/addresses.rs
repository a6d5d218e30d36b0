//! Addresses of wallets: asking for them, and verifying that they are the enclave's.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_shared::id::WalletId;
use strongroom_shared::json;
use strongroom_shared::path::{HARDENED, HdPath};
use strongroom_shared::reply::AddressesReply;

use crate::attestation::{self, Nonce, TrustArgs};
use crate::error::Error;
use crate::files;
use crate::http::{OptionalServer, Server, query_value};
use crate::outcome::Outcome;

/// List addresses, and verify that they are the enclave's.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print addresses of a wallet, with the enclave's signed statement about them.
    ///
    /// Prints the JSON of GET /v1/wallets/{wallet}/addresses. Pay to none of them before
    /// `strongroom addresses verify` has said that they are the enclave's.
    #[command(
        after_help = "Example:\n  strongroom addresses list --url http://127.0.0.1:8480 --wallet deposits-eth --first 0 --count 100 > addresses.json"
    )]
    List {
        #[command(flatten)]
        server: Server,
        /// The wallet.
        #[arg(long)]
        wallet: WalletId,
        #[command(flatten)]
        which: Which,
    },
    /// Verify that addresses are those of an attested enclave.
    ///
    /// Verifies the attestation document, that it binds the key that signed the statement, the
    /// signature, and that the statement is about exactly these addresses, of this wallet, in this
    /// life of the enclave. With --url it asks for all of it now, with a nonce of its own; else it
    /// takes --reply and --attestation from files. Exit 0: proven; 1: not.
    #[command(
        after_help = "Examples:\n  strongroom addresses verify --url http://127.0.0.1:8480 --wallet deposits-eth --first 0 --count 10 --root env/mock/nsm/root.pem\n  strongroom addresses verify --reply addresses.json --attestation attestation.json --wallet deposits-eth \\\n    --nonce 00112233445566778899aabbccddeeff --pcr 0=<96 hex digits>"
    )]
    Verify(Box<VerifyArgs>),
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    server: OptionalServer,
    /// The wallet.
    #[arg(long)]
    wallet: WalletId,
    #[command(flatten)]
    which: Which,
    /// What `strongroom addresses list` printed.
    #[arg(long, value_name = "FILE", requires = "attestation", conflicts_with = "url")]
    reply: Option<PathBuf>,
    /// What `strongroom attestation fetch` printed.
    #[arg(long, value_name = "FILE", requires = "reply", conflicts_with = "url")]
    attestation: Option<PathBuf>,
    /// The nonce that the attestation was asked for with.
    #[arg(long, value_name = "HEX", requires = "attestation", conflicts_with = "url")]
    nonce: Option<Nonce>,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Which addresses.
#[derive(Args)]
pub(crate) struct Which {
    /// One path, such as m/44'/60'/0'/0/7.
    #[arg(long, conflicts_with_all = ["first", "count"])]
    path: Option<HdPath>,
    /// The first index of a range below m/44'/60'/0'/0.
    #[arg(long, value_name = "N", requires = "count", value_parser = clap::value_parser!(u32).range(..=i64::from(HARDENED - 1)))]
    first: Option<u32>,
    /// How many addresses, 1 to 1000.
    #[arg(long, value_name = "M", requires = "first", value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: Option<u32>,
}

impl Which {
    /// The query that asks for them.
    fn query(&self) -> Result<String, Error> {
        match (self.path, self.first, self.count) {
            (Some(path), ..) => Ok(format!("path={}", query_value(&path.to_string()))),
            (None, Some(first), Some(count)) => Ok(format!("first={first}&count={count}")),
            _ => Err(Error::Usage("expected --path, or --first and --count")),
        }
    }

    /// The paths that must come back, in order; `None` where nothing was said.
    fn paths(&self) -> Option<Vec<HdPath>> {
        let level = |index| HdPath::new([44 | HARDENED, 60 | HARDENED, HARDENED, 0, index]);
        match (self.path, self.first, self.count) {
            (Some(path), ..) => Some(vec![path]),
            (None, Some(first), Some(count)) => {
                Some((first..first.saturating_add(count)).map(level).collect())
            }
            _ => None,
        }
    }
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        match self {
            Self::List { server, wallet, which } => {
                let path = format!("/v1/wallets/{wallet}/addresses?{}", which.query()?);
                out.write_all(&server.client()?.get_ok(&path)?)?;
                writeln!(out)?;
                Ok(Outcome::Done)
            }
            Self::Verify(args) => args.run(out),
        }
    }
}

impl VerifyArgs {
    fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let (reply, evidence, nonce) = match (&self.reply, &self.attestation) {
            (Some(reply), Some(evidence)) => {
                let reply: AddressesReply = json::parse("addresses", &files::read(reply)?)?;
                (reply, attestation::read(evidence)?, self.nonce.clone())
            }
            _ => {
                let server = self.server.server();
                let server =
                    server.ok_or(Error::Usage("expected --url, or --reply and --attestation"))?;
                let (client, nonce) = (server.client()?, Nonce::random()?);
                let (wallet, query) = (&self.wallet, self.which.query()?);
                let path = format!("/v1/wallets/{wallet}/addresses?{query}");
                let reply = client.get_json("addresses", &path)?;
                (reply, attestation::fetch(&client, &nonce)?, Some(nonce))
            }
        };
        let attested = self.trust.verify(&evidence, nonce.as_ref(), out)?;
        let asked = self.which.paths();
        let statement = attested.addresses(&reply, &self.wallet, asked.as_deref())?;
        let (count, wallet) = (statement.addresses.len(), &statement.wallet);
        writeln!(
            out,
            "proven: the enclave of that boot signed these {count} addresses of {wallet},\n\
             \x20       whose key has the fingerprint {}:",
            statement.fingerprint
        )?;
        for entry in &statement.addresses {
            writeln!(out, "{} {}", entry.path, entry.address)?;
        }
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_must_come_back() {
        let which = |path: Option<&str>, first, count| Which {
            path: path.map(|path| path.parse().unwrap()),
            first,
            count,
        };
        let one = which(Some("m/44'/60'/0'/0/7"), None, None);
        assert_eq!(one.query().unwrap(), "path=m%2F44%27%2F60%27%2F0%27%2F0%2F7");
        assert_eq!(one.paths().unwrap().len(), 1);
        let range = which(None, Some(5), Some(2));
        assert_eq!(range.query().unwrap(), "first=5&count=2");
        let paths: Vec<_> = range.paths().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["m/44'/60'/0'/0/5", "m/44'/60'/0'/0/6"]);
        let none = which(None, None, None);
        assert!(matches!(none.query(), Err(Error::Usage(_))));
        assert_eq!(none.paths(), None);
    }
}
