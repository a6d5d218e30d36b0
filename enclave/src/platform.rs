//! What the enclave needs of the machine that it runs on, besides the NSM.
//!
//! The production binary names the real devices in its `main.rs`; a mock implements these traits
//! from outside. There is no other seam between the two.

use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

/// The two directions of the vsock.
pub trait Transport: Send + Sync + 'static {
    /// A connection to the host.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection that the host opens.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// A connection to the host's relay in front of KMS. What is at its other end is whatever the
    /// host likes: TLS decides.
    fn dial_kms(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}
