//! Keys of principals: Ed25519, in PKCS#8 PEM, as `openssl genpkey -algorithm ed25519` writes them.

use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use clap::Subcommand;
use der::pem;
use strongroom_shared::key::PublicKey;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::files;
use crate::outcome::Outcome;

const PEM_LABEL: &str = "PRIVATE KEY";

/// Make and show keys of principals.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an Ed25519 key.
    ///
    /// Writes the private key as PKCS#8 PEM, for its owner only (0600), and never over another file.
    /// Prints the public key as policy.json and enclave.toml take it. A key that OpenSSL made
    /// (`openssl genpkey -algorithm ed25519`) is as good.
    #[command(after_help = "Example:\n  strongroom key generate --out keys/risk.pem")]
    Generate {
        /// Where to write the private key.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Print the public key of a private key.
    ///
    /// Prints {"type":"ed25519","public":"…"}, the `key` of a principal in policy.json. The private
    /// key is never printed.
    #[command(after_help = "Example:\n  strongroom key show keys/risk.pem")]
    Show {
        /// The private key, in PKCS#8 PEM.
        file: PathBuf,
    },
}

impl Command {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Outcome, Error> {
        let public = match self {
            Self::Generate { out } => generate(out)?,
            Self::Show { file } => SigningKey::read(file)?.public()?,
        };
        files::write_json(&public, out)?;
        Ok(Outcome::Done)
    }
}

/// Why a file is not a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// Not PEM of a private key.
    #[error("{}: expected pem that begins with -----BEGIN PRIVATE KEY-----", .file.display())]
    Pem { file: PathBuf },
    /// PKCS#8 of another kind of key.
    #[error("{}: expected an ed25519 key in pkcs#8", .file.display())]
    NotEd25519 { file: PathBuf },
    /// The cryptographic library failed.
    #[error("the cryptographic library failed to {0}")]
    Library(&'static str),
}

impl KeyError {
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Pem { .. } | Self::NotEd25519 { .. } => Some(
                "make one with `strongroom key generate --out FILE` or `openssl genpkey -algorithm ed25519`",
            ),
            Self::Library(_) => None,
        }
    }
}

/// A private key of a principal. It is not printed, and not copied.
pub(crate) struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Reads PKCS#8 PEM, version 1 (OpenSSL, RFC 8410) or 2 (RFC 5958).
    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let text = files::read_secret(file)?;
        Ok(Self::from_pem(&text, file)?)
    }

    fn from_pem(text: &[u8], file: &Path) -> Result<Self, KeyError> {
        let (label, der) =
            pem::decode_vec(text).map_err(|_| KeyError::Pem { file: file.to_owned() })?;
        let der = Zeroizing::new(der);
        if label != PEM_LABEL {
            return Err(KeyError::Pem { file: file.to_owned() });
        }
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der)
            .map(Self)
            .map_err(|_| KeyError::NotEd25519 { file: file.to_owned() })
    }

    /// The public key.
    pub(crate) fn public(&self) -> Result<PublicKey, KeyError> {
        let bytes = self.0.public_key().as_ref().try_into();
        bytes.map(PublicKey::ed25519).map_err(|_| KeyError::Library("give the public key"))
    }

    /// The signature over `message`, 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = self.0.try_sign(message).map_err(|_| KeyError::Library("sign"))?;
        Ok(signature.as_ref().to_vec())
    }

    #[cfg(test)]
    pub(crate) fn of_seed(seed: u8) -> Self {
        Self(
            Ed25519KeyPair::from_seed_unchecked(&[seed; 32])
                .ok()
                .unwrap_or_else(|| unreachable!("every 32 bytes are an ed25519 seed")),
        )
    }
}

/// Makes a key, writes it to a new file, and gives its public key.
pub(crate) fn generate(file: &Path) -> Result<PublicKey, Error> {
    let failed = |_| KeyError::Library("make a key");
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    // Version 1 of PKCS#8: OpenSSL reads no other.
    let der = pair.to_pkcs8v1().map_err(failed)?;
    let text = pem::encode_string(PEM_LABEL, pem::LineEnding::LF, der.as_ref())
        .map_err(|_| KeyError::Library("write pem"))?;
    let text = Zeroizing::new(text);
    files::create_secret(file, text.as_bytes())?;
    Ok(SigningKey(pair).public()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `openssl genpkey -algorithm ed25519` (OpenSSL 3.0), and the last 32 bytes of
    /// `openssl pkey -pubout -outform DER`.
    const OPENSSL: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIGhXOob+SiJhNG4SeZTARBu9J6VI/ank1gx9+7y/Cj4W\n\
        -----END PRIVATE KEY-----\n";
    const OPENSSL_PUBLIC: &str = "89JaQt/ZfoXOiO1dY4vJ0ZK9YomLgA0gIJYuAGnaY+U=";

    fn from_pem(text: &str) -> Result<SigningKey, KeyError> {
        SigningKey::from_pem(text.as_bytes(), Path::new("test.pem"))
    }

    #[test]
    fn a_key_of_openssl_is_read() {
        let key = from_pem(OPENSSL).unwrap();
        let public = key.public().unwrap();
        assert_eq!(
            serde_json::json!(public),
            serde_json::json!({"type": "ed25519", "public": OPENSSL_PUBLIC})
        );
        assert!(public.verifies(b"message", &key.sign(b"message").unwrap()));
    }

    #[test]
    fn a_generated_key_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("risk.pem");
        let mut printed = Vec::new();
        Command::Generate { out: file.clone() }.run(&mut printed).unwrap();
        let mut shown = Vec::new();
        Command::Show { file: file.clone() }.run(&mut shown).unwrap();
        assert_eq!(printed, shown);
        assert!(matches!(
            Command::Generate { out: file }.run(&mut printed),
            Err(Error::Write { .. })
        ));
    }

    #[test]
    fn what_is_not_an_ed25519_key_is_refused() {
        assert!(matches!(from_pem("no"), Err(KeyError::Pem { .. })));
        let public = OPENSSL.replace("PRIVATE", "PUBLIC");
        assert!(matches!(from_pem(&public), Err(KeyError::Pem { .. })));
        // the algorithm 1.3.101.112 (Ed25519) becomes 1.3.101.110 (X25519)
        let x25519 = OPENSSL.replace("BQYDK2Vw", "BQYDK2Vu");
        assert!(matches!(from_pem(&x25519), Err(KeyError::NotEd25519 { .. })));
    }
}
