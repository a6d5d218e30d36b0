//! A certificate authority: a certificate, its key, and the files in which both are kept.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    encoding::AsDer as _,
    signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use der::pem::{self, LineEnding};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::{
    PkiError,
    certificate::{Issuer, Role, Template, issue},
};
use crate::files::{self, Access};

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// How long a root lives: as long as AWS's Nitro root.
const ROOT_LIFETIME: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
/// How long before it was made a root is valid already, so that a mock may live in the past a bit.
const ROOT_BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority with a P-384 key.
pub(crate) struct Authority {
    der: CertificateDer<'static>,
    key: EcdsaKeyPair,
}

impl Authority {
    /// A new root of this name.
    pub(crate) fn generate(name: &str) -> Result<Self, PkiError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)?;
        let public_key = key.public_key().as_der()?;
        let now = SystemTime::now();
        let template = Template {
            subject: name,
            role: Role::Authority { path_len: None },
            not_before: now.checked_sub(ROOT_BACKDATED).unwrap_or(now),
            lifetime: ROOT_LIFETIME,
            public_key_der: public_key.as_ref(),
        };
        let der = issue(&template, &Issuer::Itself(&key))?;
        Ok(Self { der, key })
    }

    /// The authority in `dir/stem.pem` and `dir/stem.key`, made there when both are absent.
    pub(crate) fn init(dir: &Path, stem: &str, name: &str) -> Result<Self, PkiError> {
        let (certificate, key) = paths(dir, stem);
        match (certificate.exists(), key.exists()) {
            (true, true) => Self::load(dir, stem),
            (false, false) => {
                fs::create_dir_all(dir).map_err(io_error(dir))?;
                let authority = Self::generate(name)?;
                write_key(&key, &authority.key)?;
                write_certificate(&certificate, &authority.der)?;
                Ok(authority)
            }
            _ => Err(PkiError::Incomplete { dir: dir.to_owned() }),
        }
    }

    /// The authority in `dir/stem.pem` and `dir/stem.key`.
    pub(crate) fn load(dir: &Path, stem: &str) -> Result<Self, PkiError> {
        let (certificate, key) = paths(dir, stem);
        let pkcs8 = read_key(&key)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &pkcs8)?;
        Ok(Self { der: read_certificate(&certificate)?, key })
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(crate) fn pem(&self) -> Result<String, der::Error> {
        Ok(pem::encode_string(CERTIFICATE, LineEnding::LF, &self.der)?)
    }

    /// A certificate under this authority.
    pub(crate) fn issue(
        &self,
        template: &Template<'_>,
    ) -> Result<CertificateDer<'static>, PkiError> {
        issue(template, &Issuer::Authority { der: &self.der, key: &self.key })
    }

    /// A new authority under this one.
    pub(crate) fn issue_authority(
        &self,
        name: &str,
        role: Role<'_>,
        not_before: SystemTime,
        lifetime: Duration,
    ) -> Result<Self, PkiError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)?;
        let der = self.issue(&Template {
            subject: name,
            role,
            not_before,
            lifetime,
            public_key_der: key.public_key().as_der()?.as_ref(),
        })?;
        Ok(Self { der, key })
    }
}

fn paths(dir: &Path, stem: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{stem}.pem")), dir.join(format!("{stem}.key")))
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::Io { path, source }
}

/// Writes a certificate in PEM.
pub(crate) fn write_certificate(path: &Path, der: &CertificateDer<'_>) -> Result<(), PkiError> {
    let text = pem::encode_string(CERTIFICATE, LineEnding::LF, der).map_err(der::Error::from)?;
    files::replace(path, text.as_bytes(), Access::Everybody).map_err(io_error(path))
}

/// Writes a key in PEM of PKCS #8 (RFC 5958), mode 0600.
pub(crate) fn write_key(path: &Path, key: &EcdsaKeyPair) -> Result<(), PkiError> {
    let pkcs8 = key.to_pkcs8v1()?;
    let text = pem::encode_string(PRIVATE_KEY, LineEnding::LF, pkcs8.as_ref());
    let text = Zeroizing::new(text.map_err(der::Error::from)?);
    files::replace(path, text.as_bytes(), Access::Owner).map_err(io_error(path))
}

/// Reads a certificate in PEM.
pub(crate) fn read_certificate(path: &Path) -> Result<CertificateDer<'static>, PkiError> {
    read_pem(path, CERTIFICATE, "certificate").map(CertificateDer::from)
}

/// Reads a key in PEM of PKCS #8; gives its DER.
pub(crate) fn read_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, PkiError> {
    read_pem(path, PRIVATE_KEY, "pkcs #8 private key").map(Zeroizing::new)
}

fn read_pem(path: &Path, label: &str, expected: &'static str) -> Result<Vec<u8>, PkiError> {
    let text = Zeroizing::new(fs::read(path).map_err(io_error(path))?);
    match pem::decode_vec(&text) {
        Ok((found, der)) if found == label => Ok(der),
        _ => Err(PkiError::Pem { path: path.to_owned(), expected }),
    }
}
