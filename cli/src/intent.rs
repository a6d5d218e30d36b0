//! Intents: what a caller asks to be signed, and approvals of it.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::encoding::{HexBytes, parse_hex};
use strongroom_shared::id::{IntentId, WalletId};
use strongroom_shared::intent::{Intent, Payload, V1};
use strongroom_shared::json;
use strongroom_shared::path::HdPath;

use crate::args::{Expiry, PolicySource};
use crate::envelope::{self, KeyArg};
use crate::error::Error;
use crate::files;
use crate::http::OptionalServer;
use crate::outcome::Outcome;
use crate::transaction::{Shown, Transaction, TransactionError};

/// Make and approve signed intents.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an intent and sign it.
    ///
    /// An intent says: this wallet, this path, this transaction, under this policy, until then. The
    /// envelope that is printed goes to `strongroom sign`. What it does is shown on standard error.
    #[command(
        after_help = "Example:\n  strongroom intent sign --url http://127.0.0.1:8480 --wallet hot-eth --path \"m/44'/60'/0'/0/0\" \\\n    --intent-id wd-000123 --unsigned 0x02f0… --key env/keys/withdraw-engine.pem > intent.json"
    )]
    Sign(Box<SignArgs>),
    /// Approve an intent that somebody else has made.
    ///
    /// Shows on standard error what is approved, decoded from the transaction itself, and adds a
    /// signature. Read it before you hand the envelope on.
    #[command(
        after_help = "Example:\n  strongroom intent approve intent.json --key env/keys/risk.pem --out approved.json"
    )]
    Approve {
        /// The envelope; - for standard input.
        envelope: PathBuf,
        /// The private key of who approves; its name is the file's, unless it is given.
        #[arg(long = "key", value_name = "[ID=]FILE", required = true)]
        keys: Vec<KeyArg>,
        /// Where to write the envelope; standard output without it, or with -.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Args)]
pub(crate) struct SignArgs {
    /// The wallet that pays.
    #[arg(long)]
    wallet: WalletId,
    /// The key within the wallet.
    #[arg(long)]
    path: HdPath,
    /// The serialized unsigned transaction (see `strongroom transaction build`).
    #[arg(long, value_name = "HEX")]
    unsigned: String,
    /// The caller's own name for this intent: the same name with another body is refused.
    #[arg(long)]
    intent_id: IntentId,
    #[command(flatten)]
    policy: PolicySource,
    #[command(flatten)]
    server: OptionalServer,
    #[command(flatten)]
    expiry: Expiry,
    /// The private key of the caller; its name is the file's, unless it is given.
    #[arg(long = "key", value_name = "[ID=]FILE", required = true)]
    keys: Vec<KeyArg>,
    /// Where to write the envelope; standard output without it, or with -.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let (mut signed, keys, file) = match self {
            Self::Sign(args) => (args.envelope()?, &args.keys, &args.out),
            Self::Approve { envelope, keys, out } => {
                (Envelope::parse(PayloadType::Intent, &files::read(envelope)?)?, keys, out)
            }
        };
        eprint!("{}", shown(&signed)?);
        envelope::add_signatures(&mut signed, keys)?;
        files::write_to(file.as_deref(), &envelope::line(&signed)?, out)?;
        Ok(Outcome::Done)
    }
}

impl SignArgs {
    fn envelope(&self) -> Result<Envelope, Error> {
        let unsigned = parse_hex(&self.unsigned).ok_or(TransactionError::Hex)?;
        let intent = Intent {
            version: V1,
            intent_id: self.intent_id.clone(),
            wallet: self.wallet.clone(),
            path: self.path,
            policy: self.policy.digest(self.server.server().as_ref())?,
            expires_at: self.expiry.at(),
            payload: Payload::EvmTransaction { unsigned: HexBytes(unsigned) },
        };
        Ok(envelope::unsigned(PayloadType::Intent, &intent)?)
    }
}

/// What is signed, in words: from the bytes that the signature is over, and from nothing else.
fn shown(envelope: &Envelope) -> Result<String, Error> {
    let Intent { version: V1, intent_id, wallet, path, policy, expires_at, payload } =
        json::parse("intent", &envelope.payload.0)?;
    let Payload::EvmTransaction { unsigned } = payload;
    // What the tool cannot decode the enclave may yet refuse in its own words.
    let transaction = match Transaction::decode(&unsigned.0) {
        Ok(transaction) => Shown::of(&transaction).to_string(),
        Err(error) => format!("WARNING   it cannot be shown what this does: {error}\n"),
    };
    Ok(format!(
        "intent    {intent_id}\ndigest    {}\nwallet    {wallet}\npath      {path}\n\
         policy    {policy}\nexpires   {expires_at}\n{transaction}",
        envelope.digest()
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser as _;
    use strongroom_shared::key::PublicKey;

    use super::*;
    use crate::key;

    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn run(line: &str) -> Result<Vec<u8>, Error> {
        let line = Line::try_parse_from(std::iter::once("intent").chain(line.split_whitespace()));
        let mut out = Vec::new();
        line.unwrap().command.run(&mut out)?;
        Ok(out)
    }

    const EIP155: &str = "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080";

    fn key_file(folder: &tempfile::TempDir, name: &str) -> (String, PublicKey) {
        let file = folder.path().join(name);
        let public = key::generate(&file).unwrap();
        (file.to_str().unwrap().to_owned(), public)
    }

    #[test]
    fn a_caller_signs_and_an_engine_approves() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, engine_public) = key_file(&folder, "withdraw-engine.pem");
        let (risk, risk_public) = key_file(&folder, "r.pem");
        let digest = format!("sha256:{}", "ab".repeat(32));
        let options = format!(
            "--wallet hot-eth --path m/44'/60'/0'/0/0 --unsigned {EIP155} --intent-id wd-1 \
             --expires-at 2026-11-21T10:00:00Z --key {engine}"
        );
        let signed = run(&format!("sign {options} --policy {digest}")).unwrap();

        let file = folder.path().join("intent.json");
        std::fs::write(&file, &signed).unwrap();
        let approved = run(&format!("approve {} --key risk={risk}", file.display())).unwrap();
        let envelope = Envelope::parse(PayloadType::Intent, &approved).unwrap();
        let intent: Intent = json::parse("intent", &envelope.payload.0).unwrap();
        assert_eq!(intent.policy.to_string(), digest);
        assert_eq!(intent.expires_at.to_string(), "2026-11-21T10:00:00Z");
        for (signature, (name, public)) in envelope
            .signatures
            .iter()
            .zip([("withdraw-engine", engine_public), ("risk", risk_public)])
        {
            assert_eq!(signature.keyid.as_str(), name);
            assert!(public.verifies(&envelope.pae(), &signature.sig.0));
        }
        assert_eq!(envelope.signatures.len(), 2);

        // who has signed does not sign again; without a policy there is nothing to sign
        let twice = run(&format!("approve {} --key {engine}", file.display())).unwrap_err();
        assert!(twice.to_string().contains("signed it already"));
        assert!(matches!(run(&format!("sign {options}")), Err(Error::Usage(_))));
    }

    #[test]
    fn an_approver_sees_what_the_bytes_say() {
        let intent = |unsigned: &str| Intent {
            version: V1,
            intent_id: "wd-1".parse().unwrap(),
            wallet: "hot-eth".parse().unwrap(),
            path: "m/44'/60'/0'/0/0".parse().unwrap(),
            policy: strongroom_shared::digest::Digest::of(b""),
            expires_at: strongroom_shared::time::UtcSeconds::new(0),
            payload: Payload::EvmTransaction { unsigned: HexBytes(parse_hex(unsigned).unwrap()) },
        };
        let text = |unsigned| {
            shown(&envelope::unsigned(PayloadType::Intent, &intent(unsigned)).unwrap()).unwrap()
        };
        let good = text(EIP155);
        assert!(good.contains("to        0x3535353535353535353535353535353535353535\n"), "{good}");
        assert!(good.contains("value     1000000000000000000 wei\n"), "{good}");
        assert!(text("0x05").contains("WARNING"));
    }
}
