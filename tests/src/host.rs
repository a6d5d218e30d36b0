//! The host's end of the vsock, honest or not.

use std::path::Path;
use std::time::Duration;

use strongroom_shared::frame::{self, FrameBuffer};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{
    Call, EnclaveMessage, HostMessage, PROTOCOL_VERSION, Phase, Reply, Request,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// A connection to an enclave.
pub struct Host {
    stream: UnixStream,
    buffer: FrameBuffer,
    last_id: u64,
}

impl Host {
    /// Connects, and says nothing yet.
    pub async fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).await.unwrap();
        Self { stream, buffer: FrameBuffer::default(), last_id: 0 }
    }

    /// Connects and says hello.
    pub async fn hello(socket: &Path) -> (Self, Phase) {
        let mut host = Self::connect(socket).await;
        host.send(&HostMessage::Hello { version: PROTOCOL_VERSION }).await;
        match host.receive().await.unwrap() {
            EnclaveMessage::Hello { version: PROTOCOL_VERSION, phase } => (host, phase),
            other => panic!("expected a hello: {other:?}"),
        }
    }

    /// Sends a message in a frame.
    pub async fn send(&mut self, message: &HostMessage) {
        self.send_raw(&frame::encode(message).unwrap()).await;
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Ends this direction of the connection.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next message; `None` when the enclave closed the connection.
    pub async fn receive(&mut self) -> Option<EnclaveMessage> {
        tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                if let Some(body) = self.buffer.next_frame().unwrap() {
                    return Some(frame::decode(&body).unwrap());
                }
                let mut chunk = [0; 4096];
                match self.stream.read(&mut chunk).await.unwrap_or(0) {
                    0 => return None,
                    read => self.buffer.push(&chunk[..read]),
                }
            }
        })
        .await
        .expect("the enclave did not answer in 30 seconds")
    }

    /// The id that the next request has.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A request in its frame, to be sent as often as one likes.
    pub fn frame(&mut self, call: Call) -> Vec<u8> {
        let request = Request { id: self.next_id(), deadline_ms: 30_000, call };
        frame::encode(&HostMessage::Request(request)).unwrap()
    }

    /// Asks, and waits for the answer.
    pub async fn call(&mut self, call: Call) -> Reply {
        let frame = self.frame(call);
        self.send_raw(&frame).await;
        match self.receive().await {
            Some(EnclaveMessage::Reply { id, reply }) if id == self.last_id => *reply,
            other => panic!("expected a reply to {}: {other:?}", self.last_id),
        }
    }

    /// Asks, and expects no.
    pub async fn refused(&mut self, call: Call) -> Problem {
        match self.call(call).await {
            Reply::Refused(problem) => problem,
            other => panic!("expected a refusal: {other:?}"),
        }
    }

    /// Expects the connection itself to be refused with `code`, and closed.
    pub async fn expect_closed(&mut self, code: Code) {
        match self.receive().await {
            Some(EnclaveMessage::Refused(problem)) => assert_eq!(problem.code, code),
            other => panic!("expected the connection to be refused: {other:?}"),
        }
        assert!(self.receive().await.is_none(), "the connection is still open");
    }
}
