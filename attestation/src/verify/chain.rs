//! Steps 4 to 8: the certificates of a document.
//!
//! `rustls-webpki` verifies signatures, names, path lengths and validity, but it takes certificates in
//! any order, ignores key usage bits, and does not look at the validity of a trust anchor. Those are
//! checked here before it is asked, and afterwards that its path is the whole bundle.

use std::fmt;

use der::{Decode as _, Encode as _, asn1::ObjectIdentifier};
use rustls_pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage as ExtendedKeyUsage, anchor_from_trusted_cert, aws_lc_rs};
use x509_cert::{
    Certificate,
    ext::pkix::{BasicConstraints, KeyUsage},
};

use super::TrustAnchor;

/// `id-ecPublicKey` (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp384r1` (RFC 5480, section 2.1.1.1).
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// Which certificate of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// An entry of the bundle; 0 is the root.
    Bundle(usize),
    /// The certificate whose key signed the document.
    Leaf,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(index) => write!(f, "cabundle[{index}]"),
            Self::Leaf => f.write_str("certificate"),
        }
    }
}

/// The certificates do not lead from the pinned root to the key of the document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// Step 4.
    #[error("cabundle[0]: expected the pinned root, found another certificate")]
    WrongRoot,
    /// Not DER of an X.509 certificate.
    #[error("{at}: expected an x.509 certificate in der")]
    NotACertificate {
        /// Which.
        at: Position,
    },
    /// Step 5.
    #[error("{at}: expected to be issued by the certificate before it in the bundle")]
    Order {
        /// Which.
        at: Position,
    },
    /// Step 6.
    #[error("{at}: valid from {not_before} to {not_after}, looked at {at_time} (unix seconds)")]
    Validity {
        /// Which.
        at: Position,
        /// Unix seconds.
        not_before: u64,
        /// Unix seconds, inclusive.
        not_after: u64,
        /// The time that was asked for, Unix seconds.
        at_time: u64,
    },
    /// Step 7: not a CA where one must be, or one where none may be.
    #[error("{at}: expected basic constraints of {}", if *ca { "a ca, critical" } else { "no ca" })]
    BasicConstraints {
        /// Which.
        at: Position,
        /// Whether it must be a CA.
        ca: bool,
    },
    /// Step 7: more CAs follow than the certificate allows.
    #[error("{at}: allows {allowed} intermediate certificates after it, found {found}")]
    PathLength {
        /// Which.
        at: Position,
        /// Its `pathLenConstraint`.
        allowed: u8,
        /// How many follow.
        found: usize,
    },
    /// Step 7: the key is not for this.
    #[error("{at}: expected key usage {expected}")]
    KeyUsage {
        /// Which.
        at: Position,
        /// The bit that is not set.
        expected: &'static str,
    },
    /// Step 7: the key of the document is not on P-384.
    #[error("certificate: expected a public key on p-384")]
    NotP384,
    /// Step 8.
    #[error("chain: {0}")]
    Path(webpki::Error),
    /// Step 8: a path exists, but it is not the bundle.
    #[error("chain: expected a path through every certificate of the bundle")]
    NotTheBundle,
}

/// Verifies the chain; gives the public key of `leaf`, an uncompressed point of P-384 (97 bytes).
pub(super) fn verify(
    leaf: &CertificateDer<'_>,
    bundle: &[CertificateDer<'_>],
    anchor: &TrustAnchor,
    at: UnixTime,
) -> Result<Vec<u8>, ChainError> {
    // Step 4: the pinned root by its bytes; whatever else claims its name is of no interest.
    let Some((root, intermediates)) = bundle.split_first() else {
        return Err(ChainError::WrongRoot);
    };
    if root != anchor.der() {
        return Err(ChainError::WrongRoot);
    }

    let certificates = bundle
        .iter()
        .enumerate()
        .map(|(index, der)| (Position::Bundle(index), der))
        .chain([(Position::Leaf, leaf)])
        .map(|(at, der)| match Certificate::from_der(der) {
            Ok(certificate) => Ok((at, certificate)),
            Err(_) => Err(ChainError::NotACertificate { at }),
        })
        .collect::<Result<Vec<_>, _>>()?;

    check_order(&certificates)?;
    for (position, certificate) in &certificates {
        check_validity(*position, certificate, at)?;
        check_constraints(*position, certificate, intermediates.len())?;
        check_key_usage(*position, certificate)?;
    }
    let point = certificates.last().ok_or(ChainError::NotP384).and_then(|(_, c)| p384_point(c))?;

    check_path(leaf, root, intermediates, at)?;
    Ok(point)
}

/// Step 5: each is issued under the subject of the one before it. (The signatures are step 8.)
fn check_order(certificates: &[(Position, Certificate)]) -> Result<(), ChainError> {
    let pairs = certificates.iter().zip(certificates.iter().skip(1));
    for ((_, issuer), (at, issued)) in pairs {
        if issued.tbs_certificate().issuer() != issuer.tbs_certificate().subject() {
            return Err(ChainError::Order { at: *at });
        }
    }
    Ok(())
}

/// Step 6, to the second, both ends inclusive (RFC 5280, section 4.1.2.5).
fn check_validity(
    at: Position,
    certificate: &Certificate,
    time: UnixTime,
) -> Result<(), ChainError> {
    let validity = certificate.tbs_certificate().validity();
    let not_before = validity.not_before.to_unix_duration().as_secs();
    let not_after = validity.not_after.to_unix_duration().as_secs();
    let at_time = time.as_secs();
    if (not_before..=not_after).contains(&at_time) {
        Ok(())
    } else {
        Err(ChainError::Validity { at, not_before, not_after, at_time })
    }
}

/// Step 7, basic constraints: critical and CA in the bundle, no CA in the leaf; `intermediates` is the
/// number of those below the root.
fn check_constraints(
    at: Position,
    certificate: &Certificate,
    intermediates: usize,
) -> Result<(), ChainError> {
    let extension = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    let malformed = |_| ChainError::NotACertificate { at };
    match (at, extension.map_err(malformed)?) {
        (
            Position::Bundle(index),
            Some((true, BasicConstraints { ca: true, path_len_constraint })),
        ) => {
            let found = intermediates.saturating_sub(index);
            match path_len_constraint {
                Some(allowed) if found > usize::from(allowed) => {
                    Err(ChainError::PathLength { at, allowed, found })
                }
                _ => Ok(()),
            }
        }
        (Position::Bundle(_), _) => Err(ChainError::BasicConstraints { at, ca: true }),
        (Position::Leaf, None | Some((_, BasicConstraints { ca: false, .. }))) => Ok(()),
        (Position::Leaf, Some(_)) => Err(ChainError::BasicConstraints { at, ca: false }),
    }
}

/// Step 7, key usage: a CA signs certificates, the leaf signs documents.
fn check_key_usage(at: Position, certificate: &Certificate) -> Result<(), ChainError> {
    let malformed = |_| ChainError::NotACertificate { at };
    let extension = certificate.tbs_certificate().get_extension::<KeyUsage>().map_err(malformed)?;
    let usage = extension.map(|(_, usage)| usage);
    let (allowed, expected) = match at {
        Position::Bundle(_) => (usage.is_some_and(|u| u.key_cert_sign()), "keyCertSign"),
        Position::Leaf => (usage.is_some_and(|u| u.digital_signature()), "digitalSignature"),
    };
    if allowed { Ok(()) } else { Err(ChainError::KeyUsage { at, expected }) }
}

/// Step 7, the key of the leaf: ES384 is ECDSA on P-384 here (AP 3.1).
fn p384_point(leaf: &Certificate) -> Result<Vec<u8>, ChainError> {
    let spki = leaf.tbs_certificate().subject_public_key_info();
    let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.to_der().ok());
    let curve = curve.and_then(|der| ObjectIdentifier::from_der(&der).ok());
    if spki.algorithm.oid != EC_PUBLIC_KEY || curve != Some(SECP384R1) {
        return Err(ChainError::NotP384);
    }
    spki.subject_public_key.as_bytes().map(<[u8]>::to_vec).ok_or(ChainError::NotP384)
}

/// Step 8. The genuine certificates carry no extended key usage, and none is required.
fn check_path(
    leaf: &CertificateDer<'_>,
    root: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    at: UnixTime,
) -> Result<(), ChainError> {
    let anchor = anchor_from_trusted_cert(root).map_err(ChainError::Path)?;
    let anchors = [anchor];
    let end_entity = EndEntityCert::try_from(leaf).map_err(ChainError::Path)?;
    let path = end_entity
        .verify_for_usage(
            &[aws_lc_rs::ECDSA_P384_SHA384],
            &anchors,
            intermediates,
            at,
            ExtendedKeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(ChainError::Path)?;

    let used = path.intermediate_certificates().map(|certificate| certificate.der());
    if used.eq(intermediates.iter().rev().cloned()) {
        Ok(())
    } else {
        Err(ChainError::NotTheBundle)
    }
}
