//! To the enclave: one connection that carries many requests at once.
//!
//! Request ids rise in the order of writing, replies come in any order, and the number of requests
//! that wait is bounded. Nothing is believed here: a reply is only routed to who asked.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use strongroom_shared::frame::{self, FrameBuffer, FrameError};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{
    Call, EnclaveMessage, HostMessage, PROTOCOL_VERSION, Phase, Reply, Request,
};
use tokio::io::{AsyncReadExt as _, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::transport::{Stream, write_in_pieces};

/// How many requests may wait for the enclave at once.
pub const MAX_WAITING: usize = 256;

/// For how long the enclave may take to answer a hello.
const HELLO_LIMIT: Duration = Duration::from_secs(5);

/// How long after its deadline an unanswered request shows that the enclave is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// There is no connection any more; whether the request was done is not known.
    #[error("the connection to the enclave was lost")]
    Lost,
    /// [`MAX_WAITING`] requests wait already. This one was not sent.
    #[error("expected at most {MAX_WAITING} requests at once")]
    Overloaded,
    /// The request waited past its deadline. It was not sent.
    #[error("the request waited past its deadline and was not sent")]
    Expired,
    /// The request does not fit into a frame. It was not sent.
    #[error("the request: expected at most {} bytes", frame::MAX_FRAME)]
    TooLarge,
    /// The enclave did not take the hello.
    #[error("hello: {0}")]
    Hello(#[source] Closed),
}

impl From<RelayError> for Problem {
    fn from(error: RelayError) -> Self {
        let code = match &error {
            RelayError::Hello(Closed::Refused(problem)) => return (**problem).clone(),
            RelayError::Lost | RelayError::Hello(_) => Code::EnclaveUnavailable,
            RelayError::Overloaded => Code::Overloaded,
            RelayError::Expired => Code::DeadlineExceeded,
            RelayError::TooLarge => Code::BodyTooLarge,
        };
        Self::new(code, error.to_string())
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// The enclave closed it, or it broke.
    #[error("stream: {0}")]
    Io(#[from] io::Error),
    /// What came is not a frame of this protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The enclave refused the connection.
    #[error("refused: {0}")]
    Refused(Box<Problem>),
    /// A message that has no place here.
    #[error("expected {0}")]
    Unexpected(&'static str),
    /// A request was left unanswered long after its deadline.
    #[error("a request was left unanswered for {} seconds after its deadline", PATIENCE.as_secs())]
    Stuck,
    /// Nobody here needs it any more.
    #[error("no longer needed")]
    Unused,
}

/// A request on its way to the writer.
struct Outgoing {
    call: Call,
    expires: Instant,
    answer: oneshot::Sender<Result<Reply, RelayError>>,
    permit: OwnedSemaphorePermit,
}

/// A request that was written. The permit goes back when the reply comes, even if nobody waits:
/// the enclave is at work until then.
struct Waiting {
    expires: Instant,
    answer: oneshot::Sender<Result<Reply, RelayError>>,
    _permit: OwnedSemaphorePermit,
}

type WaitingById = Mutex<HashMap<u64, Waiting>>;

/// An open connection. Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub struct Connection {
    outbox: mpsc::Sender<Outgoing>,
    permits: Arc<Semaphore>,
}

impl Connection {
    /// Exchanges hellos; gives the connection and how far the enclave's boot is.
    pub async fn open(stream: Stream) -> Result<(Self, Phase), RelayError> {
        let (source, mut sink) = tokio::io::split(stream);
        let mut frames = Frames { source, buffer: FrameBuffer::default() };
        let phase = timeout(HELLO_LIMIT, hello(&mut frames, &mut sink))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
            .map_err(RelayError::Hello)?;
        let (outbox, inbox) = mpsc::channel(MAX_WAITING);
        tokio::spawn(carry(frames, sink, inbox));
        Ok((Self { outbox, permits: Arc::new(Semaphore::new(MAX_WAITING)) }, phase))
    }

    /// Asks, and waits for the reply or for the end of the connection. The enclave is told that
    /// an answer after `useful` is of no use; a reply that comes later is given nevertheless,
    /// since it may hold what must be stored.
    pub async fn call(&self, call: Call, useful: Duration) -> Result<Reply, RelayError> {
        let permit =
            Arc::clone(&self.permits).try_acquire_owned().map_err(|_| RelayError::Overloaded)?;
        let (answer, reply) = oneshot::channel();
        let outgoing = Outgoing { call, expires: Instant::now() + useful, answer, permit };
        self.outbox.send(outgoing).await.map_err(|_| RelayError::Lost)?;
        reply.await.unwrap_or(Err(RelayError::Lost))
    }

    /// Resolves when the connection has ended.
    pub async fn closed(&self) {
        self.outbox.closed().await;
    }
}

/// The reading half, frame by frame.
struct Frames {
    source: ReadHalf<Stream>,
    buffer: FrameBuffer,
}

impl Frames {
    async fn next_message(&mut self) -> Result<EnclaveMessage, Closed> {
        let mut chunk = vec![0; frame::MAX_WRITE];
        loop {
            if let Some(body) = self.buffer.next_frame()? {
                return Ok(frame::decode(&body)?);
            }
            match self.source.read(&mut chunk).await? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                read => self.buffer.push(chunk.get(..read).unwrap_or_default()),
            }
        }
    }
}

async fn hello(frames: &mut Frames, sink: &mut WriteHalf<Stream>) -> Result<Phase, Closed> {
    let hello = frame::encode(&HostMessage::Hello { version: PROTOCOL_VERSION })?;
    write_in_pieces(sink, &hello).await?;
    match frames.next_message().await? {
        EnclaveMessage::Hello { version: PROTOCOL_VERSION, phase } => Ok(phase),
        EnclaveMessage::Hello { .. } => Err(Closed::Unexpected("a hello of this version")),
        EnclaveMessage::Refused(problem) => Err(Closed::Refused(Box::new(problem))),
        EnclaveMessage::Reply { .. } => Err(Closed::Unexpected("a hello")),
    }
}

/// Runs one connection to its end; then everyone who waits hears of it, because their senders drop.
async fn carry(frames: Frames, sink: WriteHalf<Stream>, inbox: mpsc::Receiver<Outgoing>) {
    let waiting = WaitingById::default();
    let closed = tokio::select! {
        closed = write_requests(sink, inbox, &waiting) => closed,
        closed = read_replies(frames, &waiting) => closed,
        closed = watch_deadlines(&waiting) => closed,
    };
    match closed {
        Closed::Unused => tracing::debug!("connection to the enclave closed: {closed}"),
        _ => tracing::warn!("connection to the enclave ended: {closed}"),
    }
}

async fn write_requests(
    mut sink: WriteHalf<Stream>,
    mut inbox: mpsc::Receiver<Outgoing>,
    waiting: &WaitingById,
) -> Closed {
    let mut id: u64 = 0;
    while let Some(Outgoing { call, expires, answer, permit }) = inbox.recv().await {
        let left = expires.saturating_duration_since(Instant::now());
        // Nobody listens, or it is too late: it was not sent, so nothing has happened.
        if left.is_zero() || answer.is_closed() {
            let _ = answer.send(Err(RelayError::Expired));
            continue;
        }
        id = id.saturating_add(1);
        let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        let request = HostMessage::Request(Request { id, deadline_ms, call });
        let Ok(frame) = frame::encode(&request) else {
            let _ = answer.send(Err(RelayError::TooLarge));
            continue;
        };
        lock(waiting).insert(id, Waiting { expires, answer, _permit: permit });
        if let Err(error) = write_in_pieces(&mut sink, &frame).await {
            return error.into();
        }
    }
    Closed::Unused
}

async fn read_replies(mut frames: Frames, waiting: &WaitingById) -> Closed {
    loop {
        match frames.next_message().await {
            Ok(EnclaveMessage::Reply { id, reply }) => {
                let asked = lock(waiting).remove(&id);
                match asked {
                    // Who asked may have gone; that is theirs to decide.
                    Some(asked) => drop(asked.answer.send(Ok(*reply))),
                    None => return Closed::Unexpected("a reply to a request that waits"),
                }
            }
            Ok(EnclaveMessage::Refused(problem)) => return Closed::Refused(Box::new(problem)),
            Ok(EnclaveMessage::Hello { .. }) => return Closed::Unexpected("one hello only"),
            Err(closed) => return closed,
        }
    }
}

async fn watch_deadlines(waiting: &WaitingById) -> Closed {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = Instant::now();
        if lock(waiting).values().any(|asked| now > asked.expires + PATIENCE) {
            return Closed::Stuck;
        }
    }
}

/// No code that can panic runs under this lock, so a poisoned one is whole.
fn lock(waiting: &WaitingById) -> MutexGuard<'_, HashMap<u64, Waiting>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
