//! A local AWS KMS: symmetric keys, key policies with attestation conditions, and
//! `CiphertextForRecipient`, over the wire protocol of the real one.
//!
//! What it does as the real one does:
//! - AWS JSON 1.1 over TLS: `Encrypt`, `Decrypt`, `GenerateDataKey`, `DescribeKey`, `GetKeyPolicy`,
//!   `ListGrants`; errors in the same shapes;
//! - an attestation document in `Recipient` is verified in full, under the root of the mock PKI, and
//!   may be five minutes old at most; what it says is held against the conditions of the key policy;
//! - an attested reply carries the plaintext only as `CiphertextForRecipient`, in BER with indefinite
//!   lengths ([`cms`]);
//! - the encryption context is authenticated, and replies name the key by its full ARN.
//!
//! What it does not do: **the SigV4 signature of a request is not verified**, so every caller is the
//! same unknown one, and the `Principal` of a statement (which must be there) is not evaluated. There
//! are no grants, aliases or IAM policies, keys do not rotate, and nothing is rate-limited.

mod attested;
mod blob;
pub mod cms;
mod error;
mod operations;
pub mod policy;
pub mod server;
mod state;
mod tls;

use std::{
    io,
    path::{Path, PathBuf},
};

use rustls_pki_types::UnixTime;
use strongroom_attestation::verify::TrustAnchor;
use thiserror::Error;

use crate::pki::PkiError;
pub use policy::{KeyPolicy, PolicyError};
pub use state::KeyArn;

/// The local KMS could not be set up, or its folder could not be read.
#[derive(Debug, Error)]
pub enum KmsError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The state file is not as this version writes it.
    #[error("{}: {what}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A region is not written as regions are.
    #[error("region: expected lower-case letters, digits and dashes, such as eu-central-1")]
    Region,
    /// A DNS name cannot stand in a certificate.
    #[error("dns name: expected letters, digits, dashes and dots")]
    DnsName,
    /// A key policy is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Certificates could not be made or read.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The server's certificate and key are not usable together.
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    /// The cryptographic library failed.
    #[error("the key material could not be made")]
    Crypto,
}

/// What [`init`] found or made.
#[derive(Debug, Clone)]
pub struct Initialized {
    /// The one key, by its full ARN.
    pub key_arn: KeyArn,
    /// The certificate (PEM) that a client of the server must trust.
    pub ca: PathBuf,
}

/// Makes in `dir` what is absent: a key with its policy, which lets nobody use it until
/// [`set_policy`]; a CA; a server certificate for `localhost` and `dns_name`.
///
/// What is there already stays, and so does its region.
///
/// # Errors
/// When files cannot be read or written, or hold something else.
pub fn init(dir: &Path, region: &str, dns_name: Option<&str>) -> Result<Initialized, KmsError> {
    std::fs::create_dir_all(dir).map_err(io_error(dir))?;
    let key_arn = state::State::init(dir, region)?;
    let ca = tls::init(dir, dns_name)?;
    Ok(Initialized { key_arn, ca })
}

/// Replaces the policy of the key in `dir`. A server that runs there uses it from its next request on.
///
/// # Errors
/// When the policy is refused (and then nothing is changed), or files cannot be read or written.
pub fn set_policy(dir: &Path, policy: &str) -> Result<KeyArn, KmsError> {
    state::State::set_policy(dir, policy)
}

/// A local KMS over the folder that [`init`] made, and the root whose documents it believes.
pub struct LocalKms {
    dir: PathBuf,
    anchor: TrustAnchor,
}

/// An answer: an HTTP status, and a JSON body in the shape of AWS.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200, 400, 500.
    pub status: u16,
    /// JSON. May hold a plaintext key: not for logs.
    pub body: Vec<u8>,
}

impl LocalKms {
    /// The KMS of the folder `dir`.
    ///
    /// # Errors
    /// When its state cannot be read.
    pub fn open(dir: &Path, anchor: TrustAnchor) -> Result<Self, KmsError> {
        state::State::load(dir)?;
        Ok(Self { dir: dir.to_owned(), anchor })
    }

    /// Answers one request: `target` is the `X-Amz-Target` header, for example
    /// `TrentService.Decrypt`; `now` is what the age of documents is measured against.
    ///
    /// The state is read anew each time. Blocks for as long as RSA and a small file take.
    pub fn handle(&self, target: &str, body: &[u8], now: UnixTime) -> Reply {
        let result = operations::answer(self, target, body, now);
        let operation = operations::name(target).unwrap_or("unknown");
        match result {
            Ok(body) => {
                tracing::info!(operation, status = 200, "answered");
                Reply { status: 200, body: body.to_string().into_bytes() }
            }
            Err(error) => {
                let reply = error.reply();
                // Both are texts of this crate; neither holds anything of the request.
                tracing::info!(operation, status = reply.status, kind = error.kind(), %error, "refused");
                reply
            }
        }
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> KmsError {
    let path = path.to_owned();
    move |source| KmsError::Io { path, source }
}
