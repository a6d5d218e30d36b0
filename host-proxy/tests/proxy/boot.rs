//! From a connection to ready, and back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use strongroom_host_proxy::credentials::{Lender, Profile, Source};
use strongroom_host_proxy::metrics::Metrics;
use strongroom_host_proxy::record::Recorder;
use strongroom_host_proxy::store::Store;
use strongroom_host_proxy::supervisor::{Serving, Status, Supervisor};
use strongroom_shared::digest::Digest;
use strongroom_shared::endpoint::Endpoint;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{Call, Phase, Reply};
use tokio::sync::watch;

use crate::fake_enclave::{Act, FakeEnclave};
use crate::log::Log;
use crate::samples::{self, BOOT_A, BOOT_B, booted, dek_id, receipt, sealed, wallet, wallet_info};

struct Proxy {
    dir: tempfile::TempDir,
    store: Store,
}

struct Running {
    status: watch::Receiver<Status>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("strongroom.sqlite")).await.unwrap();
        Self { dir, store }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("enclave.sock")
    }

    fn run(&self) -> Running {
        let metrics = Metrics::default();
        self.run_with(samples::lender(&metrics), &metrics)
    }

    fn run_with(&self, lender: Lender, metrics: &Metrics) -> Running {
        let (supervisor, status) = Supervisor::new(
            Endpoint::Unix(self.socket()),
            b"policy envelope".to_vec(),
            lender,
            Recorder::new(self.store.clone()),
            metrics.clone(),
        );
        Running { status, task: tokio::spawn(async { match supervisor.run().await {} }) }
    }
}

impl Running {
    async fn ready(&mut self) -> std::sync::Arc<Serving> {
        let wait = self.status.wait_for(|status| matches!(status, Status::Ready(_)));
        let status = tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap();
        match &*status {
            Status::Ready(serving) => serving.clone(),
            Status::NotReady(problem) => panic!("{problem}"),
        }
    }

    async fn not_ready(&mut self, code: Code) -> Problem {
        let wait = self
            .status
            .wait_for(|status| matches!(status, Status::NotReady(problem) if problem.code == code));
        let status = tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap().unwrap();
        match &*status {
            Status::NotReady(problem) => (**problem).clone(),
            Status::Ready(_) => panic!("ready"),
        }
    }
}

fn first_boot(call: &Call) -> Act {
    match call {
        Call::Boot(_) => Reply::Booted(booted(0, Some("encrypted DEK"))).into(),
        Call::Receipts { .. } => Reply::Receipts(Vec::new()).into(),
        Call::Wallets => Reply::Wallets(Vec::new()).into(),
        _ => Act::HangUp,
    }
}

#[tokio::test]
async fn a_first_boot_stores_the_dek_and_the_receipt_and_sends_nothing_old() {
    let proxy = Proxy::new().await;
    let mut enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, first_boot);
    let mut running = proxy.run();
    let serving = running.ready().await;
    assert_eq!(serving.boot_id.as_str(), BOOT_A);
    let Some(Call::Boot(material)) = enclave.calls.recv().await else { panic!("no boot") };
    assert_eq!(material.policy.as_slice(), b"policy envelope");
    assert_eq!(material.credentials.secret_access_key, "SECRET");
    assert_eq!((material.encrypted_dek.clone(), material.position), (None, None));
    assert_eq!(proxy.store.newest_dek().await.unwrap().unwrap(), b"encrypted DEK");
    assert_eq!(proxy.store.receipts_at(0).await.unwrap(), [receipt(BOOT_A, 0)]);
}

fn later_boot(call: &Call) -> Act {
    match call {
        Call::Boot(_) => Reply::Booted(booted(2, None)).into(),
        Call::Receipts { .. } => Reply::Receipts(Vec::new()).into(),
        Call::Wallets => Reply::Wallets(Vec::new()).into(),
        Call::LoadWallet(key) if key.wallet.as_str() == "hot-eth" => {
            Reply::WalletLoaded(wallet_info("hot-eth")).into()
        }
        Call::LoadWallet(_) => {
            Reply::Refused(Problem::new(Code::FingerprintMismatch, "another key")).into()
        }
        _ => Act::HangUp,
    }
}

#[tokio::test]
async fn a_later_boot_sends_what_is_stored_and_names_a_wallet_that_does_not_open() {
    let proxy = Proxy::new().await;
    proxy.store.put_dek(&dek_id(), b"encrypted DEK").await.unwrap();
    proxy.store.put_wallet(&sealed("deposits-eth"), &receipt(BOOT_B, 0)).await.unwrap();
    proxy.store.put_wallet(&sealed("hot-eth"), &receipt(BOOT_B, 1)).await.unwrap();
    let mut enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingDek, later_boot);
    let mut running = proxy.run();
    let serving = running.ready().await;
    let refused: Vec<_> = serving.refused.iter().map(|(name, why)| (name, why.code)).collect();
    assert_eq!(refused, [(&wallet("deposits-eth"), Code::FingerprintMismatch)]);

    let Some(Call::Boot(material)) = enclave.calls.recv().await else { panic!("no boot") };
    assert_eq!(material.encrypted_dek.clone().unwrap().as_slice(), b"encrypted DEK");
    let position = material.position.unwrap();
    let last = receipt(BOOT_B, 1);
    assert_eq!(position.sequence, 1);
    assert_eq!(position.body, Digest::of(&last.body.0));
    assert_eq!(position.head, Digest::of(&last.head.payload.0));
    assert!(matches!(enclave.calls.recv().await, Some(Call::Receipts { after: 2 })));
    assert!(matches!(enclave.calls.recv().await, Some(Call::Wallets)));
    let Some(Call::LoadWallet(key)) = enclave.calls.recv().await else { panic!("no load") };
    assert_eq!(key, sealed("deposits-eth"));
}

#[tokio::test]
async fn an_enclave_that_goes_away_is_booted_again() {
    let proxy = Proxy::new().await;
    let mut running = proxy.run();
    let away = running.not_ready(Code::EnclaveUnavailable).await;
    assert!(away.detail.starts_with("connecting to the enclave"), "{}", away.detail);
    let enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, first_boot);
    running.ready().await;
    enclave.kill();
    running.not_ready(Code::EnclaveUnavailable).await;
    let _again = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, later_boot);
    running.ready().await;
    assert_eq!(proxy.store.position().await.unwrap().unwrap().sequence, 2);
}

#[tokio::test]
async fn a_refused_boot_says_which_step_and_why() {
    let proxy = Proxy::new().await;
    let _enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, |_| {
        Reply::Refused(Problem::new(Code::BootKmsRefused, "AccessDeniedException")).into()
    });
    let problem = proxy.run().not_ready(Code::BootKmsRefused).await;
    assert_eq!(problem.detail, "AccessDeniedException");

    let proxy = Proxy::new().await;
    let _enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, |_| {
        Reply::Wallets(Vec::new()).into()
    });
    proxy.run().not_ready(Code::InternalFault).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_read_boots_nothing() {
    let proxy = Proxy::new().await;
    proxy.store.close().await;
    let mut enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, first_boot);
    proxy.run().not_ready(Code::StoreUnavailable).await;
    assert!(enclave.calls.try_recv().is_err());
}

#[tokio::test]
async fn nothing_is_served_under_a_dek_that_is_not_stored() {
    let proxy = Proxy::new().await;
    let path = proxy.dir.path().join("strongroom.sqlite");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON encrypted_deks BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(full).execute(&pool).await.unwrap();
    let mut enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, first_boot);
    let mut running = proxy.run();
    assert!(matches!(enclave.calls.recv().await, Some(Call::Boot(_))));
    let ready = tokio::time::timeout(Duration::from_millis(300), running.ready()).await;
    assert!(ready.is_err(), "ready without its DEK");
    assert!(enclave.calls.try_recv().is_err(), "and nothing is asked meanwhile");
    sqlx::query("DROP TRIGGER full").execute(&pool).await.unwrap();
    running.ready().await;
    assert_eq!(proxy.store.newest_dek().await.unwrap().unwrap(), b"encrypted DEK");
}

#[tokio::test]
async fn nothing_is_booted_while_a_record_is_unwritten() {
    let proxy = Proxy::new().await;
    let path = proxy.dir.path().join("strongroom.sqlite");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let full =
        "CREATE TRIGGER full BEFORE INSERT ON receipts BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(full).execute(&pool).await.unwrap();
    let mut enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, first_boot);
    let mut running = proxy.run();
    assert!(matches!(enclave.calls.recv().await, Some(Call::Boot(_))));
    let again = tokio::time::timeout(Duration::from_millis(700), enclave.calls.recv()).await;
    assert!(again.is_err(), "each attempt would leave one more record to write");
    sqlx::query("DROP TRIGGER full").execute(&pool).await.unwrap();
    running.ready().await;
    assert_eq!(proxy.store.receipts_at(0).await.unwrap(), [receipt(BOOT_A, 0)]);
}

/// An enclave that booted with receipt 2, and has written 3 to 6 since.
fn booted_before(call: &Call) -> Act {
    match call {
        Call::Boot(_) => Reply::Booted(booted(2, None)).into(),
        Call::Receipts { after } => {
            let lost = (3..=6).filter(|sequence| sequence > after).take(2);
            Reply::Receipts(lost.map(|sequence| receipt(BOOT_A, sequence)).collect()).into()
        }
        Call::Wallets => Reply::Wallets(vec![wallet_info("hot-eth")]).into(),
        Call::LoadWallet(key) => Reply::WalletLoaded(wallet_info(key.wallet.as_str())).into(),
        _ => Act::HangUp,
    }
}

#[tokio::test]
async fn an_enclave_that_was_booted_before_is_taken_up_only_with_its_dek() {
    let proxy = Proxy::new().await;
    let mut enclave = FakeEnclave::start(proxy.socket(), Phase::Ready, booted_before);
    let mut running = proxy.run();
    let restart = |status: &Status| match status {
        Status::NotReady(problem) => problem.detail.ends_with("restart the enclave"),
        Status::Ready(_) => panic!("ready without its DEK"),
    };
    running.status.wait_for(restart).await.unwrap();
    proxy.store.put_dek(&dek_id(), b"encrypted DEK").await.unwrap();
    proxy.store.put_wallet(&sealed("hot-eth"), &receipt(BOOT_B, 0)).await.unwrap();
    proxy.store.put_wallet(&sealed("deposits-eth"), &receipt(BOOT_B, 1)).await.unwrap();
    assert_eq!(running.ready().await.boot_id.as_str(), BOOT_A);
    let mut loaded = Vec::new();
    while let Ok(call) = enclave.calls.try_recv() {
        if let Call::LoadWallet(key) = call {
            loaded.push(key.wallet);
        }
    }
    assert_eq!(loaded, [wallet("deposits-eth")], "the other one was open");
}

#[tokio::test]
async fn receipts_that_were_lost_on_the_way_are_fetched() {
    let proxy = Proxy::new().await;
    proxy.store.put_dek(&dek_id(), b"encrypted DEK").await.unwrap();
    // The connection broke with 3 and 5 under way; 4 and 6 had arrived.
    for sequence in [2, 4, 6] {
        proxy.store.put_receipt(&receipt(BOOT_A, sequence)).await.unwrap();
    }
    let _enclave = FakeEnclave::start(proxy.socket(), Phase::Ready, booted_before);
    proxy.run().ready().await;
    for sequence in 2..=6 {
        let stored = proxy.store.receipts_at(sequence).await.unwrap();
        assert_eq!(stored, [receipt(BOOT_A, sequence)]);
    }
}

#[tokio::test]
async fn a_boot_without_credentials_waits_for_them_and_says_so() {
    let (log, _guard) = Log::begin();
    let proxy = Proxy::new().await;
    let path = proxy.dir.path().join("credentials");
    let metrics = Metrics::default();
    let source = Source::File { path: path.clone(), profile: Profile::default() };
    let mut enclave = FakeEnclave::start(proxy.socket(), Phase::AwaitingPolicy, first_boot);
    let mut running = proxy.run_with(Lender::new(source, &metrics), &metrics);
    let missing = |status: &Status| match status {
        Status::NotReady(problem) => problem.detail.starts_with("credentials: "),
        Status::Ready(_) => panic!("ready without credentials"),
    };
    let status = running.status.wait_for(missing).await.unwrap().clone();
    let Status::NotReady(problem) = status else { panic!("ready") };
    assert_eq!(problem.code, Code::EnclaveNotReady);
    assert_eq!(problem.detail, "credentials: the file cannot be read", "and not which one");
    let told = format!("enclave_not_ready: credentials: {}: No such file", path.display());
    assert!(log.text().contains(&told), "{}", log.text());
    assert_eq!(log.text().matches("WARN").count(), 1, "told once");
    assert!(enclave.calls.try_recv().is_err(), "nothing was asked of the enclave");
    let text = metrics.text().unwrap();
    assert!(text.contains("strongroom_proxy_enclave_ready 0\n"), "{text}");

    let content = "[default]\naws_access_key_id = AKIA\naws_secret_access_key = ROTATED\n";
    let whole = proxy.dir.path().join("new");
    std::fs::write(&whole, content).unwrap();
    std::fs::set_permissions(&whole, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&whole, &path).unwrap();
    running.ready().await;
    let Some(Call::Boot(material)) = enclave.calls.recv().await else { panic!("no boot") };
    assert_eq!(material.credentials.secret_access_key, "ROTATED");
    let text = metrics.text().unwrap();
    assert!(text.contains("strongroom_proxy_enclave_ready 1\n"), "{text}");
    let failed = "strongroom_proxy_boots_failed_total{code=\"enclave_not_ready\"} ";
    let fetches = "strongroom_proxy_credentials_fetches_total{source=\"file\"} ";
    let failures = "strongroom_proxy_credentials_failures_total{source=\"file\"} ";
    let boots = "strongroom_proxy_boots_attempted_total ";
    let value = |name| crate::metrics::value(&text, name);
    assert!(value(failed) >= 1);
    assert_eq!(value(boots), value(failed) + 1);
    assert_eq!((value(fetches), value(failures)), (value(boots), value(failed)));
}

#[tokio::test]
async fn an_enclave_that_has_its_dek_is_lent_nothing() {
    let proxy = Proxy::new().await;
    proxy.store.put_dek(&dek_id(), b"encrypted DEK").await.unwrap();
    let mut enclave = FakeEnclave::start(proxy.socket(), Phase::Ready, booted_before);
    let path = proxy.dir.path().join("none");
    let metrics = Metrics::default();
    let lender = Lender::new(Source::File { path, profile: Profile::default() }, &metrics);
    proxy.run_with(lender, &metrics).ready().await;
    let Some(Call::Boot(material)) = enclave.calls.recv().await else { panic!("no boot") };
    assert_eq!(material.credentials.secret_access_key, "");
}
