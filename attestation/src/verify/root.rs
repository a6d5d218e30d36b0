//! Trust anchors: the pinned root certificate of a PKI.

use der::{
    Decode as _,
    asn1::ObjectIdentifier,
    oid::AssociatedOid as _,
    pem::{self, PemLabel as _},
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use x509_cert::{
    Certificate,
    ext::pkix::{BasicConstraints, KeyUsage},
};

/// SHA-256 of the DER of AWS's root certificate `AWS_NitroEnclaves_Root-G1`.
pub const AWS_ROOT_G1_SHA256: [u8; 32] = [
    0x64, 0x1a, 0x03, 0x21, 0xa3, 0xe2, 0x44, 0xef, 0xe4, 0x56, 0x46, 0x31, 0x95, 0xd6, 0x06, 0x31,
    0x7e, 0xd7, 0xcd, 0xcc, 0x3c, 0x17, 0x56, 0xe0, 0x98, 0x93, 0xf3, 0xc6, 0x8f, 0x79, 0xbb, 0x5b,
];

static AWS_ROOT_G1: &[u8] = include_bytes!("../../roots/aws-nitro-root-g1.der");

/// The critical extensions of a root that the verification looks at.
const KNOWN_EXTENSIONS: [ObjectIdentifier; 2] = [BasicConstraints::OID, KeyUsage::OID];

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
    /// With a critical extension that nothing here obeys.
    #[error("trust anchor: expected no critical extensions but basic constraints and key usage")]
    CriticalExtension,
}

impl TrustAnchor {
    /// The root of the Nitro PKI in AWS's commercial partition, valid until 2049.
    pub fn aws() -> Self {
        Self { der: CertificateDer::from_slice(AWS_ROOT_G1) }
    }

    /// The root in this DER.
    ///
    /// # Errors
    /// When it is not one certificate whose issuer is its subject, or has an unknown critical
    /// extension (AP 3.2.3), which `rustls-webpki` passes over in a trust anchor. Its basic
    /// constraints, key usage and validity are looked at with each document.
    pub fn from_der(der: &[u8]) -> Result<Self, TrustAnchorError> {
        let certificate =
            Certificate::from_der(der).map_err(|_| TrustAnchorError::NotACertificate)?;
        let certificate = certificate.tbs_certificate();
        if certificate.issuer() != certificate.subject() {
            return Err(TrustAnchorError::NotARoot);
        }
        let mut critical = certificate.extensions().into_iter().flatten().filter(|e| e.critical);
        if critical.any(|extension| !KNOWN_EXTENSIONS.contains(&extension.extn_id)) {
            return Err(TrustAnchorError::CriticalExtension);
        }
        Ok(Self { der: CertificateDer::from(der.to_vec()) })
    }

    /// The root in this text, which holds one certificate in PEM (RFC 7468, section 5), pinned by the
    /// bytes that it encodes. Text before it is passed over (section 2); nothing but white space may
    /// follow.
    ///
    /// # Errors
    /// As [`TrustAnchor::from_der`].
    pub fn from_pem(text: &str) -> Result<Self, TrustAnchorError> {
        match pem::decode_vec(text.trim().as_bytes()) {
            Ok((Certificate::PEM_LABEL, der)) => Self::from_der(&der),
            _ => Err(TrustAnchorError::NotACertificate),
        }
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
        let published = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";
        assert_eq!(hex::encode(anchor.fingerprint()), published);
        assert_eq!(TrustAnchor::from_der(anchor.der()).unwrap(), anchor);
    }

    #[test]
    fn pem_gives_the_same_root() {
        let encoded = |label| pem::encode_string(label, pem::LineEnding::LF, AWS_ROOT_G1).unwrap();
        let pem = encoded("CERTIFICATE");
        for text in [pem.clone(), format!("\n{pem}\n \n"), format!("subject=x\nissuer=x\n{pem}")] {
            assert_eq!(TrustAnchor::from_pem(&text), Ok(TrustAnchor::aws()), "{text}");
        }
        for text in [
            String::new(),
            "no".to_owned(),
            encoded("TRUSTED CERTIFICATE"),
            format!("{pem}and more"),
            format!("{pem}{pem}"),
        ] {
            assert_eq!(
                TrustAnchor::from_pem(&text),
                Err(TrustAnchorError::NotACertificate),
                "{text}"
            );
        }
    }
}
