//! The ways out of the enclave: bytes, forwarded. TLS passes through; it ends in the enclave.
//!
//! A listener leads to its one target, which stands in the configuration. Nothing that comes from the
//! enclave or from the target chooses where bytes go, so what can be reached is what is configured.

mod forward;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::{RelayConfig, Target};
use crate::metrics::{Metrics, RelayMetrics};
use crate::transport::{Listener, Stream};
use forward::{End, forward};

/// The bounds of a relay.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections at once; further ones are closed at once. Each holds two buffers of
    /// [`MAX_WRITE`](strongroom_shared::frame::MAX_WRITE) bytes, beside those of the kernel.
    pub connections: usize,
    /// For how long a connection to the target may take.
    pub connect: Duration,
    /// For how long a connection may carry nothing in either direction.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 128, connect: Duration::from_secs(5), idle: Duration::from_secs(120) }
    }
}

/// A relay that listens already.
pub struct Egress {
    listener: Listener,
    way: Way,
}

/// What a connection needs to know.
#[derive(Clone)]
struct Way {
    target: Arc<Target>,
    limits: Limits,
    metrics: RelayMetrics,
}

impl Egress {
    /// Listens where the configuration says.
    pub async fn bind(config: &RelayConfig, limits: Limits, metrics: &Metrics) -> io::Result<Self> {
        let listener = Listener::bind(&config.listen).await?;
        let metrics = metrics.relay(config.target.as_str());
        let target = Arc::new(config.target.clone());
        Ok(Self { listener, way: Way { target, limits, metrics } })
    }

    /// Forwards until `stop` resolves, then closes every connection: who used them is gone.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { listener, way } = self;
        let mut open = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            while open.try_join_next().is_some() {}
            match accepted {
                Ok(_) if open.len() >= way.limits.connections => {
                    way.metrics.accepted.inc();
                    way.metrics.refused.inc();
                    let most = way.limits.connections;
                    tracing::warn!("relay to {}: more than {most} connections", way.target);
                }
                Ok(enclave) => {
                    way.metrics.accepted.inc();
                    let active = Active::count(&way.metrics.active);
                    let way = way.clone();
                    open.spawn(async move {
                        way.carry(enclave).await;
                        drop(active);
                    });
                }
                Err(error) => {
                    tracing::warn!("relay to {}: accept: {error}", way.target);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        open.shutdown().await;
    }
}

impl Way {
    async fn carry(&self, enclave: Stream) {
        let Self { target, limits, metrics } = self;
        let stream = match connect(target, limits.connect).await {
            Ok(stream) => stream,
            Err(error) => {
                metrics.failed.inc();
                return tracing::warn!("relay to {target}: {error}");
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
}

async fn connect(target: &Target, limit: Duration) -> io::Result<TcpStream> {
    let stream = timeout(limit, TcpStream::connect(target.as_str()))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
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
