//! The way from the enclave to KMS: bytes, forwarded to the one configured address and nowhere
//! else. TLS passes through; it ends in the enclave.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use strongroom_shared::frame::MAX_WRITE;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::{RelayConfig, Target};
use crate::transport::{Listener, Stream};

/// The bounds of the relay.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections at once; further ones are closed at once.
    pub connections: usize,
    /// For how long a connection to the target may take.
    pub connect: Duration,
    /// For how long a connection may carry nothing in either direction.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 32, connect: Duration::from_secs(5), idle: Duration::from_secs(120) }
    }
}

/// A relay that listens already.
pub struct KmsRelay {
    listener: Listener,
    target: Target,
    limits: Limits,
}

impl KmsRelay {
    /// Listens where the configuration says.
    pub async fn bind(config: &RelayConfig, limits: Limits) -> io::Result<Self> {
        let listener = Listener::bind(&config.listen).await?;
        Ok(Self { listener, target: config.target.clone(), limits })
    }

    /// Forwards until the task is dropped.
    pub async fn serve(self) {
        let free = Arc::new(Semaphore::new(self.limits.connections));
        loop {
            let enclave = match self.listener.accept().await {
                Ok(enclave) => enclave,
                Err(error) => {
                    tracing::warn!("relay to KMS: accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
                tracing::warn!("relay to KMS: too many connections, one was closed");
                continue;
            };
            let (target, limits) = (self.target.clone(), self.limits);
            tokio::spawn(async move {
                match connect(&target, limits.connect).await {
                    Ok(kms) => forward(enclave, kms, limits.idle).await,
                    Err(error) => tracing::warn!("relay to KMS: {target}: {error}"),
                }
                drop(permit);
            });
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

async fn forward(enclave: Stream, kms: TcpStream, idle_limit: Duration) {
    let (from_enclave, to_enclave) = tokio::io::split(enclave);
    let (from_kms, to_kms) = kms.into_split();
    let (moved, movement) = watch::channel(Instant::now());
    let both = async {
        tokio::try_join!(copy(from_enclave, to_kms, &moved), copy(from_kms, to_enclave, &moved))
    };
    tokio::select! {
        done = both => if let Err(error) = done {
            // An enclave that has its answer often leaves without the last bytes of TLS.
            tracing::debug!("relay to KMS: {error}");
        },
        () = idle(movement, idle_limit) => tracing::debug!("relay to KMS: idle for too long"),
    }
}

/// Copies one direction to its end, then closes that direction only: the other may go on.
async fn copy(
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    moved: &watch::Sender<Instant>,
) -> io::Result<()> {
    let mut piece = vec![0; MAX_WRITE];
    loop {
        let read = source.read(&mut piece).await?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
            // The other side may have gone already, and then there is nobody to tell.
            return sink.shutdown().await.or(Ok(()));
        };
        sink.write_all(bytes).await?;
        sink.flush().await?;
        moved.send_replace(Instant::now());
    }
}

/// Resolves when nothing has moved for `limit`.
async fn idle(movement: watch::Receiver<Instant>, limit: Duration) {
    loop {
        let until = *movement.borrow() + limit;
        if Instant::now() >= until {
            return;
        }
        sleep_until(until).await;
    }
}
