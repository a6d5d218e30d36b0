//! A KMS with the true certificate and the true keys, whose replies somebody changes: what the
//! enclave checks beyond TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use strongroom_attestation::UnixTime;
use strongroom_mock::kms::LocalKms;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::world::World;

/// Starts one that applies `change` to each reply, and gives its address.
pub async fn start(
    world: &World,
    change: impl Fn(&mut Value) + Send + Sync + 'static,
) -> SocketAddr {
    let dir = world.kms_dir();
    let certificates = CertificateDer::pem_file_iter(dir.join("server.pem")).unwrap();
    let certificates = certificates.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (kms, change) = (Arc::new(world.kms()), Arc::new(change));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = tls.accept(stream).await.unwrap();
            let (kms, change) = (Arc::clone(&kms), Arc::clone(&change));
            tokio::spawn(async move { answer(stream, &kms, &*change).await });
        }
    });
    address
}

async fn answer(
    mut stream: TlsStream<TcpStream>,
    kms: &LocalKms,
    change: &(impl Fn(&mut Value) + Sync),
) {
    let (target, body) = request(&mut stream).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let reply = kms.handle(&target, &body, UnixTime::since_unix_epoch(now));
    let mut json: Value = serde_json::from_slice(&reply.body).unwrap();
    change(&mut json);
    let json = json.to_string();
    let head = format!(
        "HTTP/1.1 {} -\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
        reply.status,
        json.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(json.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// `X-Amz-Target` and the body of one request.
async fn request(stream: &mut TlsStream<TcpStream>) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(':'));
            let mut named = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
            named.next().unwrap().1.trim().to_owned()
        };
        let length: usize = header("content-length").parse().unwrap();
        let start = head.len() + 4;
        if bytes.len() >= start + length {
            return (header("x-amz-target"), bytes[start..start + length].to_vec());
        }
    }
}
