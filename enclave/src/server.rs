//! Step 4: frames become requests. Whatever the host sends, the enclave stays up.
//!
//! Bounds: connections, requests at once on each, the size of a frame, the time that half a frame may
//! take in either direction. Replies come in any order. A connection that breaks the protocol is told so, and closed; no
//! other connection notices.

mod calls;
mod connection;

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use strongroom_shared::wire::Phase;
use tokio::sync::Semaphore;

use crate::boot::{Measured, PolicyLocked};
use crate::enclave::Enclave;
use crate::platform::Transport;

/// The most connections at once; the host's proxy needs one.
const MAX_CONNECTIONS: usize = 16;
/// The longest time from the first byte of a frame, or from the connection to its hello, to the
/// last byte.
const FRAME_TIMEOUT: Duration = Duration::from_secs(10);
/// After so many failures to accept in a row, the transport itself has failed.
const ACCEPT_FAILURES: u32 = 50;
/// The pause after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How far the boot is. Each phase owns what the next one needs.
enum Boot {
    AwaitingPolicy(Measured),
    AwaitingDek(PolicyLocked),
    Over,
}

/// The enclave's end of the vsock.
pub struct Server<T> {
    transport: Arc<T>,
    boot: tokio::sync::Mutex<Boot>,
    /// What a hello says; a boot that waits for KMS does not make it wait.
    phase: Mutex<Phase>,
    enclave: OnceLock<Enclave>,
    connections: Arc<Semaphore>,
}

impl<T: Transport> Server<T> {
    /// A server for an enclave that is measured, and has not booted.
    pub fn new(transport: Arc<T>, measured: Measured) -> Arc<Self> {
        Arc::new(Self {
            transport,
            boot: tokio::sync::Mutex::new(Boot::AwaitingPolicy(measured)),
            phase: Mutex::new(Phase::AwaitingPolicy),
            enclave: OnceLock::new(),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        })
    }

    /// Serves until the transport itself fails.
    pub async fn serve(self: Arc<Self>) -> io::Error {
        let mut failures: u32 = 0;
        loop {
            // Waits for a place first: what is not accepted costs nothing here.
            let Ok(place) = Arc::clone(&self.connections).acquire_owned().await else {
                return io::Error::other("the server was closed");
            };
            let stream = match self.transport.accept().await {
                Ok(stream) => stream,
                Err(error) if failures >= ACCEPT_FAILURES => return error,
                Err(_) => {
                    failures = failures.saturating_add(1);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            failures = 0;
            let server = Arc::clone(&self);
            tokio::spawn(async move {
                connection::serve(server, stream).await;
                drop(place);
            });
        }
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}
