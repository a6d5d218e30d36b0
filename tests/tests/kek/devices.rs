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
use strongroom_shared::wire::{Call, EnclaveMessage, Reply};
use strongroom_tests::host::Host;
use strongroom_tests::lying_kms;
use strongroom_tests::world::{IMAGE, Start, World, boot};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::{nothing_was_released, refused};

/// How long an answer is waited for that does not depend on KMS.
const SOON: Duration = Duration::from_secs(10);

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
    let has_ended = async {
        while !ended.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, has_ended).await.expect("the first boot did not get to KMS");
    let (mut second, _) = Host::hello(&running.socket).await;
    let boots = async {
        loop {
            match second.call(call()).await {
                Reply::Booted(_) => break,
                // While the first one is still on its way out.
                Reply::Refused(problem) => assert_eq!(problem.code, Code::Overloaded, "{problem}"),
                other => panic!("expected to boot: {other:?}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, boots).await.expect("the first boot is still in the way");
}

/// A vsock on which nobody gets to KMS before the gate is open.
struct Gated {
    inner: UnixTransport,
    gate: Arc<Semaphore>,
}

impl Transport for Gated {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.inner.accept().await
    }

    async fn dial_kms(&self) -> io::Result<UnixStream> {
        let _open = self.gate.acquire().await.map_err(io::Error::other)?;
        self.inner.dial_kms().await
    }
}

/// One that waited would hold its host's credentials meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_boot_does_not_wait_for_another() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, |_| {}).await;
    let gate = Arc::new(Semaphore::new(0));
    let start = Start { image: IMAGE, relay: kms.address };
    let transport = |inner| Gated { inner, gate: Arc::clone(&gate) };
    let running = world.start_on(start, |nsm| Arc::new(nsm), transport).await;
    let call = || Call::Boot(Box::new(world.material(None)));
    let (mut one, _) = Host::hello(&running.socket).await;
    let (mut two, _) = Host::hello(&running.socket).await;
    for host in [&mut one, &mut two] {
        let frame = host.frame(call());
        host.send_raw(&frame).await;
    }
    // The one is told while the other still waits for KMS.
    let told = async {
        tokio::select! {
            message = one.receive() => (message, &mut one, &mut two),
            message = two.receive() => (message, &mut two, &mut one),
        }
    };
    let (message, refused, waits) = timeout(SOON, told).await.expect("both wait");
    match reply(message) {
        Reply::Refused(problem) => assert_eq!(problem.code, Code::Overloaded, "{problem}"),
        other => panic!("expected a refusal: {other:?}"),
    }
    assert!(timeout(Duration::from_millis(100), waits.receive()).await.is_err());
    assert_eq!(kms.operations(), Vec::<String>::new());
    gate.add_permits(1);
    let Reply::Booted(booted) = reply(waits.receive().await) else {
        panic!("expected to boot");
    };
    // The refused one asked KMS nothing, and gets what the boot gave when it comes again.
    assert_eq!(boot(refused, world.material(None)).await, booted);
    let once = ["DescribeKey", "GetKeyPolicy", "ListGrants", "GenerateDataKey"];
    assert_eq!(kms.operations(), once);
}

fn reply(message: Option<EnclaveMessage>) -> Reply {
    match message {
        Some(EnclaveMessage::Reply { reply, .. }) => *reply,
        other => panic!("expected a reply: {other:?}"),
    }
}
