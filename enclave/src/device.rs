//! The real devices, as thin as they can be: only this cannot be tested off Nitro hardware.

use std::io;

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use aws_nitro_enclaves_nsm_api::driver;
use strongroom_enclave::config;
use strongroom_enclave::platform::Transport;
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockListener, VsockStream};

/// `/dev/nsm`.
pub(crate) struct Nsm {
    descriptor: i32,
}

impl Nsm {
    pub(crate) fn open() -> io::Result<Self> {
        match driver::nsm_init() {
            -1 => Err(io::Error::other("/dev/nsm: expected the NSM device")),
            descriptor => Ok(Self { descriptor }),
        }
    }
}

impl strongroom_attestation::nsm::Nsm for Nsm {
    fn process(&self, request: Request) -> Response {
        driver::nsm_process_request(self.descriptor, request)
    }
}

impl Drop for Nsm {
    fn drop(&mut self) {
        driver::nsm_exit(self.descriptor);
    }
}

/// AF_VSOCK in both directions.
pub(crate) struct Vsock {
    listener: tokio::sync::Mutex<VsockListener>,
    relay: VsockAddr,
}

impl Vsock {
    pub(crate) fn listen(ports: config::Vsock) -> io::Result<Self> {
        let config::Vsock { listen_port, parent_cid, relay_port } = ports;
        let listener = VsockListener::bind(VsockAddr::new(VMADDR_CID_ANY, listen_port))?;
        let relay = VsockAddr::new(parent_cid, relay_port);
        Ok(Self { listener: tokio::sync::Mutex::new(listener), relay })
    }
}

impl Transport for Vsock {
    type Stream = VsockStream;

    async fn accept(&self) -> io::Result<VsockStream> {
        let (stream, _) = self.listener.lock().await.accept().await?;
        Ok(stream)
    }

    async fn dial_kms(&self) -> io::Result<VsockStream> {
        VsockStream::connect(self.relay).await
    }
}
