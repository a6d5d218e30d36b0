//! Steps 4 to 9: the certificates of a document.
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

use super::{Step, TrustAnchor};

/// `id-ecPublicKey` (RFC 5480, section 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp384r1` (RFC 5480, section 2.1.1.1).
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// Bytes of an uncompressed point on it (SEC 1, section 2.3.3).
const POINT_BYTES: usize = 97;

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
    /// Step 5: not DER of an X.509 certificate.
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
    /// Step 7: a path length where no path goes on.
    #[error("certificate: expected no path length, found one")]
    LeafPathLength,
    /// Step 8: the key is not for this.
    #[error("{at}: expected key usage {expected}")]
    KeyUsage {
        /// Which.
        at: Position,
        /// The bit that is not set.
        expected: &'static str,
    },
    /// Step 8: the key of the document is no uncompressed point (97 bytes) on P-384.
    #[error("certificate: expected a public key on p-384, an uncompressed point")]
    NotP384,
    /// Step 9. What `rustls-webpki` says of it is dropped, because it may quote the certificates.
    #[error(
        "chain: expected a path that rfc 5280 allows, of ecdsa signatures on p-384 with sha-384"
    )]
    Path,
    /// Step 9: a path exists, but it is not the bundle.
    #[error("chain: expected a path through every certificate of the bundle")]
    NotTheBundle,
}

impl ChainError {
    /// The step that failed.
    pub fn step(&self) -> Step {
        match self {
            Self::WrongRoot => Step::Root,
            Self::NotACertificate { .. } | Self::Order { .. } => Step::Order,
            Self::Validity { .. } => Step::Validity,
            Self::BasicConstraints { .. } | Self::PathLength { .. } | Self::LeafPathLength => {
                Step::BasicConstraints
            }
            Self::KeyUsage { .. } | Self::NotP384 => Step::KeyUsage,
            Self::Path | Self::NotTheBundle => Step::Path,
        }
    }
}

/// Verifies the chain; gives the public key of `leaf`, an uncompressed point of P-384.
pub(super) fn verify(
    leaf: &CertificateDer<'_>,
    bundle: &[CertificateDer<'_>],
    anchor: &TrustAnchor,
    at: UnixTime,
) -> Result<[u8; POINT_BYTES], ChainError> {
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
    let each = |check: &dyn Fn(Position, &Certificate) -> Result<(), ChainError>| {
        certificates.iter().try_for_each(|(position, certificate)| check(*position, certificate))
    };
    each(&|position, certificate| check_validity(position, certificate, at))?;
    each(&|position, certificate| check_constraints(position, certificate, intermediates.len()))?;
    each(&check_key_usage)?;
    let point = certificates.last().ok_or(ChainError::NotP384).and_then(|(_, c)| p384_point(c))?;

    check_path(leaf, root, intermediates, at)?;
    Ok(point)
}

/// Step 5: each is issued under the subject of the one before it. (The signatures are step 9.)
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

/// Step 7: critical and CA in the bundle, no CA and no path length in the leaf; `intermediates` is the
/// number of those below the root.
fn check_constraints(
    at: Position,
    certificate: &Certificate,
    intermediates: usize,
) -> Result<(), ChainError> {
    let ca = matches!(at, Position::Bundle(_));
    let wrong = ChainError::BasicConstraints { at, ca };
    let Ok(extension) = certificate.tbs_certificate().get_extension::<BasicConstraints>() else {
        return Err(wrong);
    };
    match (at, extension) {
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
        (Position::Leaf, None) => Ok(()),
        (Position::Leaf, Some((_, BasicConstraints { ca: false, path_len_constraint }))) => {
            if path_len_constraint.is_none() {
                Ok(())
            } else {
                Err(ChainError::LeafPathLength)
            }
        }
        _ => Err(wrong),
    }
}

/// Step 8: a CA signs certificates, the leaf signs documents.
fn check_key_usage(at: Position, certificate: &Certificate) -> Result<(), ChainError> {
    // What cannot be read allows nothing.
    let extension = certificate.tbs_certificate().get_extension::<KeyUsage>().ok().flatten();
    let usage = extension.map(|(_, usage)| usage);
    let (allowed, expected) = match at {
        Position::Bundle(_) => (usage.is_some_and(|u| u.key_cert_sign()), "keyCertSign"),
        Position::Leaf => (usage.is_some_and(|u| u.digital_signature()), "digitalSignature"),
    };
    if allowed { Ok(()) } else { Err(ChainError::KeyUsage { at, expected }) }
}

/// Step 8, the key of the leaf: ES384 is ECDSA on P-384 here (AP 3.1).
fn p384_point(leaf: &Certificate) -> Result<[u8; POINT_BYTES], ChainError> {
    let spki = leaf.tbs_certificate().subject_public_key_info();
    let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.to_der().ok());
    let curve = curve.and_then(|der| ObjectIdentifier::from_der(&der).ok());
    if spki.algorithm.oid != EC_PUBLIC_KEY || curve != Some(SECP384R1) {
        return Err(ChainError::NotP384);
    }
    let point = spki.subject_public_key.as_bytes().and_then(|point| point.try_into().ok());
    point.ok_or(ChainError::NotP384)
}

/// Step 9. The genuine certificates carry no extended key usage, and none is required.
fn check_path(
    leaf: &CertificateDer<'_>,
    root: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    at: UnixTime,
) -> Result<(), ChainError> {
    let anchor = anchor_from_trusted_cert(root).map_err(|_| ChainError::Path)?;
    let anchors = [anchor];
    let end_entity = EndEntityCert::try_from(leaf).map_err(|_| ChainError::Path)?;
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
        .map_err(|_| ChainError::Path)?;

    let used = path.intermediate_certificates().map(|certificate| certificate.der());
    if used.eq(intermediates.iter().rev().cloned()) {
        Ok(())
    } else {
        Err(ChainError::NotTheBundle)
    }
}
