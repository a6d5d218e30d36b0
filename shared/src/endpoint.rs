//! Where the enclave and its host listen, as URLs.

use std::path::PathBuf;

/// `vsock://16:5000`, `unix:///run/strongroom/enclave.sock` or
/// `hybrid-vsock:///path/vm.sock:5000` (a Unix socket that begins with `CONNECT 5000\n`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An AF_VSOCK address.
    Vsock {
        /// The context id.
        cid: u32,
        /// The port.
        port: u32,
    },
    /// A Unix socket.
    Unix(PathBuf),
    /// A Unix socket in front of a VM's vsock, as QEMU's and Firecracker's are.
    HybridVsock {
        /// The Unix socket.
        path: PathBuf,
        /// The guest's port.
        port: u32,
    },
}

impl Endpoint {
    /// Reads a URL of one of the three kinds.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let absolute = |path: &str| path.starts_with('/').then(|| PathBuf::from(path));
        match scheme {
            "vsock" => {
                let (cid, port) = rest.split_once(':')?;
                Some(Self::Vsock { cid: cid.parse().ok()?, port: port.parse().ok()? })
            }
            "unix" => absolute(rest).map(Self::Unix),
            "hybrid-vsock" => {
                let (path, port) = rest.rsplit_once(':')?;
                Some(Self::HybridVsock { path: absolute(path)?, port: port.parse().ok()? })
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vsock { cid, port } => write!(f, "vsock://{cid}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::HybridVsock { path, port } => {
                write!(f, "hybrid-vsock://{}:{port}", path.display())
            }
        }
    }
}

crate::serde_as_text!(
    Endpoint,
    "vsock://CID:PORT, unix:///ABSOLUTE/PATH or hybrid-vsock:///ABSOLUTE/PATH:PORT"
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trips_and_refusals() {
        for text in ["vsock://16:5000", "unix:///run/s.sock", "hybrid-vsock:///run/vm.sock:5000"] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        for wrong in ["vsock://16", "unix://run/s.sock", "tcp://a:1", "hybrid-vsock:///vm.sock", ""]
        {
            assert_eq!(Endpoint::parse(wrong), None, "{wrong}");
        }
    }
}
