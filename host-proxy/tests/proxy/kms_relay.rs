//! Bytes to KMS and back.

use std::time::Duration;

use strongroom_host_proxy::config::{RelayConfig, Target};
use strongroom_host_proxy::kms_relay::{KmsRelay, Limits};
use strongroom_shared::endpoint::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

struct Setup {
    dir: tempfile::TempDir,
    target: TcpListener,
    relay: tokio::task::JoinHandle<()>,
}

impl Setup {
    async fn new(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = RelayConfig {
            listen: Endpoint::Unix(dir.path().join("relay.sock")),
            target: Target::parse(&target.local_addr().unwrap().to_string()).unwrap(),
        };
        let relay = tokio::spawn(KmsRelay::bind(&config, limits).await.unwrap().serve());
        Self { dir, target, relay }
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("relay.sock")).await.unwrap()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

#[tokio::test]
async fn half_closed_either_way() {
    let setup = Setup::new(Limits::default()).await;
    let mut enclave = setup.connect().await;
    let request = vec![7; 100_000];
    let server = async {
        let (mut stream, _) = setup.target.accept().await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        // The request is over, the answer is not.
        stream.write_all(&received).await.unwrap();
    };
    let client = async {
        enclave.write_all(&request).await.unwrap();
        enclave.shutdown().await.unwrap();
        let mut answer = Vec::new();
        enclave.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(server, client);
    assert_eq!(answer, request);
}

#[tokio::test]
async fn only_the_target_is_reached() {
    let setup = Setup::new(Limits::default()).await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut enclave = setup.connect().await;
    let connect =
        format!("CONNECT {} HTTP/1.1\r\n\r\n", elsewhere.local_addr().unwrap()).into_bytes();
    enclave.write_all(&connect).await.unwrap();
    // Whatever is written is payload for the one target.
    let (mut stream, _) = setup.target.accept().await.unwrap();
    let mut received = vec![0; connect.len()];
    stream.read_exact(&mut received).await.unwrap();
    assert_eq!(received, connect);
    let nobody = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(nobody.is_err());
}

#[tokio::test]
async fn too_many_and_too_idle_are_closed() {
    let limits = Limits { connections: 1, idle: Duration::from_millis(200), ..Limits::default() };
    let setup = Setup::new(limits).await;
    let mut first = setup.connect().await;
    first.write_all(b"x").await.unwrap();
    let (_held, _) = setup.target.accept().await.unwrap();

    let mut second = setup.connect().await;
    assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0, "over the cap");
    assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0, "idle");

    let mut third = setup.connect().await;
    third.write_all(b"x").await.unwrap();
    setup.target.accept().await.unwrap();
}

#[tokio::test]
async fn nobody_at_the_target_closes_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let listen = Endpoint::Unix(dir.path().join("relay.sock"));
    let config = RelayConfig { listen, target: Target::parse(&gone.to_string()).unwrap() };
    let relay = tokio::spawn(KmsRelay::bind(&config, Limits::default()).await.unwrap().serve());
    let mut enclave = UnixStream::connect(dir.path().join("relay.sock")).await.unwrap();
    assert_eq!(enclave.read(&mut [0; 1]).await.unwrap(), 0);
    relay.abort();
}
