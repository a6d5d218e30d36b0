//! How connections end, and how loudly.

use super::*;
use crate::log::Log;

#[tokio::test]
async fn an_ordinary_end_is_no_warning() {
    let (log, _guard) = Log::begin();
    let setup = Setup::new(Limits::default()).await;
    // The enclave leaves with its answer, and the target says goodbye to nobody.
    let (mut enclave, mut target) = setup.pair().await;
    target.write_all(b"answer").await.unwrap();
    enclave.read_exact(&mut [0; 6]).await.unwrap();
    drop(enclave);
    for _ in 0..100 {
        if target.write_all(b"close_notify").await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(target);
    setup.quiet().await;
    // The target leaves, and the enclave says goodbye to nobody.
    let (mut enclave, mut target) = setup.pair().await;
    target.write_all(b"answer").await.unwrap();
    enclave.read_exact(&mut [0; 6]).await.unwrap();
    target.set_zero_linger().unwrap();
    drop(target);
    while enclave.write_all(b"close_notify").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    setup.quiet().await;
    // Both leave at once with bytes unread.
    let (mut enclave, mut target) = setup.pair().await;
    target.write_all(b"answer").await.unwrap();
    enclave.read_exact(&mut [0; 6]).await.unwrap();
    enclave.write_all(b"unread").await.unwrap();
    target.write_all(b"unread").await.unwrap();
    drop((enclave, target));
    setup.quiet().await;

    let text = log.text();
    assert!(text.contains("DEBUG"), "the log is heard: {text}");
    assert!(!text.contains("WARN") && !text.contains("ERROR"), "{text}");
}

#[tokio::test]
async fn a_side_that_takes_no_more_is_heard_to_its_end() {
    const MUCH: usize = 8 << 20;
    let (log, _guard) = Log::begin();
    let setup = Setup::new(Limits::default()).await;
    let (enclave, mut target) = setup.pair().await;
    let enclave = enclave.into_std().unwrap();
    enclave.set_nonblocking(false).unwrap();
    enclave.shutdown(std::net::Shutdown::Read).unwrap();
    target.write_all(b"goodbye").await.unwrap();
    while !log.text().contains("takes no more") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rest = tokio::task::spawn_blocking(move || {
        io::Write::write_all(&mut &enclave, &vec![7; MUCH]).unwrap();
    });
    let mut received = Vec::new();
    target.read_to_end(&mut received).await.unwrap();
    assert_eq!(received.len(), MUCH);
    rest.await.unwrap();
}

#[tokio::test]
async fn too_many_and_too_idle_are_closed() {
    let (log, _guard) = Log::begin();
    let limits = Limits { connections: 1, idle: Duration::from_millis(200), ..Limits::default() };
    let setup = Setup::new(limits).await;
    let (mut first, _held) = setup.pair().await;
    first.write_all(b"x").await.unwrap();

    let mut second = setup.connect().await;
    assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0, "over the cap");
    assert!(log.text().contains("WARN") && log.text().contains("more than 1 connections"));
    assert_eq!(setup.metrics.active.get(), 1);
    assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0, "idle");
    setup.quiet().await;

    let (mut third, mut target) = setup.pair().await;
    third.write_all(b"x").await.unwrap();
    target.read_exact(&mut [0; 1]).await.unwrap();
    let RelayMetrics { accepted, refused, idle, .. } = &setup.metrics;
    assert_eq!((accepted.get(), refused.get(), idle.get()), (3, 1, 1));
}

#[tokio::test]
async fn a_peer_does_not_decide_how_long_the_log_is() {
    let (log, _guard) = Log::begin();
    let setup = Setup::new(Limits { connections: 0, ..Limits::default() }).await;
    for _ in 0..50 {
        assert_eq!(setup.connect().await.read(&mut [0; 1]).await.unwrap(), 0);
    }
    assert_eq!(setup.metrics.refused.get(), 50);
    assert_eq!(log.text().matches("WARN").count(), 1, "{}", log.text());

    let Setup { target, dir, metrics, stop: _stop, relay: _relay } =
        Setup::new(Limits::default()).await;
    drop(target);
    for _ in 0..50 {
        let mut enclave = UnixStream::connect(dir.path().join("relay.sock")).await.unwrap();
        assert_eq!(enclave.read(&mut [0; 1]).await.unwrap(), 0);
    }
    assert_eq!(metrics.failed.get(), 50);
    assert_eq!(log.text().matches("WARN").count(), 2, "{}", log.text());
}

#[tokio::test]
async fn a_connection_that_carries_something_is_not_idle() {
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let setup = Setup::new(limits).await;
    let (mut enclave, mut target) = setup.pair().await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        enclave.write_all(b"x").await.unwrap();
        target.read_exact(&mut [0; 1]).await.unwrap();
    }
    assert_eq!(setup.metrics.idle.get(), 0);
}

async fn refused_by(target: &str, limits: Limits) -> (RelayMetrics, String) {
    let (log, _guard) = Log::begin();
    let dir = crate::samples::private_dir();
    let listen = Endpoint::Unix(dir.path().join("relay.sock"));
    let config = RelayConfig { listen, target: Target::parse(target).unwrap() };
    let metrics = Metrics::default();
    let relay = Egress::bind(&config, &enclave(), limits, &metrics).await.unwrap();
    let relay = tokio::spawn(relay.serve(std::future::pending()));
    let mut enclave = UnixStream::connect(dir.path().join("relay.sock")).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(3), enclave.read(&mut [0; 1])).await;
    assert_eq!(closed.unwrap().unwrap(), 0);
    relay.abort();
    (metrics.relay(target), log.text())
}

#[tokio::test]
async fn nobody_at_the_target_closes_the_connection_and_is_told() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (metrics, log) = refused_by(&gone.to_string(), Limits::default()).await;
    assert_eq!((metrics.accepted.get(), metrics.failed.get()), (1, 1));
    assert!(log.contains("WARN") && log.contains("Connection refused"), "{log}");
}

#[tokio::test]
async fn a_target_that_is_slow_to_connect_is_given_up() {
    // A listener whose queue is full answers nobody.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let limits = Limits { connect: Duration::from_millis(200), ..Limits::default() };
    let (metrics, log) = refused_by(&address.to_string(), limits).await;
    assert_eq!(metrics.failed.get(), 1);
    assert!(log.contains("timed out"), "{log}");
}

#[tokio::test]
async fn told_to_stop_it_closes_what_is_open_and_returns() {
    let setup = Setup::new(Limits::default()).await;
    let (mut enclave, mut target) = setup.pair().await;
    enclave.write_all(b"x").await.unwrap();
    target.read_exact(&mut [0; 1]).await.unwrap();
    let Setup { dir, metrics, stop, relay, .. } = setup;
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(3), relay).await.unwrap().unwrap();
    assert_eq!(enclave.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(target.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(metrics.active.get(), 0);
    assert!(UnixStream::connect(dir.path().join("relay.sock")).await.is_err());
}
