//! One connection: hello, then requests with rising ids, until the host goes or breaks the rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom_shared::frame::{self, FrameBuffer, FrameError, MAX_WRITE};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{
    Call, EnclaveMessage, HostMessage, PROTOCOL_VERSION, Reply, Request,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc};
use zeroize::Zeroize as _;

use super::{FRAME_TIMEOUT, Server};
use crate::platform::Transport;

/// The most requests of a connection at once; one more is told to come again.
const MAX_REQUESTS: usize = 256;
/// Replies that wait for a slow host; requests that would add more wait as well, in their place.
const QUEUED_REPLIES: usize = 64;

/// Serves until the connection ends. What went wrong is told to the host; replies of
/// requests under way may follow it.
pub(super) async fn serve<T: Transport>(server: Arc<Server<T>>, stream: T::Stream) {
    let (reader, writer) = tokio::io::split(stream);
    let (replies, queue) = mpsc::channel(QUEUED_REPLIES);
    let mut writing = tokio::spawn(write(writer, queue));
    let reading = read(server, reader, &replies);
    tokio::select! {
        result = reading => {
            if let Err(problem) = result {
                send(&replies, &EnclaveMessage::Refused(problem)).await;
            }
            drop(replies);
            // Requests under way still hold a sender, so their replies are written before this ends.
            let _ = writing.await;
        }
        // The host does not take what it asked for.
        _ = &mut writing => {}
    }
}

async fn read<T: Transport>(
    server: Arc<Server<T>>,
    mut reader: impl AsyncRead + Unpin,
    replies: &mpsc::Sender<Vec<u8>>,
) -> Result<(), Problem> {
    let mut buffer = FrameBuffer::default();
    let places = Arc::new(Semaphore::new(MAX_REQUESTS));
    let mut last_id = None;
    while let Some(message) = next(&mut reader, &mut buffer, last_id.is_none()).await? {
        match (message, last_id) {
            (HostMessage::Hello { version: PROTOCOL_VERSION }, None) => {
                last_id = Some(0);
                let phase = server.phase();
                let hello = EnclaveMessage::Hello { version: PROTOCOL_VERSION, phase };
                send(replies, &hello).await;
            }
            (HostMessage::Request(request), Some(last)) if request.id > last => {
                last_id = Some(request.id);
                start(&server, &places, request, replies).await;
            }
            (HostMessage::Request(_), Some(_)) => {
                let detail = "request: id: expected one above the last of this connection";
                return Err(Problem::new(Code::RequestIdReused, detail));
            }
            (HostMessage::Hello { .. }, _) | (HostMessage::Request(_), None) => {
                let detail = format!("expected one hello of version {PROTOCOL_VERSION}, first");
                return Err(Problem::new(Code::ProtocolVersion, detail));
            }
        }
    }
    Ok(())
}

/// The next message; `None` when the host closed the connection between two of them.
async fn next(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut FrameBuffer,
    first: bool,
) -> Result<Option<HostMessage>, Problem> {
    let refuse = |error: FrameError| {
        let code = match error {
            FrameError::TooLarge => Code::FrameTooLarge,
            FrameError::Malformed => Code::FrameMalformed,
        };
        Problem::new(code, error.to_string())
    };
    let mut since = None;
    let mut chunk = [0; MAX_WRITE];
    loop {
        if let Some(mut body) = buffer.next_frame().map_err(refuse)? {
            let message = frame::decode(&body).map_err(refuse)?;
            if matches!(&message, HostMessage::Request(Request { call: Call::Boot(_), .. })) {
                // It held the host's credentials, whose own copies are wiped on drop.
                body.zeroize();
                chunk.zeroize();
            }
            return Ok(Some(message));
        }
        // Between two frames the host may be silent for as long as it likes; within one it may not.
        if first || buffer.is_partial() {
            since.get_or_insert_with(Instant::now);
        }
        let read = reader.read(&mut chunk);
        let read = match since {
            None => read.await,
            Some(since) => {
                let left = FRAME_TIMEOUT.saturating_sub(since.elapsed());
                tokio::time::timeout(left, read).await.map_err(|_| {
                    Problem::new(Code::DeadlineExceeded, "frame: the rest did not come in time")
                })?
            }
        };
        match read {
            Ok(0) if buffer.is_partial() => {
                return Err(Problem::new(Code::FrameMalformed, "frame: ends in its middle"));
            }
            Ok(0) | Err(_) => return Ok(None),
            Ok(length) => buffer.push(chunk.get(..length).unwrap_or_default()),
        }
    }
}

/// Starts a request, or says at once that there are too many.
async fn start<T: Transport>(
    server: &Arc<Server<T>>,
    places: &Arc<Semaphore>,
    request: Request,
    replies: &mpsc::Sender<Vec<u8>>,
) {
    let Request { id, deadline_ms, call } = request;
    let (arrived, patience) = (Instant::now(), Duration::from_millis(deadline_ms.into()));
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        let problem = Problem::new(Code::Overloaded, "too many requests at once");
        reply(replies, id, Reply::Refused(problem)).await;
        return;
    };
    let (server, replies) = (Arc::clone(server), replies.clone());
    tokio::spawn(async move {
        let answer = if arrived.elapsed() > patience {
            let detail = "the request waited for longer than its deadline";
            Reply::Refused(Problem::new(Code::DeadlineExceeded, detail))
        } else {
            server.answer(call).await
        };
        reply(&replies, id, answer).await;
        drop(place);
    });
}

async fn reply(replies: &mpsc::Sender<Vec<u8>>, id: u64, reply: Reply) {
    send(replies, &EnclaveMessage::Reply { id, reply: Box::new(reply) }).await;
}

/// Queues a message. Where the connection is gone there is nobody to tell: a result is kept under its
/// intent, and a receipt in the chain, all the same.
async fn send(replies: &mpsc::Sender<Vec<u8>>, message: &EnclaveMessage) {
    let frame = frame::encode(message).or_else(|_| {
        // What is asked is bounded so that every reply fits. Should one not, the host is told.
        let detail = "the reply does not fit into a frame";
        let refusal = Reply::Refused(Problem::new(Code::InternalFault, detail));
        match message {
            EnclaveMessage::Reply { id, .. } => {
                frame::encode(&EnclaveMessage::Reply { id: *id, reply: Box::new(refusal) })
            }
            EnclaveMessage::Hello { .. } | EnclaveMessage::Refused(_) => Err(FrameError::TooLarge),
        }
    });
    if let Ok(frame) = frame {
        let _ = replies.send(frame).await;
    }
}

/// Writes until nobody sends any more, or until the host takes too long to read a frame: its requests
/// under way would otherwise be kept for ever.
async fn write(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        let written = tokio::time::timeout(FRAME_TIMEOUT, async {
            for piece in frame.chunks(MAX_WRITE) {
                writer.write_all(piece).await?;
            }
            writer.flush().await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
}
