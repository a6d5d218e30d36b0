//! The signing policy: checking it, its digest, and the admins' signatures on it.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use strongroom_attestation::measure;
use strongroom_policy::{DekRule, Policy};
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::{Envelope, PayloadType};

use crate::envelope::{self, KeyArg};
use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;

/// Check and sign policies.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check a policy as the enclave does, and say what it is.
    ///
    /// Reads the document with the enclave's own parser, and prints its digest (which intents name),
    /// the PCR17 that follows from it (which the KMS key policy names) and its size.
    #[command(after_help = "Example:\n  strongroom policy check env/policy.json")]
    Check {
        /// The policy document.
        file: PathBuf,
    },
    /// Print the digest of a policy.
    ///
    /// Prints sha256:… of the exact bytes of the file, or of the payload where it is an envelope:
    /// what intents and wallet acts name as `policy`.
    #[command(after_help = "Example:\n  strongroom policy digest env/policy.json")]
    Digest {
        /// The policy document, or its envelope.
        file: PathBuf,
    },
    /// Sign a policy as its admins.
    ///
    /// Makes a DSSE envelope around the exact bytes of the policy, or adds signatures to one that
    /// another admin has made. The policy must be one that the enclave would read.
    #[command(
        after_help = "Examples:\n  strongroom policy sign --policy policy.json --key policy-admin-1.pem --out policy.dsse.json\n  strongroom policy sign --envelope policy.dsse.json --key policy-admin-2.pem --out policy.dsse.json"
    )]
    Sign(SignArgs),
}

#[derive(Args)]
pub(crate) struct SignArgs {
    /// The policy document; with --envelope the document that the envelope must be around.
    #[arg(long, value_name = "FILE", required_unless_present = "envelope")]
    policy: Option<PathBuf>,
    /// An envelope that others have signed.
    #[arg(long, value_name = "FILE")]
    envelope: Option<PathBuf>,
    /// The private key of an admin; its name is the file's, unless it is given.
    #[arg(long = "key", value_name = "[ID=]FILE", required = true)]
    keys: Vec<KeyArg>,
    /// Where to write the envelope; standard output without it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        match self {
            Self::Check { file } => check(file, out)?,
            Self::Digest { file } => writeln!(out, "{}", Digest::of(&document(file)?))?,
            Self::Sign(args) => args.run(out)?,
        }
        Ok(Outcome::Done)
    }
}

/// The policy's bytes: the file's, or those in the envelope that the file is.
fn document(file: &Path) -> Result<Vec<u8>, Error> {
    let bytes = files::read(file)?;
    Ok(match Envelope::parse(PayloadType::Policy, &bytes) {
        Ok(envelope) => envelope.payload.0,
        Err(_) => bytes,
    })
}

fn check(file: &Path, out: &mut dyn Write) -> Result<(), Error> {
    let bytes = document(file)?;
    let policy = Policy::parse(&bytes)?;
    writeln!(out, "good: well-formed, and without contradictions")?;
    writeln!(out, "digest {}", policy.digest())?;
    writeln!(out, "pcr17  {}", measure::extend_from_zero(&bytes))?;
    writeln!(out, "sequence {}, not after {}", policy.sequence(), policy.not_after())?;
    match policy.dek_rule() {
        DekRule::Provisioning => {
            writeln!(out, "dek: provisioning: any is taken, and a new one may be made")?;
        }
        DekRule::Listed(ids) => {
            for id in ids {
                writeln!(out, "dek {id}")?;
            }
        }
    }
    for principal in policy.principals() {
        writeln!(out, "principal {} ({:?})", principal.id(), principal.role())?;
    }
    for asset in policy.assets() {
        writeln!(out, "asset {} on chain {}", asset.symbol(), asset.asset().chain)?;
    }
    for wallet in policy.wallets() {
        let chains: Vec<_> = wallet.chains().map(|chain| chain.to_string()).collect();
        let chains = chains.join(", ");
        writeln!(out, "wallet {} ({}) on chains {chains}", wallet.id(), wallet.tier().as_str())?;
    }
    Ok(())
}

impl SignArgs {
    fn run(&self, out: &mut dyn Write) -> Result<(), Error> {
        let document = self.policy.as_deref().map(files::read).transpose()?;
        let mut signed = match &self.envelope {
            Some(file) => Envelope::parse(PayloadType::Policy, &files::read(file)?)?,
            None => Envelope::unsigned(PayloadType::Policy, document.clone().unwrap_or_default()),
        };
        if document.is_some_and(|document| document != signed.payload.0) {
            return Err(Error::OtherPolicy);
        }
        Policy::parse(&signed.payload.0)?;
        envelope::add_signatures(&mut signed, &self.keys)?;
        files::write_to(self.out.as_deref(), &envelope::line(&signed)?, out)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn key(&self, name: &str) -> KeyArg {
            let file = self.file(&format!("{name}.pem"));
            key::generate(&file).unwrap();
            file.to_str().unwrap().parse().unwrap()
        }
    }

    #[test]
    fn admins_sign_one_after_the_other() {
        let folder = Folder::new();
        let (policy, first, both) =
            (folder.file("policy.json"), folder.file("first.json"), folder.file("both.json"));
        std::fs::write(&policy, crate::dev::example_policy()).unwrap();
        let sign = |policy: Option<&Path>, envelope: Option<&Path>, key: KeyArg, out: &Path| {
            SignArgs {
                policy: policy.map(Path::to_owned),
                envelope: envelope.map(Path::to_owned),
                keys: vec![key],
                out: Some(out.to_owned()),
            }
            .run(&mut Vec::new())
        };
        sign(Some(&policy), None, folder.key("policy-admin-1"), &first).unwrap();
        sign(Some(&policy), Some(&first), folder.key("policy-admin-2"), &both).unwrap();
        let envelope =
            Envelope::parse(PayloadType::Policy, &std::fs::read(&both).unwrap()).unwrap();
        let names: Vec<_> = envelope.signatures.iter().map(|s| s.keyid.as_str()).collect();
        assert_eq!(names, ["policy-admin-1", "policy-admin-2"]);
        assert_eq!(document(&both).unwrap(), std::fs::read(&policy).unwrap());

        // another document than the envelope's, and a document that is no policy
        let other = folder.file("other.json");
        std::fs::write(&other, "{}").unwrap();
        let refused = sign(Some(&other), Some(&first), folder.key("policy-admin-3"), &both);
        assert!(matches!(refused, Err(Error::OtherPolicy)));
        assert!(sign(Some(&other), None, folder.key("rule"), &both).is_err());
    }

    #[test]
    fn a_summary_names_the_wallets() {
        let folder = Folder::new();
        let policy = folder.file("policy.json");
        std::fs::write(&policy, crate::dev::example_policy()).unwrap();
        let mut out = Vec::new();
        Command::Check { file: policy }.run(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("wallet deposits-eth (deposit) on chains 1, 31337\n"), "{text}");
        assert!(text.contains("\npcr17  "), "{text}");
    }
}
