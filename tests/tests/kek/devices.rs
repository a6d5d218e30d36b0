//! An enclave on devices that are not as they should be.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_nitro_enclaves_nsm_api::api::{Request, Response};
use strongroom_attestation::key_policy::Hole;
use strongroom_attestation::measure::{PCR_BYTES, Pcr};
use strongroom_attestation::nsm::Nsm;
use strongroom_enclave::platform::Transport;
use strongroom_mock::nsm::MockNsm;
use strongroom_mock::transport::UnixTransport;
use strongroom_shared::problem::Code;
use strongroom_shared::wire::{Call, Reply};
use strongroom_tests::host::Host;
use strongroom_tests::lying_kms;
use strongroom_tests::world::{IMAGE, Start, World};
use tokio::net::UnixStream;

use crate::{nothing_was_released, refused};

/// The NSM of an enclave in debug mode: PCR0 is zero, whatever the image.
struct InDebugMode(MockNsm);

impl Nsm for InDebugMode {
    fn process(&self, request: Request) -> Response {
        match request {
            Request::DescribePCR { index: 0 } => {
                Response::DescribePCR { lock: true, data: vec![0; PCR_BYTES] }
            }
            request => self.0.process(request),
        }
    }
}

/// Its console is the host's to read: no key policy can release to it, not even to it alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_in_debug_mode_gets_nothing() {
    let world = World::released().await;
    let own = world.measurements(IMAGE);
    let policy = world.key_policy(&[own]).to_string();
    let zeros = policy.replace(&own.pcr0.to_string(), &Pcr::ZERO.to_string());
    assert_ne!(zeros, policy);
    world.set_key_policy(&serde_json::from_str(&zeros).unwrap());
    let kms = lying_kms::start(&world, |_| {}).await;
    let start = Start { image: IMAGE, relay: kms.address };
    let running =
        world.start_on(start, |nsm| Arc::new(InDebugMode(nsm)), std::convert::identity).await;
    let (mut host, _) = Host::hello(&running.socket).await;
    let problem = refused(&world, &mut host, None, Code::BootKeyRefused).await;
    assert!(problem.detail.contains(&Hole::ZeroMeasurement.to_string()), "{problem}");
    nothing_was_released(&kms);
    // Nor is the true image's key policy one for it.
    world.release_to(IMAGE);
    let problem = refused(&world, &mut host, None, Code::BootKeyRefused).await;
    assert!(problem.detail.contains(&Hole::OtherMeasurements.to_string()), "{problem}");
    nothing_was_released(&kms);
}

/// A vsock that ends the first call to KMS, and the boot with it, without an answer.
struct EndsTheFirst {
    inner: UnixTransport,
    ended: Arc<AtomicBool>,
}

impl Transport for EndsTheFirst {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.inner.accept().await
    }

    async fn dial_kms(&self) -> io::Result<UnixStream> {
        assert!(self.ended.swap(true, Ordering::SeqCst), "the panic that the test wants");
        self.inner.dial_kms().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boot_that_ends_without_an_answer_can_be_made_again() {
    let world = World::released().await;
    let ended = Arc::new(AtomicBool::new(false));
    let start = Start { image: IMAGE, relay: world.kms_address() };
    let transport = |inner| EndsTheFirst { inner, ended: Arc::clone(&ended) };
    let running = world.start_on(start, |nsm| Arc::new(nsm), transport).await;
    let (mut first, _) = Host::hello(&running.socket).await;
    let call = || Call::Boot(Box::new(world.material(None)));
    let frame = first.frame(call());
    first.send_raw(&frame).await;
    while !ended.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (mut second, _) = Host::hello(&running.socket).await;
    loop {
        match second.call(call()).await {
            Reply::Booted(_) => break,
            // While the first one is still on its way out.
            Reply::Refused(problem) => assert_eq!(problem.code, Code::Overloaded, "{problem}"),
            other => panic!("expected to boot: {other:?}"),
        }
    }
}
