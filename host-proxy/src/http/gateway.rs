//! From a handler to the enclave and back: ready or 503, a deadline, and records kept first.

use std::sync::Arc;
use std::time::Duration;

use strongroom_shared::id::WalletId;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{Call, Reply};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::record::Recorder;
use crate::supervisor::{Serving, Status};

/// What every handler shares.
#[derive(Clone)]
pub struct Gateway {
    status: watch::Receiver<Status>,
    recorder: Recorder,
    deadline: Duration,
}

impl Gateway {
    /// A gateway to whatever enclave the status names.
    pub fn new(status: watch::Receiver<Status>, recorder: Recorder, deadline: Duration) -> Self {
        Self { status, recorder, deadline }
    }

    /// The status now.
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The enclave, if it is ready.
    pub(crate) fn serving(&self) -> Result<Arc<Serving>, Problem> {
        match self.status() {
            Status::Ready(serving) => Ok(serving),
            Status::NotReady(problem) => {
                let code = match problem.code {
                    Code::EnclaveUnavailable => Code::EnclaveUnavailable,
                    _ => Code::EnclaveNotReady,
                };
                Err(Problem::new(code, "the enclave is not ready: GET /readyz says why"))
            }
        }
    }

    /// Asks for something that changes nothing. A refusal is an error.
    pub(crate) async fn read(&self, call: Call) -> Result<Reply, Problem> {
        let serving = self.serving()?;
        let reply = timeout(self.deadline, serving.connection.call(call, self.deadline));
        match reply.await.map_err(|_| too_late())?? {
            Reply::Refused(problem) => Err(problem),
            reply => Ok(reply),
        }
    }

    /// Refuses while a record waits for the disk: nothing is decided until it is written.
    pub(crate) fn records(&self) -> Result<(), Problem> {
        self.recorder.ready()
    }

    /// Asks for a decision, and keeps its record before it gives the reply. A refusal is an error.
    pub(crate) async fn decide(&self, call: Call) -> Result<Reply, Problem> {
        let serving = self.serving()?;
        self.records()?;
        let (recorder, useful) = (self.recorder.clone(), self.deadline);
        // A task of its own, to the end: a caller that goes away, or waits no longer, must not
        // keep what the enclave has decided from being recorded.
        let decided = tokio::spawn(async move {
            let reply = serving.connection.call(call, useful).await?;
            recorder.keep(&reply).await?;
            Ok::<Reply, Problem>(reply)
        });
        let reply = timeout(self.deadline, decided).await.map_err(|_| too_late())?;
        match reply
            .map_err(|_| Problem::new(Code::InternalFault, "the request was abandoned"))??
        {
            Reply::Refused(problem) => Err(problem),
            reply => Ok(reply),
        }
    }

    /// Refuses with `store_unavailable` unless the wallet's sealed key is stored: money that is
    /// sent to an address of another one would be lost with this life of the enclave.
    pub(crate) async fn expect_stored(&self, wallet: &WalletId) -> Result<(), Problem> {
        match self.recorder.store().has_wallet(wallet).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(Problem::new(Code::StoreUnavailable, "the wallet's sealed key is not stored"))
            }
            Err(error) => {
                tracing::error!("the store cannot be read: {error}");
                Err(Problem::new(Code::StoreUnavailable, "the store could not be read"))
            }
        }
    }
}

/// The enclave gave an answer of another kind than was asked for.
pub(crate) fn unexpected() -> Problem {
    Problem::new(Code::InternalFault, "the enclave's answer is of another kind")
}

fn too_late() -> Problem {
    Problem::new(Code::DeadlineExceeded, "the enclave did not answer in time")
}
