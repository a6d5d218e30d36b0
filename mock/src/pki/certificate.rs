//! X.509 certificates (RFC 5280) for the three roles that the mocks need, with ECDSA on P-384.
//!
//! `x509-cert` has a builder behind a feature that brings its signature traits, which `aws-lc-rs` does
//! not implement; the certificate is encoded here from that crate's parts instead.

use std::{
    str::FromStr as _,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    signature::{EcdsaKeyPair, KeyPair as _},
};
use der::{
    Decode as _, Encode as _, Sequence,
    asn1::{BitString, Ia5String, ObjectIdentifier, OctetString},
    flagset::FlagSet,
    oid::AssociatedOid,
};
use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate, Version,
    ext::{
        Extension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
            SubjectAltName, SubjectKeyIdentifier, name::GeneralName,
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time, Validity},
};

use super::PkiError;

/// `ecdsa-with-SHA384` (RFC 5758, section 3.2).
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
/// `id-kp-serverAuth` (RFC 5280, section 4.2.1.12).
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role<'a> {
    /// Signs certificates.
    Authority {
        /// How many authorities may follow below it.
        path_len: Option<u8>,
    },
    /// Signs attestation documents; no CA, as `rustls-webpki` insists.
    Nsm,
    /// A TLS server of these DNS names.
    Server {
        /// At least one.
        dns_names: &'a [String],
    },
}

/// A certificate to be issued.
pub(crate) struct Template<'a> {
    /// A distinguished name in the syntax of RFC 4514.
    pub(crate) subject: &'a str,
    pub(crate) role: Role<'a>,
    pub(crate) not_before: SystemTime,
    pub(crate) lifetime: Duration,
    /// DER of the subject's SubjectPublicKeyInfo.
    pub(crate) public_key_der: &'a [u8],
}

/// Who signs.
pub(crate) enum Issuer<'a> {
    /// The subject itself: a root.
    Itself(&'a EcdsaKeyPair),
    /// An authority.
    Authority { der: &'a CertificateDer<'a>, key: &'a EcdsaKeyPair },
}

/// RFC 5280, section 4.1, without the unique identifiers, which conforming CAs do not write.
#[derive(Sequence)]
struct Tbs {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial_number: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Signed {
    tbs: Tbs,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// Issues a certificate.
pub(crate) fn issue(
    template: &Template<'_>,
    issuer: &Issuer<'_>,
) -> Result<CertificateDer<'static>, PkiError> {
    let subject = Name::from_str(template.subject)?;
    let (issuer_name, key) = match issuer {
        Issuer::Itself(key) => (subject.clone(), key),
        Issuer::Authority { der, key } => {
            (Certificate::from_der(der)?.tbs_certificate().subject().clone(), key)
        }
    };
    let algorithm = AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA384, parameters: None };
    let not_after = template.not_before.checked_add(template.lifetime).ok_or(PkiError::Crypto)?;
    let issuer_key_der = key.public_key().as_der()?;
    let tbs = Tbs {
        version: Version::V3,
        serial_number: serial_number()?,
        signature: algorithm.clone(),
        issuer: issuer_name,
        validity: Validity::new(Time::try_from(template.not_before)?, Time::try_from(not_after)?),
        subject,
        subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(template.public_key_der)?,
        extensions: extensions(template, issuer_key_der.as_ref())?,
    };
    let signature = key.sign(&SystemRandom::new(), &tbs.to_der()?)?;
    let signature = BitString::from_bytes(signature.as_ref())?;
    Ok(CertificateDer::from(Signed { tbs, algorithm, signature }.to_der()?))
}

/// 16 random bytes, positive (RFC 5280, section 4.1.2.2).
fn serial_number() -> Result<SerialNumber, PkiError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random)?;
    let value = u128::from_be_bytes(random) >> 1;
    Ok(SerialNumber::new(&value.max(1).to_be_bytes())?)
}

fn extensions(
    template: &Template<'_>,
    issuer_key_der: &[u8],
) -> Result<Vec<Extension>, der::Error> {
    let (ca, path_len_constraint, usage): (_, _, FlagSet<KeyUsages>) = match template.role {
        Role::Authority { path_len } => (
            true,
            path_len,
            KeyUsages::KeyCertSign | KeyUsages::DigitalSignature | KeyUsages::CRLSign,
        ),
        Role::Nsm => (false, None, KeyUsages::DigitalSignature | KeyUsages::NonRepudiation),
        Role::Server { .. } => (false, None, KeyUsages::DigitalSignature.into()),
    };
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(key_identifier(issuer_key_der)?),
        ..AuthorityKeyIdentifier::default()
    };
    let mut extensions = vec![
        extension(true, &BasicConstraints { ca, path_len_constraint })?,
        extension(true, &KeyUsage(usage))?,
        extension(false, &SubjectKeyIdentifier(key_identifier(template.public_key_der)?))?,
        extension(false, &authority)?,
    ];
    if let Role::Server { dns_names } = template.role {
        let names = dns_names
            .iter()
            .map(|name| Ia5String::new(name).map(GeneralName::DnsName))
            .collect::<Result<_, _>>()?;
        extensions.push(extension(false, &SubjectAltName(names))?);
        extensions.push(extension(false, &ExtendedKeyUsage(vec![SERVER_AUTH]))?);
    }
    Ok(extensions)
}

fn extension<T: der::Encode + AssociatedOid>(
    critical: bool,
    value: &T,
) -> Result<Extension, der::Error> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// Any value that is unique to the key will do (RFC 7093, section 2, method 4 in spirit).
fn key_identifier(public_key_der: &[u8]) -> Result<OctetString, der::Error> {
    let digest = Sha256::digest(public_key_der);
    OctetString::new(digest.iter().copied().take(20).collect::<Vec<u8>>())
}

/// The DNS names for which a server certificate was issued.
pub(crate) fn dns_names(der: &CertificateDer<'_>) -> Result<Vec<String>, der::Error> {
    let certificate = Certificate::from_der(der)?;
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>()?;
    let names = names.map(|(_, SubjectAltName(names))| names).unwrap_or_default();
    Ok(names
        .into_iter()
        .filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        })
        .collect())
}
