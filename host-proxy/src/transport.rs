//! Byte streams to and from the enclave, over each kind of [`Endpoint`].

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use strongroom_shared::endpoint::Endpoint;
use strongroom_shared::frame::MAX_WRITE;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_vsock::{VsockAddr, VsockListener, VsockStream};

use crate::private;

/// The longest answer to `CONNECT` that is read, in bytes: `OK 4294967295\n` has 14.
const MAX_HYBRID_ANSWER: usize = 32;

/// A stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A stream of any kind.
pub type Stream = Box<dyn Io>;

/// Connects to where the enclave listens.
pub async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    match endpoint {
        Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        Endpoint::Vsock { cid, port } => {
            Ok(Box::new(VsockStream::connect(VsockAddr::new(*cid, *port)).await?))
        }
        Endpoint::HybridVsock { path, port } => {
            let mut stream = UnixStream::connect(path).await?;
            introduce(&mut stream, *port).await?;
            Ok(Box::new(stream))
        }
    }
}

/// Asks a VM's monitor for a port of its guest: `CONNECT port\n`, answered by `OK …\n`.
async fn introduce(stream: &mut UnixStream, port: u32) -> io::Result<()> {
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).await?;
    let mut answer = Vec::with_capacity(MAX_HYBRID_ANSWER);
    // One byte at a time: what follows the line is the enclave's.
    while !answer.ends_with(b"\n") {
        if answer.len() >= MAX_HYBRID_ANSWER {
            return Err(io::Error::other("hybrid-vsock: expected OK and a line end"));
        }
        answer.push(stream.read_u8().await?);
    }
    if answer.starts_with(b"OK ") {
        Ok(())
    } else {
        Err(io::Error::other("hybrid-vsock: the monitor did not answer OK"))
    }
}

/// Writes in pieces of at most [`MAX_WRITE`] bytes: larger writes to a vsock stall on some hosts.
pub async fn write_in_pieces<W: AsyncWrite + Unpin>(sink: &mut W, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(MAX_WRITE) {
        sink.write_all(piece).await?;
    }
    sink.flush().await
}

/// Who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process of this user.
    Unix,
    /// A machine of this host, or the host itself.
    Vsock {
        /// Its context id, which the kernel vouches for.
        cid: u32,
    },
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix => f.write_str("a process of this user"),
            Self::Vsock { cid } => write!(f, "CID {cid}"),
        }
    }
}

/// Where the host listens for the enclave.
pub enum Listener {
    /// A Unix socket that only this user can open.
    Unix(UnixListener),
    /// An AF_VSOCK port.
    Vsock(VsockListener),
}

impl Listener {
    /// Binds. A socket that was left behind is replaced; one that is in use is not. A Unix socket has
    /// the mode of the umask for a moment, so its folder must be this user's alone.
    pub async fn bind(endpoint: &Endpoint) -> io::Result<Self> {
        match endpoint {
            Endpoint::Unix(path) => {
                check_folder(path)?;
                remove_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                Ok(Self::Unix(listener))
            }
            Endpoint::Vsock { cid, port } => {
                Ok(Self::Vsock(VsockListener::bind(VsockAddr::new(*cid, *port))?))
            }
            Endpoint::HybridVsock { .. } => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "expected unix:// or vsock://"))
            }
        }
    }

    /// The next connection, and whose it is.
    pub async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Unix(listener) => Ok((Box::new(listener.accept().await?.0), Peer::Unix)),
            Self::Vsock(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Box::new(stream), Peer::Vsock { cid: address.cid() }))
            }
        }
    }
}

fn check_folder(path: &Path) -> io::Result<()> {
    let folder = std::fs::metadata(path.parent().unwrap_or(path))?;
    private::check(&folder).map_err(|breach| {
        io::Error::new(io::ErrorKind::PermissionDenied, format!("the socket's folder: {breach}"))
    })
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|at| at.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(_) => std::fs::remove_file(path),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn monitor(answer: &'static [u8]) -> (tempfile::TempDir, io::Result<Stream>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vm.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 13];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"CONNECT 5000\n");
            stream.write_all(answer).await.unwrap();
        });
        let stream = connect(&Endpoint::HybridVsock { path, port: 5000 }).await;
        server.await.unwrap();
        (dir, stream)
    }

    #[tokio::test]
    async fn hybrid_vsock_begins_with_a_line_and_keeps_what_follows() {
        let (_dir, stream) = monitor(b"OK 1073741824\nframe").await;
        let mut rest = String::new();
        stream.unwrap().read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "frame");
    }

    #[tokio::test]
    async fn hybrid_vsock_refusals() {
        for answer in [b"ERR no such port\n".as_slice(), &[b'O'; 64], b"OK 1"] {
            let (_dir, stream) = monitor(answer).await;
            assert!(stream.is_err());
        }
    }

    /// A folder for this user only, as a relay's socket needs.
    fn private_dir() -> tempfile::TempDir {
        let mode = std::fs::Permissions::from_mode(0o700);
        tempfile::Builder::new().permissions(mode).tempdir().unwrap()
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = private_dir();
        let endpoint = Endpoint::Unix(dir.path().join("relay.sock"));
        drop(Listener::bind(&endpoint).await.unwrap());
        let live = Listener::bind(&endpoint).await.unwrap();
        let refused = Listener::bind(&endpoint).await.err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop(live);
    }

    #[tokio::test]
    async fn a_socket_in_a_folder_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("relay.sock");
        let endpoint = Endpoint::Unix(path.clone());
        for mode in [0o755, 0o710, 0o701] {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = Listener::bind(&endpoint).await.err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
            let message = refused.to_string();
            assert!(
                message.contains(&format!(
                    "folder: expected no access for others, found mode {mode:04o}"
                )),
                "{message}"
            );
            assert!(!path.exists(), "nothing was bound");
        }
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        let listener = Listener::bind(&endpoint).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let _client = UnixStream::connect(&path).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1, Peer::Unix);
    }
}
