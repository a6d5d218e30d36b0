//! The other end of the wire.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_bytes::ByteBuf;
use strongroom_shared::endpoint::Endpoint;
use strongroom_shared::frame::{self, FrameBuffer};
use strongroom_shared::wire::{
    Call, EnclaveMessage, HostMessage, PROTOCOL_VERSION, Phase, Reply, Request,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// One connection of a host.
pub(crate) struct Host {
    stream: UnixStream,
    buffer: FrameBuffer,
}

impl Host {
    pub(crate) async fn receive(&mut self) -> Option<HostMessage> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(body) = self.buffer.next_frame().unwrap() {
                return Some(frame::decode(&body).unwrap());
            }
            match self.stream.read(&mut chunk).await.unwrap_or(0) {
                0 => return None,
                read => self.buffer.push(&chunk[..read]),
            }
        }
    }

    pub(crate) async fn request(&mut self) -> Option<Request> {
        match self.receive().await? {
            HostMessage::Request(request) => Some(request),
            HostMessage::Hello { .. } => panic!("a second hello"),
        }
    }

    pub(crate) async fn send(&mut self, message: &EnclaveMessage) {
        self.write(&frame::encode(message).unwrap()).await;
    }

    pub(crate) async fn reply(&mut self, id: u64, reply: Reply) {
        self.send(&EnclaveMessage::Reply { id, reply: Box::new(reply) }).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // The host may have gone, which is for the test to see.
        let _ = self.stream.write_all(bytes).await;
    }
}

/// Where hosts come in.
pub(crate) struct Door(UnixListener);

impl Door {
    pub(crate) fn open(path: &Path) -> Self {
        Self(UnixListener::bind(path).unwrap())
    }

    pub(crate) async fn connection(&self) -> Host {
        let (stream, _) = self.0.accept().await.unwrap();
        Host { stream, buffer: FrameBuffer::default() }
    }

    /// The next connection, after its hello was answered.
    pub(crate) async fn greeted(&self, phase: Phase) -> Host {
        let mut host = self.connection().await;
        assert!(matches!(host.receive().await, Some(HostMessage::Hello { version: 1 })));
        host.send(&EnclaveMessage::Hello { version: PROTOCOL_VERSION, phase }).await;
        host
    }
}

/// What the test wants done with a call.
pub(crate) enum Act {
    Reply(Box<Reply>),
    Ignore,
    HangUp,
}

impl From<Reply> for Act {
    fn from(reply: Reply) -> Self {
        Self::Reply(Box::new(reply))
    }
}

/// An enclave that answers each call by a function, and tells which calls came.
pub(crate) struct FakeEnclave {
    pub(crate) endpoint: Endpoint,
    pub(crate) calls: mpsc::UnboundedReceiver<Call>,
    task: tokio::task::JoinHandle<()>,
}

impl FakeEnclave {
    pub(crate) fn start(path: PathBuf, phase: Phase, answer: fn(&Call) -> Act) -> Self {
        let _ = std::fs::remove_file(&path);
        let door = Door::open(&path);
        let (told, calls) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let told = Arc::new(told);
            loop {
                let mut host = door.greeted(phase).await;
                while let Some(Request { id, call, .. }) = host.request().await {
                    let act = answer(&call);
                    let _ = told.send(copy(&call));
                    match act {
                        Act::Reply(reply) => host.reply(id, *reply).await,
                        Act::Ignore => {}
                        Act::HangUp => break,
                    }
                }
            }
        });
        Self { endpoint: Endpoint::Unix(path), calls, task }
    }

    pub(crate) fn kill(self) {
        self.task.abort();
    }
}

/// Calls are not `Clone`, because credentials are not.
fn copy(call: &Call) -> Call {
    frame::decode(&frame::encode(call).unwrap()[4..]).unwrap()
}

pub(crate) fn bytes(text: &str) -> ByteBuf {
    ByteBuf::from(text.as_bytes())
}
