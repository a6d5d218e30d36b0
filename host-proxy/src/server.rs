//! Serves HTTP/1.1: plain on loopback in development, with mutual TLS otherwise.

mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub use tls::{TlsError, acceptor};

/// How many connections at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the head of a request may take to arrive; an idle connection is closed after it.
const HEAD: Duration = Duration::from_secs(30);

/// How long requests that are under way may take at shutdown.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that listens already.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Listens; with mutual TLS if there is an acceptor.
    pub async fn bind(address: SocketAddr, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, tls })
    }

    /// Where it listens, as a URL.
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.listener.local_addr()?))
    }

    /// Serves until `stop` resolves, then lets requests that are under way finish.
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let Self { listener, tls } = self;
        let graceful = GracefulShutdown::new();
        let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        tokio::pin!(stop);
        loop {
            let accepted = async {
                let permit = Arc::clone(&free).acquire_owned().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>((listener.accept().await?.0, permit))
            };
            let (stream, permit) = tokio::select! {
                () = &mut stop => break,
                accepted = accepted => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!("accepting a connection: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                if let Err(error) = connection(stream, tls, router, watcher).await {
                    tracing::debug!("connection: {error}");
                }
                drop(permit);
            });
        }
        drop(listener);
        if timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not finish within {} s", DRAIN.as_secs());
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => http(stream, router, watcher).await,
        Some(tls) => {
            let handshake = timeout(HANDSHAKE, tls.accept(stream)).await;
            http(handshake.map_err(|_| io::ErrorKind::TimedOut)??, router, watcher).await
        }
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    router: Router,
    watcher: Watcher,
) -> io::Result<()> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    watcher.watch(connection).await.map_err(io::Error::other)
}
