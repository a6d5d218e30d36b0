//! Mutual TLS: a client without a certificate of the configured authority gets no byte of HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read, or holds something else.
    #[error("http.tls: {}: {error}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// The authority's file holds no usable certificate.
    #[error("http.tls.client_ca: {0}")]
    ClientAuthority(#[from] VerifierBuilderError),
    /// The certificate and the key are refused.
    #[error("http.tls: {0}")]
    Refused(#[from] rustls::Error),
}

/// An acceptor that demands and verifies client certificates.
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(&files.client_ca)? {
        authorities.add(certificate)?;
    }
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider))
            .build()?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(in_file(&files.key))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates(&files.certificate)?, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(in_file(path))
}

fn in_file(path: &Path) -> impl Fn(pem::Error) -> TlsError {
    move |error| TlsError::Pem { path: path.to_owned(), error }
}
