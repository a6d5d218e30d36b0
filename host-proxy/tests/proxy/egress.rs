//! Bytes out of the enclave and back.

mod ends;

use std::io;
use std::time::Duration;

use strongroom_host_proxy::config::{RelayConfig, Target};
use strongroom_host_proxy::egress::{Egress, Limits};
use strongroom_host_proxy::metrics::{Metrics, RelayMetrics};
use strongroom_shared::endpoint::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Where the enclave listens.
fn enclave() -> Endpoint {
    Endpoint::Vsock { cid: 16, port: 5000 }
}

struct Setup {
    dir: tempfile::TempDir,
    target: TcpListener,
    metrics: RelayMetrics,
    stop: oneshot::Sender<()>,
    relay: JoinHandle<()>,
}

impl Setup {
    async fn new(limits: Limits) -> Self {
        let dir = crate::samples::private_dir();
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = RelayConfig {
            listen: Endpoint::Unix(dir.path().join("relay.sock")),
            target: Target::parse(&target.local_addr().unwrap().to_string()).unwrap(),
        };
        let all = Metrics::default();
        let metrics = all.relay(config.target.as_str());
        let relay = Egress::bind(&config, &enclave(), limits, &all).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let relay = tokio::spawn(relay.serve(async { drop(stopped.await) }));
        Self { dir, target, metrics, stop, relay }
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("relay.sock")).await.unwrap()
    }

    /// Both ends of one more connection.
    async fn pair(&self) -> (UnixStream, TcpStream) {
        let enclave = self.connect().await;
        (enclave, self.target.accept().await.unwrap().0)
    }

    /// Waits until the relay has forgotten every connection.
    async fn quiet(&self) {
        for _ in 0..500 {
            if self.metrics.active.get() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("connections are left");
    }
}

#[tokio::test]
async fn half_closed_by_the_enclave() {
    let setup = Setup::new(Limits::default()).await;
    let (mut enclave, mut target) = setup.pair().await;
    let request = vec![7; 100_000];
    let server = async {
        let mut received = Vec::new();
        target.read_to_end(&mut received).await.unwrap();
        // The request is over, the answer is not.
        target.write_all(&received).await.unwrap();
        drop(target);
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
    setup.quiet().await;
    let RelayMetrics { accepted, refused, failed, idle, from_enclave, to_enclave, .. } =
        &setup.metrics;
    assert_eq!((accepted.get(), refused.get(), failed.get(), idle.get()), (1, 0, 0, 0));
    assert_eq!((from_enclave.get(), to_enclave.get()), (100_000, 100_000));
}

#[tokio::test]
async fn half_closed_by_the_target() {
    let setup = Setup::new(Limits::default()).await;
    let (mut enclave, mut target) = setup.pair().await;
    target.write_all(b"all that there is").await.unwrap();
    target.shutdown().await.unwrap();
    let mut said = String::new();
    enclave.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "all that there is");
    enclave.write_all(b"thanks").await.unwrap();
    enclave.shutdown().await.unwrap();
    let mut answer = String::new();
    target.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "thanks");
    setup.quiet().await;
}

#[tokio::test]
async fn only_the_target_is_reached() {
    let setup = Setup::new(Limits::default()).await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut enclave, mut target) = setup.pair().await;
    let connect =
        format!("CONNECT {} HTTP/1.1\r\n\r\n", elsewhere.local_addr().unwrap()).into_bytes();
    enclave.write_all(&connect).await.unwrap();
    // Whatever is written is payload for the one target.
    let mut received = vec![0; connect.len()];
    target.read_exact(&mut received).await.unwrap();
    assert_eq!(received, connect);
    let nobody = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(nobody.is_err());
}

#[tokio::test]
async fn many_connections_at_once_do_not_mix() {
    let setup = Setup::new(Limits::default()).await;
    let echo = async {
        let mut echoes = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (mut stream, _) = setup.target.accept().await.unwrap();
            echoes.spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            });
        }
        echoes.join_all().await;
    };
    let callers = async {
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..100_u8 {
            let mut enclave = setup.connect().await;
            callers.spawn(async move {
                let sent = vec![number; 50_000];
                let (mut from, mut to) = enclave.split();
                let mut received = Vec::new();
                let writing = async {
                    to.write_all(&sent).await.unwrap();
                    to.shutdown().await.unwrap();
                };
                let (_, read) = tokio::join!(writing, from.read_to_end(&mut received));
                read.unwrap();
                assert_eq!(received, sent);
            });
        }
        callers.join_all().await;
    };
    tokio::join!(echo, callers);
    setup.quiet().await;
    assert_eq!(setup.metrics.accepted.get(), 100);
}

#[tokio::test]
async fn a_target_that_does_not_read_stops_the_enclave_s_writing() {
    const MUCH: usize = 64 << 20;
    let setup = Setup::new(Limits::default()).await;
    let (mut enclave, mut target) = setup.pair().await;
    let chunk = vec![7; 64 << 10];
    let mut written = 0;
    while let Ok(done) = tokio::time::timeout(Duration::from_secs(1), enclave.write(&chunk)).await {
        written += done.unwrap();
        assert!(written < MUCH, "somebody holds all of it");
    }
    // What is under way is in the kernel's buffers and in the relay's one.
    let taken = usize::try_from(setup.metrics.from_enclave.get()).unwrap();
    assert!(written - taken < 1 << 20, "{written} bytes came, {taken} were passed on");
    enclave.shutdown().await.unwrap();
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match target.read(&mut buffer).await.unwrap() {
            0 => break,
            read => received += read,
        }
    }
    assert_eq!(received, written, "and nothing is lost");
}
