//! TLS of the local KMS: a CA of its own, and a server certificate under it.
//!
//! `ca.pem`, `ca.key`, `server.pem`, `server.key` in the folder of the KMS; keys have mode 0600.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    encoding::AsDer as _,
    signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use rustls::{ServerConfig, crypto::aws_lc_rs::default_provider};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::KmsError;
use crate::pki::{
    PkiError,
    authority::{Authority, read_certificate, read_key, write_certificate, write_key},
    certificate::{Role, Template, dns_names},
};

const CA_NAME: &str = "CN=strongroom-local-kms CA,OU=Mock,O=Strongroom,C=US";
const SERVER_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// So that a client whose clock is a bit behind does not refuse a new certificate.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// Makes what is absent; a server certificate that lacks `dns_name` is issued anew under the same CA.
/// Gives the path of the CA's certificate.
pub(super) fn init(dir: &Path, dns_name: Option<&str>) -> Result<PathBuf, KmsError> {
    let mut names = vec!["localhost".to_owned()];
    if let Some(name) = dns_name.filter(|name| *name != "localhost") {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(KmsError::DnsName);
        }
        names.push(name.to_owned());
    }

    let authority = Authority::init(dir, "ca", CA_NAME)?;
    let (certificate, key) = (dir.join("server.pem"), dir.join("server.key"));
    let covered = key.exists() && certificate.exists() && {
        let present = dns_names(&read_certificate(&certificate)?).map_err(PkiError::from)?;
        names.iter().all(|name| present.contains(name))
    };
    if !covered {
        issue_server(&authority, &names, &certificate, &key)?;
    }
    Ok(dir.join("ca.pem"))
}

fn issue_server(
    authority: &Authority,
    dns_names: &[String],
    certificate: &Path,
    key: &Path,
) -> Result<(), PkiError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)?;
    let public_key = pair.public_key().as_der()?;
    let now = SystemTime::now();
    let der = authority.issue(&Template {
        subject: "CN=strongroom-local-kms,OU=Mock,O=Strongroom,C=US",
        role: Role::Server { dns_names },
        not_before: now.checked_sub(BACKDATED).unwrap_or(now),
        lifetime: SERVER_LIFETIME,
        public_key_der: public_key.as_ref(),
    })?;
    write_key(key, &pair)?;
    write_certificate(certificate, &der)
}

/// The names of the server certificate in `dir`.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, KmsError> {
    let certificate = read_certificate(&dir.join("server.pem"))?;
    Ok(dns_names(&certificate).map_err(PkiError::from)?)
}

/// TLS 1.2 and 1.3 with the server certificate in `dir`, HTTP/1.1 by ALPN.
pub(super) fn server_config(dir: &Path) -> Result<Arc<ServerConfig>, KmsError> {
    let certificate = read_certificate(&dir.join("server.pem"))?;
    let key = read_key(&dir.join("server.key"))?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
