//! Trust anchors: the pinned root certificate of a PKI.

use der::{Decode as _, DecodePem as _, Encode as _};
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_cert::Certificate;

/// SHA-256 of the DER of AWS's root certificate `AWS_NitroEnclaves_Root-G1`.
pub const AWS_ROOT_G1_SHA256: [u8; 32] = [
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31,
    0x7e, 0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
];

static AWS_ROOT_G1: &[u8] = include_bytes!("../../roots/aws-nitro-root-g1.der");

/// The one root under which documents are verified, by its exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    der: CertificateDer<'static>,
}

/// A text or bytes are not a root certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TrustAnchorError {
    /// Not one X.509 certificate.
    #[error("trust anchor: expected one x.509 certificate, in pem or der")]
    NotACertificate,
    /// Issued by another than itself.
    #[error("trust anchor: expected a root, found a certificate issued by another")]
    NotARoot,
}

impl TrustAnchor {
    /// The root of the Nitro PKI in AWS's commercial partition, valid until 2049.
    pub fn aws() -> Self {
        Self { der: CertificateDer::from_slice(AWS_ROOT_G1) }
    }

    /// The root in this DER.
    ///
    /// # Errors
    /// When it is not one certificate whose issuer is its subject. Its key usage and its validity
    /// are looked at with each document.
    pub fn from_der(der: &[u8]) -> Result<Self, TrustAnchorError> {
        let certificate =
            Certificate::from_der(der).map_err(|_| TrustAnchorError::NotACertificate)?;
        if certificate.tbs_certificate().issuer() != certificate.tbs_certificate().subject() {
            return Err(TrustAnchorError::NotARoot);
        }
        Ok(Self { der: CertificateDer::from(der.to_vec()) })
    }

    /// The root in this PEM text, which holds one certificate.
    ///
    /// # Errors
    /// As [`TrustAnchor::from_der`].
    pub fn from_pem(pem: &str) -> Result<Self, TrustAnchorError> {
        let der = Certificate::from_pem(pem.trim())
            .and_then(|certificate| certificate.to_der())
            .map_err(|_| TrustAnchorError::NotACertificate)?;
        Self::from_der(&der)
    }

    /// The certificate.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// SHA-256 of its DER, as AWS publishes it.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_embedded_root_is_the_one_that_aws_publishes() {
        let anchor = TrustAnchor::aws();
        assert_eq!(anchor.fingerprint(), AWS_ROOT_G1_SHA256);
        assert_eq!(TrustAnchor::from_der(anchor.der()).unwrap(), anchor);
    }

    #[test]
    fn pem_gives_the_same_root() {
        use der::EncodePem as _;
        let certificate = Certificate::from_der(AWS_ROOT_G1).unwrap();
        let pem = certificate.to_pem(der::pem::LineEnding::LF).unwrap();
        assert_eq!(TrustAnchor::from_pem(&pem).unwrap(), TrustAnchor::aws());
        assert_eq!(TrustAnchor::from_pem("no"), Err(TrustAnchorError::NotACertificate));
    }
}
