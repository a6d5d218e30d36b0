//! Unix sockets where the real enclave has its vsock.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use strongroom_enclave::platform::Transport;
use tokio::net::{UnixListener, UnixStream};

/// Listens on one socket, and reaches the host's relay at another.
pub struct UnixTransport {
    listener: UnixListener,
    relay: PathBuf,
}

impl UnixTransport {
    /// Binds `listen`, for its owner only. A socket that is left from before is replaced.
    pub fn bind(listen: &Path, relay: PathBuf) -> io::Result<Self> {
        if std::fs::symlink_metadata(listen).is_ok_and(|it| it.file_type().is_socket()) {
            std::fs::remove_file(listen)?;
        }
        let listener = UnixListener::bind(listen)?;
        std::fs::set_permissions(listen, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, relay })
    }
}

impl Transport for UnixTransport {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }

    async fn dial_kms(&self) -> io::Result<UnixStream> {
        UnixStream::connect(&self.relay).await
    }
}
