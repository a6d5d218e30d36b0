//! A local AWS KMS: symmetric keys, key policies with attestation conditions, and
//! `CiphertextForRecipient`, over the wire protocol of the real one.
//!
//! What it does as the real one does:
//! - each request is signed with AWS Signature Version 4 by a role that has credentials here
//!   ([`identity`]), and nothing of it is read before its signature is verified;
//! - AWS JSON 1.1 over TLS, with errors in the same shapes;
//! - an attestation document in `Recipient` is verified in full, under the root of the mock PKI, and
//!   may be five minutes old at most; what it says is held against the conditions of the key policy;
//! - an attested reply carries the plaintext only as `CiphertextForRecipient`, in BER with indefinite
//!   lengths ([`cms`]), and beside it an empty `Plaintext`, null, or none, as it happens;
//! - a key policy is given back in other words than it was put, and in others each time;
//! - the encryption context is authenticated, and replies name the key by its full ARN.
//!
//! What it does not do: there are no IAM policies (what a key policy leaves to IAM is allowed), no
//! sessions of roles (a role signs with credentials of its own), no aliases, and nothing is rate-limited.
//! Each change is seen by the next request. AWS KMS is eventually consistent: there, a key policy or a
//! grant that has changed can take seconds, and in few cases minutes, to be seen everywhere.

mod attested;
mod blob;
pub mod client;
pub mod cms;
mod dice;
mod error;
mod grants;
pub mod identity;
mod object;
mod operations;
pub mod policy;
pub mod server;
mod sigv4;
mod state;
mod tls;

use std::{
    io,
    path::{Path, PathBuf},
};

use http::{HeaderMap, Method, header, request::Parts};
use rustls_pki_types::UnixTime;
use serde_json::Value;
use strongroom_attestation::verify::TrustAnchor;
use thiserror::Error;

use crate::pki::PkiError;
use error::ApiError;
use identity::Identities;
pub use policy::{KeyPolicy, PolicyError};
pub use state::KeyArn;

/// The protocol, AWS JSON 1.1.
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

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
    /// A role is not named as roles are.
    #[error("role name: expected 1 to 64 letters, digits and characters of `+=,.@_-`")]
    RoleName,
    /// A role is there already.
    #[error("role name: expected one that does not exist yet")]
    RoleExists,
    /// No role has this ARN or name.
    #[error("role: expected one that this kms knows")]
    NoRole,
    /// No key has this ARN or id.
    #[error("key id: expected that of a key which this kms has")]
    NoKey,
    /// A request could not be signed.
    #[error("the request could not be signed")]
    Sign,
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
    /// The ARN of the role of the enclave's instance.
    pub enclave_role: String,
    /// The ARN of the role of key administrators.
    pub admin_role: String,
    /// The enclave role's credentials, in the file format that AWS clients share; mode 0600.
    pub enclave_credentials: PathBuf,
    /// The admin role's, in the same format.
    pub admin_credentials: PathBuf,
}

/// Makes in `dir` what is absent: a key with its policy, which lets nobody use it until
/// [`set_policy`]; two roles with credentials; a CA; a server certificate for `localhost` and `dns_name`.
///
/// What is there already stays, and so does its region.
///
/// # Errors
/// When files cannot be read or written, or hold something else.
pub fn init(dir: &Path, region: &str, dns_name: Option<&str>) -> Result<Initialized, KmsError> {
    std::fs::create_dir_all(dir).map_err(io_error(dir))?;
    let key_arn = state::State::init(dir, region)?;
    // The region of the key that is there, which need not be `region`.
    let key_region = key_arn.as_str().split(':').nth(3).unwrap_or_default();
    let [enclave, admin] = identity::init(dir, key_region, key_arn.account())?;
    let ca = tls::init(dir, dns_name)?;
    Ok(Initialized {
        key_arn,
        ca,
        enclave_role: enclave.arn,
        admin_role: admin.arn,
        enclave_credentials: enclave.credentials,
        admin_credentials: admin.credentials,
    })
}

/// Replaces the policy of the first key in `dir`, which [`init`] made. A server that runs there uses it
/// from its next request on.
///
/// # Errors
/// When the policy is refused (and then nothing is changed), or files cannot be read or written.
pub fn set_policy(dir: &Path, policy: &str) -> Result<KeyArn, KmsError> {
    state::State::set_policy(dir, None, policy)
}

/// The same for the key with this ARN, or with this key id.
///
/// # Errors
/// As [`set_policy`], and when there is no such key.
pub fn set_policy_of(dir: &Path, key_id: &str, policy: &str) -> Result<KeyArn, KmsError> {
    state::State::set_policy(dir, Some(key_id), policy)
}

/// A local KMS over the folder that [`init`] made, and the root whose documents it believes.
pub struct LocalKms {
    dir: PathBuf,
    anchor: TrustAnchor,
    /// The names of the server certificate.
    names: Vec<String>,
}

/// An answer: an HTTP status, and a JSON body in the shape of AWS.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200, 400, 404, 500.
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
        identity::Identities::load(dir)?;
        Ok(Self { dir: dir.to_owned(), anchor, names: tls::names(dir)? })
    }

    /// Answers one request, of which `body` is the body as it arrived; `now` is what the age of its
    /// signature and of its document are measured against.
    ///
    /// The signature is verified first, always. State and roles are read anew each time. Blocks for as
    /// long as RSA and small files take.
    pub fn handle(&self, parts: &Parts, body: &[u8], now: UnixTime) -> Reply {
        let target = parts.headers.get(sigv4::X_AMZ_TARGET).and_then(|target| target.to_str().ok());
        let operation = target.and_then(operations::name).unwrap_or("unknown");
        match self.answer(parts, target.unwrap_or_default(), body, now) {
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

    fn answer(
        &self,
        parts: &Parts,
        target: &str,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Value, ApiError> {
        // The query is under no signature that is verified here.
        let (path, query) = (parts.uri.path(), parts.uri.query());
        if parts.method != Method::POST || path != "/" || query.is_some() {
            return Err(ApiError::NotServed);
        }
        let identities = Identities::load(&self.dir)?;
        let caller = sigv4::verify(parts, body, &identities, now)?;
        sigv4::check_host(&parts.headers, &self.names)?;
        check_content_type(&parts.headers)?;
        operations::answer(self, &caller, target, body, now)
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut found = headers.get_all(header::CONTENT_TYPE).iter();
    match (found.next(), found.next()) {
        (Some(one), None) if one == CONTENT_TYPE => Ok(()),
        _ => Err(ApiError::ContentType),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> KmsError {
    let path = path.to_owned();
    move |source| KmsError::Io { path, source }
}
