//! The ways out of the enclave: bytes, forwarded. TLS passes through; it ends in the enclave.
//!
//! A listener leads to its one target, which stands in the configuration. Nothing that comes from the
//! enclave or from the target chooses where bytes go, so what can be reached is what is configured.
//! On a vsock any guest of the host and its own processes could connect, so there the enclave alone
//! is let in.

mod forward;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use strongroom_shared::endpoint::Endpoint;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::blocking::Blocking;
use crate::config::{RelayConfig, Target};
use crate::metrics::{Metrics, RelayMetrics};
use crate::seldom::Seldom;
use crate::transport::{Listener, Peer, Stream};
use forward::{End, forward};

/// The bounds of a relay.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections at once; further ones are closed at once. Each holds two buffers of
    /// [`MAX_WRITE`](strongroom_shared::frame::MAX_WRITE) bytes, beside those of the kernel.
    pub connections: usize,
    /// How many lookups of the target's name at once. One that hangs holds a thread for longer than
    /// the connection that asked for it.
    pub lookups: usize,
    /// For how long a connection to the target may take, with the lookup of its name.
    pub connect: Duration,
    /// For how long a connection may carry nothing in either direction.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            lookups: 4,
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(120),
        }
    }
}

/// A relay that listens already.
pub struct Egress {
    listener: Listener,
    enclave: Endpoint,
    way: Way,
}

/// What a connection needs to know.
#[derive(Clone)]
struct Way {
    target: Arc<Target>,
    limits: Limits,
    lookups: Blocking,
    metrics: RelayMetrics,
    warnings: Arc<Warnings>,
}

/// A peer decides how often these happen, so it must not decide how long the log is.
#[derive(Default)]
struct Warnings {
    stranger: Seldom,
    crowded: Seldom,
    failed: Seldom,
    accept: Seldom,
}

impl Egress {
    /// Listens where the configuration says, for the enclave that listens at `enclave`.
    pub async fn bind(
        config: &RelayConfig,
        enclave: &Endpoint,
        limits: Limits,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let listener = Listener::bind(&config.listen).await?;
        let way = Way {
            target: Arc::new(config.target.clone()),
            limits,
            lookups: Blocking::at_once(limits.lookups),
            metrics: metrics.relay(config.target.as_str()),
            warnings: Arc::default(),
        };
        Ok(Self { listener, enclave: enclave.clone(), way })
    }

    /// Forwards until `stop` resolves, then closes every connection: who used them is gone.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, enclave, way } = self;
        let mut open = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            while open.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer)) => {
                    way.metrics.accepted.inc();
                    if way.refuses(&enclave, peer, open.len()) {
                        way.metrics.refused.inc();
                        continue;
                    }
                    let active = Active::count(&way.metrics.active);
                    let way = way.clone();
                    open.spawn(async move {
                        way.carry(stream).await;
                        drop(active);
                    });
                }
                Err(error) => {
                    let target = &way.target;
                    way.warnings.accept.warn(format_args!("relay to {target}: accept: {error}"));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        open.shutdown().await;
    }
}

impl Way {
    /// Whether a connection is closed at once, beside so many that are open.
    fn refuses(&self, enclave: &Endpoint, peer: Peer, open: usize) -> bool {
        let Self { target, limits: Limits { connections: most, .. }, warnings, .. } = self;
        let stranger = !is_enclave(enclave, peer);
        let crowded = open >= *most;
        if stranger {
            warnings.stranger.warn(format_args!("relay to {target}: {peer} is not the enclave"));
        } else if crowded {
            warnings.crowded.warn(format_args!("relay to {target}: more than {most} connections"));
        }
        stranger || crowded
    }

    async fn carry(&self, enclave: Stream) {
        let Self { target, limits, metrics, .. } = self;
        let connecting = timeout(limits.connect, self.connect()).await;
        let stream = match connecting.unwrap_or_else(|late| Err(late.into())) {
            Ok(stream) => stream,
            Err(error) => {
                metrics.failed.inc();
                return self.warnings.failed.warn(format_args!("relay to {target}: {error}"));
            }
        };
        // However it ends, it is nothing to wake anybody for: an enclave that has its answer leaves
        // without the last bytes of TLS, and what was cut short TLS notices.
        match forward(enclave, stream, limits.idle, metrics).await {
            End::Closed => tracing::debug!("relay to {target}: closed"),
            End::Broken(error) => tracing::debug!("relay to {target}: {error}"),
            End::Idle => {
                metrics.idle.inc();
                tracing::debug!("relay to {target}: idle for too long");
            }
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let target = Arc::clone(&self.target);
        let lookup = move || target.as_str().to_socket_addrs().map(Vec::from_iter);
        let addresses: Vec<SocketAddr> = self.lookups.run(lookup).await??;
        let stream = TcpStream::connect(addresses.as_slice()).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Whether the peer is what listens at `enclave`. A relay's Unix socket is this user's alone. On a
/// vsock only the enclave's CID tells, and where the host knows none nobody is the enclave.
fn is_enclave(enclave: &Endpoint, peer: Peer) -> bool {
    match (enclave, peer) {
        (_, Peer::Unix) => true,
        (Endpoint::Vsock { cid: enclave, .. }, Peer::Vsock { cid }) => *enclave == cid,
        (Endpoint::Unix(_) | Endpoint::HybridVsock { .. }, Peer::Vsock { .. }) => false,
    }
}

/// One more in a gauge, for as long as it lives: also where its task is aborted.
struct Active(Gauge);

impl Active {
    fn count(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn on_a_vsock_the_enclave_alone_is_let_in() {
        let enclave = Endpoint::Vsock { cid: 16, port: 5000 };
        assert!(is_enclave(&enclave, Peer::Vsock { cid: 16 }));
        // A process of the host, another guest, the host by its other name.
        for cid in [1, 2, 3, 15, 17, u32::MAX] {
            assert!(!is_enclave(&enclave, Peer::Vsock { cid }), "{cid}");
        }
        assert!(is_enclave(&enclave, Peer::Unix), "a socket of this user alone");
        let monitor = Endpoint::HybridVsock { path: "/run/vm.sock".into(), port: 5000 };
        let socket = Endpoint::Unix("/run/enclave.sock".into());
        for without_cid in [monitor, socket] {
            assert!(!is_enclave(&without_cid, Peer::Vsock { cid: 16 }), "{without_cid}");
            assert!(is_enclave(&without_cid, Peer::Unix), "{without_cid}");
        }
    }

    #[test]
    fn refusals_are_of_strangers_and_of_too_many() {
        let way = Way {
            target: Arc::new(Target::parse("127.0.0.1:1").unwrap()),
            limits: Limits { connections: 2, ..Limits::default() },
            lookups: Blocking::at_once(1),
            metrics: Metrics::default().relay("127.0.0.1:1"),
            warnings: Arc::default(),
        };
        let enclave = Endpoint::Vsock { cid: 16, port: 5000 };
        assert!(!way.refuses(&enclave, Peer::Vsock { cid: 16 }, 1));
        assert!(way.refuses(&enclave, Peer::Vsock { cid: 16 }, 2));
        assert!(way.refuses(&enclave, Peer::Vsock { cid: 17 }, 0));
    }

    #[tokio::test]
    async fn a_lookup_that_hangs_holds_its_place_and_later_connections_fail_in_time() {
        let metrics = Metrics::default().relay("127.0.0.1:1");
        let way = Way {
            target: Arc::new(Target::parse("127.0.0.1:1").unwrap()),
            limits: Limits { connect: Duration::from_millis(50), ..Limits::default() },
            lookups: Blocking::at_once(1),
            metrics: metrics.clone(),
            warnings: Arc::default(),
        };
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let hanging = way.lookups.run(move || ended.recv().unwrap_err());
        assert!(timeout(Duration::from_millis(50), hanging).await.is_err());
        let (stream, _peer) = tokio::io::duplex(1);
        way.carry(Box::new(stream)).await;
        assert_eq!(metrics.failed.get(), 1);
        let late = timeout(Duration::from_millis(50), way.connect()).await;
        assert!(late.is_err(), "it waits for a place");
        drop(end);
        let refused = way.connect().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "looked up");
    }
}
