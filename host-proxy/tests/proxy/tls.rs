//! Mutual TLS over a real socket. The certificates in `pem/` were made with `openssl` for these
//! tests, expire in a hundred years, and authenticate nobody anywhere else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use strongroom_host_proxy::config::TlsFiles;
use strongroom_host_proxy::server::{Server, acceptor};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

fn pem(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/pem")).join(name)
}

fn files() -> TlsFiles {
    TlsFiles { certificate: pem("server.pem"), key: pem("server.key"), client_ca: pem("ca.pem") }
}

/// One request by the client whose certificate has this name.
async fn request(to: SocketAddr, client: Option<&str>) -> std::io::Result<String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(name) => {
            let certificate = CertificateDer::from_pem_file(pem(&format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(pem(&format!("{name}.key"))).unwrap();
            config.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn only_clients_of_the_authority_are_heard() {
    let loopback = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(loopback, Some(acceptor(&files()).unwrap())).await.unwrap();
    let url = server.url().unwrap();
    let address: SocketAddr = url.strip_prefix("https://").unwrap().parse().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().route("/", get(async || "heard"));
    let serving = tokio::spawn(server.serve(router, async { stopped.await.unwrap() }));

    let answer = request(address, Some("client")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("heard"), "{answer}");
    assert!(request(address, None).await.is_err());
    assert!(request(address, Some("stranger")).await.is_err());
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));

    stop.send(()).unwrap();
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "stopped");
}

#[tokio::test]
async fn requests_under_way_finish() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let address = server.url().unwrap().strip_prefix("http://").unwrap().to_owned();
    let (began, begun) = oneshot::channel::<()>();
    let (finish, finishing) = oneshot::channel::<()>();
    let once = Arc::new(std::sync::Mutex::new(Some((began, finishing))));
    let router = Router::new().route(
        "/",
        get(async move || {
            let (began, finishing) = once.lock().unwrap().take().unwrap();
            began.send(()).unwrap();
            finishing.await.unwrap();
            "finished"
        }),
    );
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(router, async { stopped.await.unwrap() }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    begun.await.unwrap();
    stop.send(()).unwrap();
    tokio::task::yield_now().await;
    finish.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("finished"), "{answer}");
    serving.await.unwrap();
}

#[test]
fn wrong_files_are_refused_by_name() {
    let none = TlsFiles { key: pem("none.key"), ..files() };
    let message = acceptor(&none).err().unwrap().to_string();
    assert!(message.contains("none.key"), "{message}");
    let swapped = TlsFiles { certificate: pem("server.key"), ..files() };
    assert!(acceptor(&swapped).is_err());
    let other_key = TlsFiles { key: pem("client.key"), ..files() };
    assert!(acceptor(&other_key).is_err());
    let empty = TlsFiles { client_ca: pem("server.key"), ..files() };
    assert!(acceptor(&empty).is_err());
}
