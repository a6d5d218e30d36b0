//! Keeps an enclave booted: connects, boots it with what the store holds, watches the connection,
//! and begins again when it is lost. Until a boot is complete nothing is asked of the enclave.

mod boot;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use strongroom_shared::digest::Digest;
use strongroom_shared::endpoint::Endpoint;
use strongroom_shared::id::{BootId, DekId, WalletId};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::Phase;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::credentials::{self, CredentialsError, Lender};
use crate::metrics::Metrics;
use crate::record::Recorder;
use crate::relay::Connection;
use crate::transport;

/// For how long a connection to the enclave may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Whether the enclave can be asked.
#[derive(Clone)]
pub enum Status {
    /// Not now, and the last reason why.
    NotReady(Arc<Problem>),
    /// Booted, and every wallet that it takes is open.
    Ready(Arc<Serving>),
}

/// An enclave that is ready.
pub struct Serving {
    /// The way to it.
    pub connection: Connection,
    /// This life of it.
    pub boot_id: BootId,
    /// The policy in force.
    pub policy: Digest,
    /// The DEK.
    pub dek_id: DekId,
    /// Wallets in the store that the enclave would not open, and why.
    pub refused: Vec<(WalletId, Problem)>,
}

/// A boot that failed.
struct Failed {
    /// What callers are told.
    problem: Problem,
    /// What the log is told.
    reason: String,
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self { reason: problem.to_string(), problem }
    }
}

impl From<CredentialsError> for Failed {
    fn from(error: CredentialsError) -> Self {
        let outward = format!("credentials: {}", error.outward());
        let problem = Problem::new(Code::EnclaveNotReady, outward);
        Self { reason: format!("{}: credentials: {error}", problem.code.as_str()), problem }
    }
}

/// What a boot needs.
pub struct Supervisor {
    endpoint: Endpoint,
    policy: Vec<u8>,
    lender: Lender,
    recorder: Recorder,
    metrics: Metrics,
    status: watch::Sender<Status>,
}

impl Supervisor {
    /// A supervisor and the status that it keeps. `policy` is the bytes of the signed envelope.
    pub fn new(
        endpoint: Endpoint,
        policy: Vec<u8>,
        lender: Lender,
        recorder: Recorder,
        metrics: Metrics,
    ) -> (Self, watch::Receiver<Status>) {
        let problem = Problem::new(Code::EnclaveNotReady, "the enclave was not reached yet");
        let (status, watched) = watch::channel(Status::NotReady(Arc::new(problem)));
        (Self { endpoint, policy, lender, recorder, metrics, status }, watched)
    }

    /// Runs until the task is dropped.
    pub async fn run(self) -> Infallible {
        let mut backoff = Backoff::default();
        let mut last = String::new();
        loop {
            self.metrics.boot_attempted();
            let Failed { problem, reason } = match self.boot().await {
                Ok(serving) => {
                    backoff = Backoff::default();
                    self.serve(serving).await.into()
                }
                Err(failed) => {
                    self.metrics.boot_failed(failed.problem.code);
                    failed
                }
            };
            let wait = backoff.next();
            // The same reason again and again, while an enclave is away, is told once.
            if reason == last {
                tracing::debug!("not ready: {reason}; again in {} ms", wait.as_millis());
            } else {
                tracing::warn!("not ready: {reason}; again in {} ms", wait.as_millis());
            }
            last = reason;
            self.status.send_replace(Status::NotReady(Arc::new(problem)));
            tokio::time::sleep(wait).await;
        }
    }

    async fn boot(&self) -> Result<Serving, Failed> {
        let connecting = timeout(CONNECT_LIMIT, transport::connect(&self.endpoint)).await;
        let stream = connecting.unwrap_or_else(|late| Err(late.into())).map_err(|error| {
            Problem::new(Code::EnclaveUnavailable, format!("connecting to the enclave: {error}"))
        })?;
        let (connection, phase) = Connection::open(stream).await.map_err(Problem::from)?;
        let credentials = match phase {
            Phase::AwaitingPolicy | Phase::AwaitingDek => {
                self.lender.lend(credentials::now()).await?
            }
            // It has its DEK, and asks nothing more of KMS: a proxy that comes back takes it up even
            // while there are no credentials to be had.
            Phase::Ready => credentials::nothing(),
        };
        Ok(boot::run(connection, &self.policy, credentials, &self.recorder).await?)
    }

    /// Tells everyone that the enclave is ready, until it is not.
    async fn serve(&self, serving: Serving) -> Problem {
        let connection = serving.connection.clone();
        tracing::info!(
            "the enclave is ready: boot {}, policy {}, DEK {}",
            serving.boot_id,
            serving.policy,
            serving.dek_id
        );
        self.status.send_replace(Status::Ready(Arc::new(serving)));
        self.metrics.ready(true);
        connection.closed().await;
        self.metrics.ready(false);
        Problem::new(Code::EnclaveUnavailable, "the connection to the enclave was lost")
    }
}
