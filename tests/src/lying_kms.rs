//! A KMS with the true certificate and the true keys, whose replies somebody changes, and that
//! remembers what it was asked: what the enclave checks beyond TLS, and what it asks for.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use http::Request;
use http::request::Parts;
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

/// What somebody changes: a request of the enclave, and the reply that it gets.
pub struct Exchange<'a> {
    /// The operation, for example `Decrypt`.
    pub operation: &'a str,
    /// How often this operation was asked for, with this one.
    pub times: usize,
    /// The request's JSON.
    pub request: &'a Value,
    /// The HTTP status of the reply.
    pub status: u16,
    /// The reply's JSON.
    pub reply: Value,
}

impl Exchange<'_> {
    /// Answers with an exception in place of the reply, with the message under this name.
    pub fn refuse(&mut self, code: &str, message: &str) {
        self.status = 400;
        self.reply = serde_json::json!({"__type": code, message: "in KMS's own words"});
    }
}

/// One that runs.
pub struct LyingKms {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Asked,
}

type Asked = Arc<Mutex<Vec<(String, Value)>>>;

impl LyingKms {
    /// The requests for `operation`, in their order.
    pub fn asked(&self, operation: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        let named = asked.iter().filter(|(found, _)| found == operation);
        named.map(|(_, request)| request.clone()).collect()
    }

    /// Every operation that was asked for, in their order.
    pub fn operations(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(operation, _)| operation.clone()).collect()
    }
}

/// Starts one that applies `change` to each exchange.
pub async fn start(
    world: &World,
    change: impl Fn(&mut Exchange<'_>) + Send + Sync + 'static,
) -> LyingKms {
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
    let asked = Asked::default();
    let remembered = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = tls.accept(stream).await.unwrap();
            let (kms, change) = (Arc::clone(&kms), Arc::clone(&change));
            let asked = Arc::clone(&asked);
            tokio::spawn(async move { answer(stream, &kms, &asked, &*change).await });
        }
    });
    LyingKms { address, asked: remembered }
}

async fn answer(
    mut stream: TlsStream<TcpStream>,
    kms: &LocalKms,
    asked: &Asked,
    change: &(impl Fn(&mut Exchange<'_>) + Sync),
) {
    let (parts, body) = request(&mut stream).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let reply = kms.handle(&parts, &body, UnixTime::since_unix_epoch(now));
    let target = parts.headers["x-amz-target"].to_str().unwrap();
    let operation = target.strip_prefix("TrentService.").unwrap();
    let request: Value = serde_json::from_slice(&body).unwrap();
    let times = {
        let mut asked = asked.lock().unwrap();
        asked.push((operation.to_owned(), request.clone()));
        asked.iter().filter(|(found, _)| found == operation).count()
    };
    let reply_json = serde_json::from_slice(&reply.body).unwrap();
    let mut exchange =
        Exchange { operation, times, request: &request, status: reply.status, reply: reply_json };
    change(&mut exchange);
    let (status, json) = (exchange.status, exchange.reply);
    let json = json.to_string();
    let head = format!(
        "HTTP/1.1 {} -\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
        status,
        json.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(json.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// The head and the body of one request. The signature over them is the KMS's to verify.
async fn request(stream: &mut TlsStream<TcpStream>) -> (Parts, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert_ne!(read, 0, "the enclave ended its request early");
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let parts = head(std::str::from_utf8(&bytes[..end]).unwrap());
        let length: usize = parts.headers["content-length"].to_str().unwrap().parse().unwrap();
        let body = &bytes[end + 4..];
        if body.len() >= length {
            return (parts, body[..length].to_vec());
        }
    }
}

/// A request line and its header lines.
fn head(text: &str) -> Parts {
    let (line, headers) = text.split_once("\r\n").unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let mut request = Request::builder().method(words[0]).uri(words[1]);
    for header in headers.split("\r\n") {
        let (name, value) = header.split_once(':').unwrap();
        request = request.header(name, value.trim());
    }
    request.body(()).unwrap().into_parts().0
}
