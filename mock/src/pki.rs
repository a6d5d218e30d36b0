//! Certificate authorities of our own: the root that stands in for AWS's Nitro PKI, and the parts to
//! make others (the local KMS has one for its TLS).

pub(crate) mod authority;
pub(crate) mod certificate;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    encoding::AsDer as _,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use rustls_pki_types::CertificateDer;
use strongroom_attestation::verify::{TrustAnchor, TrustAnchorError};
use thiserror::Error;

use authority::Authority;
use certificate::{Role, Template};

/// How long a leaf certificate lives, as AWS's do.
const LEAF_LIFETIME: Duration = Duration::from_secs(3 * 60 * 60);
/// How long an intermediate certificate lives.
const INTERMEDIATE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before its issue a certificate is valid already, as AWS's are (3 seconds in the leaves).
const BACKDATED: Duration = Duration::from_secs(3);

const ROOT_NAME: &str = "CN=strongroom-mock.nitro-enclaves,OU=Mock,O=Strongroom,C=US";

/// A certificate authority could not be made, kept or used.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// One of certificate and key is there without the other.
    #[error("{}: expected a certificate and its key, found one of them", dir.display())]
    Incomplete {
        /// The folder.
        dir: PathBuf,
    },
    /// A file is not PEM of what it should hold.
    #[error("{}: expected pem of a {expected}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A certificate could not be encoded.
    #[error("certificate: {0}")]
    Der(#[from] der::Error),
    /// The cryptographic library refused a key or a signature.
    #[error("certificate: the key could not be made or used")]
    Crypto,
    /// The root is no trust anchor.
    #[error(transparent)]
    TrustAnchor(#[from] TrustAnchorError),
}

impl From<aws_lc_rs::error::Unspecified> for PkiError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}

impl From<aws_lc_rs::error::KeyRejected> for PkiError {
    fn from(_: aws_lc_rs::error::KeyRejected) -> Self {
        Self::Crypto
    }
}

/// The root of a mock Nitro PKI: it certifies mock NSMs, as AWS's root does real ones.
///
/// Cheap to clone; the key stays in one place.
#[derive(Clone)]
pub struct MockPki {
    root: Arc<Authority>,
}

/// The certificates and the key with which one NSM signs for a while.
pub(crate) struct NsmIdentity {
    /// The root first, the issuer of `leaf` last.
    pub(crate) cabundle: Vec<CertificateDer<'static>>,
    pub(crate) leaf: CertificateDer<'static>,
    /// P-384; signs in the fixed encoding of ES384.
    pub(crate) key: EcdsaKeyPair,
    pub(crate) issued: SystemTime,
}

impl MockPki {
    /// The PKI in the folder `dir`, made there (folder too) when absent: `root.pem`, and `root.key`
    /// with mode 0600.
    ///
    /// # Errors
    /// When files cannot be written, or when one of the two is there without the other.
    pub fn init(dir: &Path) -> Result<Self, PkiError> {
        let root = Authority::init(dir, "root", ROOT_NAME)?;
        Ok(Self { root: Arc::new(root) })
    }

    /// The PKI that [`MockPki::init`] made in the folder `dir`.
    ///
    /// # Errors
    /// When the files are absent or hold something else.
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        let root = Authority::load(dir, "root")?;
        Ok(Self { root: Arc::new(root) })
    }

    /// A PKI that is kept nowhere.
    ///
    /// # Errors
    /// When the library cannot make a key.
    pub fn ephemeral() -> Result<Self, PkiError> {
        let root = Authority::generate(ROOT_NAME)?;
        Ok(Self { root: Arc::new(root) })
    }

    /// The root certificate in PEM, for whoever shall trust this PKI.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn root_pem(&self) -> Result<String, PkiError> {
        Ok(self.root.pem()?)
    }

    /// The trust anchor under which documents of this PKI verify.
    ///
    /// # Errors
    /// Never for a root made here; for a foreign `root.pem` when it is none.
    pub fn trust_anchor(&self) -> Result<TrustAnchor, PkiError> {
        Ok(TrustAnchor::from_der(self.root.der())?)
    }

    /// A fresh intermediate and a fresh leaf for the NSM `module_id`, valid from `now` for 3 hours.
    pub(crate) fn certify(
        &self,
        module_id: &str,
        now: SystemTime,
    ) -> Result<NsmIdentity, PkiError> {
        let from = now.checked_sub(BACKDATED).unwrap_or(now);
        let name = "CN=instance.mock.nitro-enclaves,OU=Mock,O=Strongroom,C=US";
        let role = Role::Authority { path_len: Some(0) };
        let intermediate = self.root.issue_authority(name, role, from, INTERMEDIATE_LIFETIME)?;

        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING)?;
        let leaf = intermediate.issue(&Template {
            subject: &format!("CN={module_id}.mock.aws,OU=Mock,O=Strongroom,C=US"),
            role: Role::Nsm,
            not_before: from,
            lifetime: LEAF_LIFETIME,
            public_key_der: key.public_key().as_der()?.as_ref(),
        })?;

        let cabundle = vec![self.root.der().clone(), intermediate.der().clone()];
        Ok(NsmIdentity { cabundle, leaf, key, issued: now })
    }
}

#[cfg(test)]
mod tests;
