//! Step 4: frames become requests. Whatever the host sends, the enclave stays up.
//!
//! Bounds: connections, requests at once, the size of a frame, the time that half a frame may take.
//! Replies come in any order. A connection that breaks the protocol is told so, and closed; no
//! other connection notices.

mod calls;
mod connection;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use strongroom_shared::wire;
use tokio::sync::{Mutex, Semaphore};

use crate::boot::{Measured, PolicyLocked};
use crate::enclave::Enclave;
use crate::platform::Transport;

/// The most connections at once; the host's proxy needs one.
const MAX_CONNECTIONS: usize = 16;
/// The most requests at once, over all connections; one more is told to come again.
const MAX_REQUESTS: usize = 512;
/// The longest time from the first byte of a frame, or from the connection to its hello, to the
/// last byte.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);

/// How far the boot is. Each phase owns what the next one needs.
enum Phase {
    AwaitingPolicy(Measured),
    AwaitingDek(PolicyLocked),
    /// Ready; or, after a failure in the last step, not to be used again in this life.
    Over,
}

/// The enclave's end of the vsock.
pub struct Server<T> {
    transport: Arc<T>,
    boot: Mutex<Phase>,
    enclave: OnceLock<Enclave>,
    requests: Arc<Semaphore>,
    connections: Arc<Semaphore>,
}

impl<T: Transport> Server<T> {
    /// A server for an enclave that is measured, and has not booted.
    pub fn new(transport: Arc<T>, measured: Measured) -> Arc<Self> {
        Arc::new(Self {
            transport,
            boot: Mutex::new(Phase::AwaitingPolicy(measured)),
            enclave: OnceLock::new(),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        })
    }

    /// Serves until the transport itself fails.
    pub async fn serve(self: Arc<Self>) -> io::Error {
        loop {
            // Waits for a place first: what is not accepted costs nothing here.
            let Ok(place) = Arc::clone(&self.connections).acquire_owned().await else {
                return io::Error::other("the server was closed");
            };
            let stream = match self.transport.accept().await {
                Ok(stream) => stream,
                Err(error) => return error,
            };
            let server = Arc::clone(&self);
            tokio::spawn(async move {
                connection::serve(server, stream).await;
                drop(place);
            });
        }
    }

    async fn phase(&self) -> wire::Phase {
        if self.enclave.get().is_some() {
            return wire::Phase::Ready;
        }
        match &*self.boot.lock().await {
            Phase::AwaitingPolicy(_) => wire::Phase::AwaitingPolicy,
            Phase::AwaitingDek(_) | Phase::Over => wire::Phase::AwaitingDek,
        }
    }
}
