//! A small exchange in one process: principals, policy, PKI, local KMS, and enclaves of it.

mod kek;
mod policy;

use std::collections::BTreeMap;
use std::convert::identity;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use strongroom_attestation::key_policy::Changes;
use strongroom_attestation::nsm::Nsm;
use strongroom_enclave::boot::Measured;
use strongroom_enclave::platform::Transport;
use strongroom_enclave::server::Server;
use strongroom_mock::kms::{self, LocalKms};
use strongroom_mock::nsm::MockNsm;
use strongroom_mock::pki::MockPki;
use strongroom_mock::transport::UnixTransport;
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::wire::{BootMaterial, Booted, Call, Reply, SealedKey};
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixListener};

use crate::host::Host;
use crate::principal::{self, Principal};

pub use kek::Kek;

/// The label that the true image is measured from.
pub const IMAGE: &str = "the reviewed image";

const PRINCIPALS: [&str; 8] = [
    "sweep-engine",
    "withdraw-engine",
    "rule",
    "risk",
    "compliance",
    "policy-admin-1",
    "policy-admin-2",
    "policy-admin-3",
];

/// Everything but the enclave.
pub struct World {
    dir: TempDir,
    principals: BTreeMap<&'static str, Principal>,
    kms_address: SocketAddr,
    made: kms::Initialized,
    sockets: AtomicU32,
    /// The policy, to be changed before it is signed.
    pub policy: Value,
    /// The `[kms]` of the measured configuration, to be changed before an enclave starts.
    pub kek: Kek,
}

/// An enclave that runs, and where its host finds it.
pub struct Running {
    /// Its socket.
    pub socket: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Which enclave is started, and what its host does with its connections to KMS.
pub struct Start {
    /// What the image is measured from.
    pub image: &'static str,
    /// Where the relay leads to.
    pub relay: SocketAddr,
}

impl World {
    /// A world whose KMS releases to nothing yet; see [`World::release_to`].
    pub async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let pki = MockPki::init(&dir.path().join("nsm")).unwrap();
        let kms_dir = dir.path().join("kms");
        let made = kms::init(&kms_dir, "eu-central-1", None).unwrap();
        let local = LocalKms::open(&kms_dir, pki.trust_anchor().unwrap()).unwrap();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = kms::server::Server::bind(&kms_dir, local, loopback).await.unwrap();
        let kms_address = server.address().unwrap();
        tokio::spawn(server.run(std::future::pending()));
        let principals: BTreeMap<_, _> =
            PRINCIPALS.iter().map(|id| (*id, Principal::new(id))).collect();
        let policy = policy::of(&principals);
        let kek = Kek {
            key_arn: made.key_arn.as_str().to_owned(),
            previous_key_arn: None,
            changes: Changes::BreakGlass,
            admin_roles: vec![made.admin_role.clone()],
            also_releases_to: Vec::new(),
        };
        Self { dir, principals, kms_address, made, sockets: AtomicU32::new(0), policy, kek }
    }

    /// A world whose KMS releases to the true image under its configuration and policy.
    pub async fn released() -> Self {
        let world = Self::new().await;
        world.release_to(IMAGE);
        world
    }

    /// The principal of that name.
    pub fn principal(&self, id: &str) -> &Principal {
        &self.principals[id]
    }

    /// Where the KMS keeps its state and its certificates.
    pub fn kms_dir(&self) -> PathBuf {
        self.dir.path().join("kms")
    }

    /// The mock NSM's PKI.
    pub fn pki(&self) -> MockPki {
        MockPki::load(&self.dir.path().join("nsm")).unwrap()
    }

    /// Where the true KMS listens.
    pub fn kms_address(&self) -> SocketAddr {
        self.kms_address
    }

    /// The policy's exact bytes.
    pub fn policy_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.policy).unwrap()
    }

    /// The digest that intents name.
    pub fn policy_digest(&self) -> Digest {
        Digest::of(&self.policy_bytes())
    }

    /// The policy as two of the three admins signed it.
    pub fn policy_envelope(&self) -> Envelope {
        self.by_admins(PayloadType::Policy, self.policy_bytes())
    }

    /// A document as two of the three admins signed it.
    pub fn by_admins(&self, payload_type: PayloadType, payload: Vec<u8>) -> Envelope {
        let admins = [self.principal("policy-admin-1"), self.principal("policy-admin-2")];
        principal::envelope(payload_type, payload, &admins)
    }

    /// Starts the true image with an honest relay.
    pub async fn start(&self) -> Running {
        self.start_as(Start { image: IMAGE, relay: self.kms_address }).await
    }

    /// Starts the true image with an honest relay and a configuration that somebody has changed.
    pub async fn start_configured(&self, change: impl FnOnce(String) -> String) -> Running {
        let configuration = change(String::from_utf8(self.configuration()).unwrap());
        let start = Start { image: IMAGE, relay: self.kms_address };
        self.launch(start, configuration.as_bytes(), nsm, identity).await
    }

    /// Starts an enclave.
    pub async fn start_as(&self, start: Start) -> Running {
        self.start_on(start, nsm, identity).await
    }

    /// Starts an enclave on devices that somebody has changed.
    pub async fn start_on<T: Transport>(
        &self,
        start: Start,
        nsm: impl FnOnce(MockNsm) -> Arc<dyn Nsm>,
        transport: impl FnOnce(UnixTransport) -> T,
    ) -> Running {
        self.launch(start, &self.configuration(), nsm, transport).await
    }

    async fn launch<T: Transport>(
        &self,
        start: Start,
        configuration: &[u8],
        nsm: impl FnOnce(MockNsm) -> Arc<dyn Nsm>,
        transport: impl FnOnce(UnixTransport) -> T,
    ) -> Running {
        let number = self.sockets.fetch_add(1, Ordering::Relaxed);
        let socket = self.dir.path().join(format!("enclave-{number}.sock"));
        let relay = self.dir.path().join(format!("relay-{number}.sock"));
        let listener = UnixListener::bind(&relay).unwrap();
        tokio::spawn(relay_to(listener, start.relay));
        let nsm = nsm(MockNsm::new(self.pki(), start.image).unwrap());
        let measured = Measured::measure(nsm, configuration).unwrap();
        let transport = transport(UnixTransport::bind(&socket, relay).unwrap());
        let server = Server::new(Arc::new(transport), measured);
        let task = tokio::spawn(async move {
            let error = server.serve().await;
            panic!("the enclave stopped: {error}");
        });
        Running { socket, task }
    }

    /// What an honest host brings to a boot.
    pub fn material(&self, encrypted_dek: Option<Vec<u8>>) -> BootMaterial {
        BootMaterial {
            policy: principal::bytes(&self.policy_envelope()).into(),
            credentials: self.credentials(),
            encrypted_dek: encrypted_dek.map(Into::into),
            position: None,
        }
    }

    /// Starts and boots the true image for the first time, and creates both wallets.
    pub async fn ready(&self) -> Ready {
        let running = self.start().await;
        let (mut host, _) = Host::hello(&running.socket).await;
        let booted = boot(&mut host, self.material(None)).await;
        let mut sealed = Vec::new();
        for wallet in ["hot-eth", "deposits-eth"] {
            sealed.push(self.create(&mut host, wallet).await);
        }
        Ready { running, host, booted, sealed }
    }

    /// An act that creates `wallet`, signed by two admins.
    pub fn creation(&self, wallet: &str) -> Envelope {
        let act = json!({
            "version": 1, "act": "create_hd_wallet", "wallet": wallet,
            "policy": self.policy_digest(), "expires_at": expires_in(600),
        });
        self.by_admins(PayloadType::WalletAct, serde_json::to_vec(&act).unwrap())
    }

    /// Creates `wallet`.
    pub async fn create(&self, host: &mut Host, wallet: &str) -> SealedKey {
        let act = principal::bytes(&self.creation(wallet));
        match host.call(Call::ActOnWallet(act.into())).await {
            Reply::WalletCreated { sealed, .. } => sealed,
            other => panic!("expected a wallet: {other:?}"),
        }
    }

    /// An intent of `caller`, to be changed before it is signed.
    pub fn intent(&self, id: &str, wallet: &str, path: &str, unsigned: &[u8]) -> Value {
        json!({
            "version": 1, "intent_id": id, "wallet": wallet, "path": path,
            "policy": self.policy_digest(), "expires_at": expires_in(600),
            "payload": {
                "type": "evm_transaction",
                "unsigned": format!("0x{}", hex::encode(unsigned)),
            },
        })
    }

    /// The call that asks for an intent, signed by `signers`.
    pub fn ask(&self, intent: &Value, signers: &[&str]) -> Call {
        Call::Sign(principal::bytes(&self.signed(intent, signers)).into())
    }

    /// An intent in its envelope, signed by `signers`.
    pub fn signed(&self, intent: &Value, signers: &[&str]) -> Envelope {
        let signers: Vec<&Principal> = signers.iter().map(|id| self.principal(id)).collect();
        let payload = serde_json::to_vec(intent).unwrap();
        principal::envelope(PayloadType::Intent, payload, &signers)
    }
}

/// An enclave that has booted, with both wallets.
pub struct Ready {
    /// The enclave.
    pub running: Running,
    /// A connection to it.
    pub host: Host,
    /// What its boot gave.
    pub booted: Booted,
    /// The wallets as the host stores them: `hot-eth`, `deposits-eth`.
    pub sealed: Vec<SealedKey>,
}

/// The mock NSM as it is.
fn nsm(nsm: MockNsm) -> Arc<dyn Nsm> {
    Arc::new(nsm)
}

/// Boots, and expects success.
pub async fn boot(host: &mut Host, material: BootMaterial) -> Booted {
    match host.call(Call::Boot(Box::new(material))).await {
        Reply::Booted(booted) => booted,
        other => panic!("expected to boot: {other:?}"),
    }
}

/// So many seconds from now, in the spelling of intents.
pub fn expires_in(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    strongroom_shared::time::UtcSeconds::new(now.as_secs() + seconds).to_string()
}

async fn relay_to(listener: UnixListener, target: SocketAddr) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut kms = TcpStream::connect(target).await?;
            tokio::io::copy_bidirectional(&mut stream, &mut kms).await
        });
    }
}
