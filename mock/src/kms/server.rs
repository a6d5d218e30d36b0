//! The HTTPS server of the local KMS: bodies, connections and waits are bounded.

use std::{convert::Infallible, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use rustls_pki_types::UnixTime;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{KmsError, LocalKms, Reply, state, tls};

/// A document of 262,144 bytes in base64, and the rest of a request.
const MAX_BODY_BYTES: usize = 512 * 1024;
const MAX_CONNECTIONS: usize = 256;
/// For a TLS handshake, the headers, and a body.
const PATIENCE: Duration = Duration::from_secs(10);
/// For connections in use when the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// A server that is bound to its address.
pub struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    kms: Arc<LocalKms>,
}

impl Server {
    /// Binds to `address`, with the certificate that [`super::init`] made in `dir`.
    ///
    /// # Errors
    /// When the certificate cannot be read, or the address cannot be bound.
    pub async fn bind(dir: &Path, kms: LocalKms, address: SocketAddr) -> Result<Self, KmsError> {
        let acceptor = TlsAcceptor::from(tls::server_config(dir)?);
        let here = address.to_string();
        let listener =
            TcpListener::bind(address).await.map_err(super::io_error(Path::new(&here)))?;
        Ok(Self { listener, acceptor, kms: Arc::new(kms) })
    }

    /// Where it listens; with the port that the system chose, when 0 was asked for.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr, KmsError> {
        self.listener.local_addr().map_err(super::io_error(Path::new("socket")))
    }

    /// Serves until `stop` is ready, and then lets requests in flight finish for five seconds.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, acceptor, kms } = self;
        let graceful = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener, &permits) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let connection = Connection {
                        acceptor: acceptor.clone(),
                        kms: Arc::clone(&kms),
                        watcher: graceful.watcher(),
                    };
                    tokio::spawn(async move {
                        connection.serve(stream).await;
                        drop(permit);
                    });
                }
                // For example no file descriptor is left: wait for one rather than spin.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        if timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still in use when the server stopped");
        }
    }
}

/// A connection, as soon as fewer than [`MAX_CONNECTIONS`] are open.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

struct Connection {
    acceptor: TlsAcceptor,
    kms: Arc<LocalKms>,
    watcher: Watcher,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let Self { acceptor, kms, watcher } = self;
        let tls = match timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => return tracing::debug!(%error, "tls handshake failed"),
            Err(_) => return tracing::debug!("tls handshake took too long"),
        };
        let service = service_fn(move |request| {
            let kms = Arc::clone(&kms);
            async move { Ok::<_, Infallible>(respond(kms, request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(tls), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "connection ended with an error");
        }
    }
}

async fn respond(kms: Arc<LocalKms>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = match timeout(PATIENCE, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException");
        }
        Err(_) => return refusal(StatusCode::REQUEST_TIMEOUT, "RequestExpired"),
    };
    // RSA and files: not on the threads that serve connections.
    let answer = tokio::task::spawn_blocking(move || kms.handle(&parts, &body, UnixTime::now()));
    match answer.await {
        Ok(Reply { status, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            json(status, body.into())
        }
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "KMSInternalException"),
    }
}

fn refusal(status: StatusCode, kind: &str) -> Response<Full<Bytes>> {
    json(status, serde_json::json!({"__type": kind}).to_string().into())
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = header::HeaderValue::from_static(super::CONTENT_TYPE);
    headers.insert(header::CONTENT_TYPE, json);
    if let Some(id) = state::uuid().ok().and_then(|id| header::HeaderValue::try_from(id).ok()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
