//! Wallets: the acts that create them, and which there are.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_shared::act::{Act, WalletAct};
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::id::WalletId;
use strongroom_shared::intent::V1;

use crate::args::{Expiry, PolicySource};
use crate::envelope::{self, KeyArg};
use crate::error::Error;
use crate::files;
use crate::http::{OptionalServer, Server};
use crate::outcome::Outcome;
use crate::sign;

/// Create and list wallets.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a wallet of the policy, with a seed that the enclave generates.
    ///
    /// Makes the act, signs it with every key that is given, sends it, and prints the reply. A quorum
    /// of policy admins must have signed; where their keys are not on one machine, use
    /// `strongroom wallet act` and `strongroom wallet send`.
    #[command(
        after_help = "Example:\n  strongroom wallet create --url http://127.0.0.1:8480 --wallet hot-eth \\\n    --key env/keys/policy-admin-1.pem --key env/keys/policy-admin-2.pem"
    )]
    Create {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        act: ActArgs,
    },
    /// Print the signed act that creates a wallet, and send nothing.
    ///
    /// With --envelope it adds signatures to an act that another admin has made.
    #[command(
        after_help = "Examples:\n  strongroom wallet act --url http://127.0.0.1:8480 --wallet hot-eth --key policy-admin-1.pem --out act.json\n  strongroom wallet act --envelope act.json --key policy-admin-2.pem --out act.json"
    )]
    Act {
        #[command(flatten)]
        server: OptionalServer,
        #[command(flatten)]
        act: ActOrEnvelope,
        /// Where to write the envelope; standard output without it, or with -.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Send a signed act.
    ///
    /// Prints the reply, as `strongroom wallet create` does.
    #[command(
        after_help = "Example:\n  strongroom wallet send --url http://127.0.0.1:8480 act.json"
    )]
    Send {
        #[command(flatten)]
        server: Server,
        /// The envelope; - for standard input.
        envelope: PathBuf,
    },
    /// Print the wallets that the enclave has opened.
    ///
    /// Prints the JSON of GET /v1/wallets: name, tier and the fingerprint that a policy pins.
    #[command(after_help = "Example:\n  strongroom wallet list --url http://127.0.0.1:8480")]
    List {
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Args)]
pub(crate) struct ActArgs {
    /// The wallet; it must stand in the policy.
    #[arg(long)]
    wallet: WalletId,
    #[command(flatten)]
    policy: PolicySource,
    #[command(flatten)]
    expiry: Expiry,
    /// The private key of a policy admin; its name is the file's, unless it is given.
    #[arg(long = "key", value_name = "[ID=]FILE", required = true)]
    keys: Vec<KeyArg>,
}

#[derive(Args)]
pub(crate) struct ActOrEnvelope {
    /// The wallet; it must stand in the policy.
    #[arg(long, required_unless_present = "envelope")]
    wallet: Option<WalletId>,
    /// An act that another admin has signed.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["wallet", "policy", "expires_at"])]
    envelope: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicySource,
    #[command(flatten)]
    expiry: Expiry,
    /// The private key of a policy admin; its name is the file's, unless it is given.
    #[arg(long = "key", value_name = "[ID=]FILE", required = true)]
    keys: Vec<KeyArg>,
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        match self {
            Self::Create { server, act: ActArgs { wallet, policy, expiry, keys } } => {
                let policy = policy.digest(Some(server))?;
                let mut signed = unsigned(wallet, policy, expiry)?;
                envelope::add_signatures(&mut signed, keys)?;
                sign::post(server, "/v1/wallets", &envelope::line(&signed)?, out)
            }
            Self::Act { server, act, out: file } => {
                let signed = act.signed(server)?;
                files::write_to(file.as_deref(), &envelope::line(&signed)?, out)?;
                Ok(Outcome::Done)
            }
            Self::Send { server, envelope } => {
                let bytes = files::read(envelope)?;
                Envelope::parse(PayloadType::WalletAct, &bytes)?;
                sign::post(server, "/v1/wallets", &bytes, out)
            }
            Self::List { server } => {
                out.write_all(&server.client()?.get_ok("/v1/wallets")?)?;
                writeln!(out)?;
                Ok(Outcome::Done)
            }
        }
    }
}

impl ActOrEnvelope {
    fn signed(&self, server: &OptionalServer) -> Result<Envelope, Error> {
        let mut signed = match (&self.envelope, &self.wallet) {
            (Some(file), _) => {
                let envelope = Envelope::parse(PayloadType::WalletAct, &files::read(file)?)?;
                eprintln!("{}", shown(&envelope)?);
                envelope
            }
            (None, Some(wallet)) => {
                let policy = self.policy.digest(server.server().as_ref())?;
                unsigned(wallet, policy, &self.expiry)?
            }
            (None, None) => return Err(Error::Usage("expected --wallet or --envelope")),
        };
        envelope::add_signatures(&mut signed, &self.keys)?;
        Ok(signed)
    }
}

fn unsigned(
    wallet: &WalletId,
    policy: strongroom_shared::digest::Digest,
    expiry: &Expiry,
) -> Result<Envelope, Error> {
    let act = WalletAct {
        version: V1,
        act: Act::CreateHdWallet,
        wallet: wallet.clone(),
        policy,
        expires_at: expiry.at(),
    };
    Ok(envelope::unsigned(PayloadType::WalletAct, &act)?)
}

/// What an admin signs, in words.
fn shown(envelope: &Envelope) -> Result<String, Error> {
    let WalletAct { version: V1, act: Act::CreateHdWallet, wallet, policy, expires_at } =
        strongroom_shared::json::parse("wallet act", &envelope.payload.0)?;
    Ok(format!("create HD wallet {wallet} under policy {policy}, until {expires_at}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;

    use super::*;
    use crate::key;

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn run(line: &str) -> Result<Vec<u8>, Error> {
        let line = Line::try_parse_from(std::iter::once("wallet").chain(line.split_whitespace()));
        let mut out = Vec::new();
        line.unwrap().command.run(&mut out)?;
        Ok(out)
    }

    #[test]
    fn two_admins_sign_one_act() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let first = key::generate(&file("policy-admin-1.pem")).unwrap();
        let second = key::generate(&file("policy-admin-2.pem")).unwrap();
        let [one, two] = ["policy-admin-1.pem", "policy-admin-2.pem"].map(file);
        let digest = format!("sha256:{}", "ab".repeat(32));
        let act = run(&format!("act --wallet hot-eth --policy {digest} --key {}", one.display()));
        std::fs::write(file("act.json"), act.unwrap()).unwrap();
        let line = format!("act --envelope {} --key {}", file("act.json").display(), two.display());
        let envelope = Envelope::parse(PayloadType::WalletAct, &run(&line).unwrap()).unwrap();
        for (signature, public) in envelope.signatures.iter().zip([first, second]) {
            assert!(public.verifies(&envelope.pae(), &signature.sig.0));
        }
        assert_eq!(envelope.signatures.len(), 2);
        assert!(shown(&envelope).unwrap().starts_with("create HD wallet hot-eth under policy"));
    }

    #[test]
    fn an_intent_is_not_sent_as_an_act() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("intent.json");
        let intent = Envelope::unsigned(PayloadType::Intent, b"{}".to_vec());
        std::fs::write(&file, envelope::line(&intent).unwrap()).unwrap();
        let line = format!("send --url http://127.0.0.1:9 {}", file.display());
        assert!(matches!(run(&line), Err(Error::Envelope(_))));
    }
}
