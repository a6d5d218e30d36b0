//! Requests of callers, against a router on an enclave that the test plays.

mod refusals;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use strongroom_host_proxy::http::router;
use strongroom_host_proxy::metrics::Metrics;
use strongroom_host_proxy::record::Recorder;
use strongroom_host_proxy::store::Store;
use strongroom_host_proxy::supervisor::{Status, Supervisor};
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::reply::{AddressesReply, PolicyReply};
use strongroom_shared::wire::{Call, Phase, Reply};
use tower::ServiceExt as _;

use crate::fake_enclave::{Act, FakeEnclave};
use crate::samples::{
    BOOT_A, act, attestation, booted, denied, intent, lender, pending, receipt, sealed, signed,
    wallet, wallet_info, wallet_reply,
};

/// How long a caller waits here.
const DEADLINE: Duration = Duration::from_millis(500);

struct Proxy {
    _dir: tempfile::TempDir,
    enclave: FakeEnclave,
    store: Store,
    router: Router,
    supervisor: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

impl Proxy {
    /// A proxy whose enclave is ready, and answers what comes then by `answer`.
    async fn ready(answer: fn(&Call) -> Act) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("strongroom.sqlite")).await.unwrap();
        let mut enclave =
            FakeEnclave::start(dir.path().join("enclave.sock"), Phase::AwaitingPolicy, answer);
        let recorder = Recorder::new(store.clone());
        let metrics = Metrics::default();
        let (supervisor, mut status) = Supervisor::new(
            enclave.endpoint.clone(),
            Vec::new(),
            lender(&metrics),
            recorder.clone(),
            metrics.clone(),
        );
        let supervisor = tokio::spawn(async { match supervisor.run().await {} });
        let router = router(status.clone(), recorder, metrics, DEADLINE);
        let ready = status.wait_for(|status| matches!(status, Status::Ready(_)));
        tokio::time::timeout(Duration::from_secs(10), ready).await.expect("ready").unwrap();
        while enclave.calls.try_recv().is_ok() {}
        Self { _dir: dir, enclave, store, router, supervisor }
    }

    async fn post(&self, path: &str, body: String) -> (StatusCode, Value) {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends, and checks what every answer must be: JSON, and a refusal a whole problem.
    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let kind = head.headers[header::CONTENT_TYPE].to_str().unwrap();
        if head.status.is_success() {
            assert_eq!(kind, "application/json");
        } else {
            assert_eq!(kind, "application/problem+json");
            let code = body["code"].as_str().unwrap();
            assert_eq!(body["type"], format!("urn:strongroom:problem:{code}"));
            assert_eq!(body["status"], head.status.as_u16());
            assert!(body["title"].is_string() && body["detail"].is_string());
            let retry = head.headers.contains_key(header::RETRY_AFTER);
            assert_eq!(retry, head.status == StatusCode::SERVICE_UNAVAILABLE);
        }
        (head.status, body)
    }
}

/// The boot, and then what a healthy enclave says.
fn healthy(call: &Call) -> Act {
    match call {
        Call::Boot(_) => Reply::Booted(booted(0, Some("encrypted DEK"))),
        Call::LoadWallet(key) => Reply::WalletLoaded(wallet_info(key.wallet.as_str())),
        Call::Sign(_) => Reply::Signed(signed(1, 1)),
        Call::ActOnWallet(_) => {
            Reply::WalletCreated { reply: wallet_reply("hot-eth", 1), sealed: sealed("hot-eth") }
        }
        Call::Wallets => Reply::Wallets(vec![wallet_info("hot-eth")]),
        Call::Addresses(_) => Reply::Addresses(AddressesReply {
            addresses: Vec::new(),
            statement: Envelope::unsigned(PayloadType::AddressStatement, Vec::new()),
        }),
        Call::Attest(_) => Reply::Attestation(attestation()),
        Call::Receipts { .. } => Reply::Receipts(Vec::new()),
        Call::Policy => Reply::Policy(PolicyReply {
            digest: strongroom_shared::digest::Digest::of(b"policy"),
            envelope: Envelope::unsigned(PayloadType::Policy, Vec::new()),
        }),
    }
    .into()
}

#[tokio::test]
async fn a_single_transaction_stands_at_the_top_as_well_and_its_receipt_is_on_disk() {
    let mut proxy = Proxy::ready(healthy).await;
    let (status, body) = proxy.post("/v1/sign", intent()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["signed_transaction"], "0x02f8");
    for member in ["path", "from", "signed_transaction", "transaction_hash"] {
        assert_eq!(body[member], body["results"][0][member]);
        assert!(body[member].is_string());
    }
    assert_eq!(body["receipt"], serde_json::to_value(receipt(BOOT_A, 1)).unwrap());
    assert_eq!(body["wallet"], "hot-eth");
    assert_eq!(proxy.store.receipts_at(1).await.unwrap(), [receipt(BOOT_A, 1)]);
    // the very bytes of the caller
    let Some(Call::Sign(sent)) = proxy.enclave.calls.recv().await else { panic!("no sign") };
    assert_eq!(sent.as_slice(), intent().as_bytes());
}

#[tokio::test]
async fn several_transactions_stand_in_results_only() {
    let proxy = Proxy::ready(|call| match call {
        Call::Sign(_) => Reply::Signed(signed(2, 1)).into(),
        other => healthy(other),
    })
    .await;
    let (_, body) = proxy.post("/v1/sign", intent()).await;
    assert_eq!(body["results"].as_array().unwrap().len(), 2);
    assert_eq!(body.get("signed_transaction"), None);
}

#[tokio::test]
async fn a_wallet_is_durable_before_it_is_told() {
    let proxy = Proxy::ready(healthy).await;
    let (status, body) = proxy.post("/v1/wallets", act("hot-eth")).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(body["wallet"]["wallet"], "hot-eth");
    assert_eq!(body.get("sealed"), None);
    assert_eq!(proxy.store.sealed_keys().await.unwrap(), [sealed("hot-eth")]);
    assert_eq!(proxy.store.receipts_at(1).await.unwrap(), [receipt(BOOT_A, 1)]);
    let (status, body) = proxy.get("/v1/wallets").await;
    assert_eq!((status, &body["wallets"][0]["tier"]), (StatusCode::OK, &json!("deposit")));
}

#[tokio::test]
async fn missing_approvals_are_202() {
    let proxy = Proxy::ready(|call| match call {
        Call::Sign(_) | Call::ActOnWallet(_) => Reply::Pending(pending()).into(),
        other => healthy(other),
    })
    .await;
    for (path, body) in [("/v1/sign", intent()), ("/v1/wallets", act("hot-eth"))] {
        let (status, body) = proxy.post(path, body).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        assert_eq!(body["missing"], json!([]));
    }
}

#[tokio::test]
async fn a_denial_is_a_problem_and_its_receipt_is_on_disk() {
    let proxy = Proxy::ready(|call| match call {
        Call::Sign(_) => Reply::Refused(denied(1)).into(),
        other => healthy(other),
    })
    .await;
    let (status, body) = proxy.post("/v1/sign", intent()).await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(body["code"], "destination_denied");
    assert_eq!(body["rule"], "wallets/hot-eth/withdraw");
    assert_eq!(body["receipt"]["sequence"], 1);
    assert_eq!(proxy.store.receipts_at(1).await.unwrap(), [receipt(BOOT_A, 1)]);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_told() {
    for closed in [true, false] {
        let proxy = Proxy::ready(healthy).await;
        if closed {
            proxy.store.close().await;
        } else {
            // another receipt has that place
            let mut other = receipt(BOOT_A, 1);
            other.body = strongroom_shared::encoding::Base64(b"other".to_vec());
            proxy.store.put_receipt(&other).await.unwrap();
        }
        for (path, body) in [("/v1/sign", intent()), ("/v1/wallets", act("hot-eth"))] {
            let (status, body) = proxy.post(path, body).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(body["code"], "store_unavailable");
            let text = body.to_string();
            assert!(!text.contains("0x02f8") && !text.contains("fingerprint"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_record_that_fails_is_tried_again_and_nothing_new_is_asked_meanwhile() {
    let mut proxy = Proxy::ready(healthy).await;
    // Another process holds the database for longer than a write waits.
    let path = proxy._dir.path().join("strongroom.sqlite");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let mut lock = pool.acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *lock).await.unwrap();
    let (status, _) = proxy.post("/v1/wallets", act("hot-eth")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "the caller's deadline");
    assert!(matches!(proxy.enclave.calls.recv().await, Some(Call::ActOnWallet(_))));
    // SQLite gives up after its own wait; then the backlog refuses.
    loop {
        let (status, body) = proxy.post("/v1/sign", intent()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        if body["code"] == "store_unavailable" {
            break;
        }
    }
    while proxy.enclave.calls.try_recv().is_ok() {}
    proxy.post("/v1/sign", intent()).await;
    assert!(proxy.enclave.calls.try_recv().is_err(), "not asked");
    let (status, body) = proxy.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["code"], "store_unavailable");

    sqlx::query("ROLLBACK").execute(&mut *lock).await.unwrap();
    while proxy.post("/v1/sign", intent()).await.0 != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(proxy.store.sealed_keys().await.unwrap(), [sealed("hot-eth")]);
    assert_eq!(proxy.get("/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_record_is_kept_even_if_the_caller_is_gone() {
    let proxy = Proxy::ready(healthy).await;
    let request = Request::post("/v1/wallets").header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(act("hot-eth"))).unwrap();
    // Polled once, and dropped: the call is on its way.
    tokio::select! {
        biased;
        _ = proxy.router.clone().oneshot(request) => panic!("answered at once"),
        () = std::future::ready(()) => {}
    }
    for _ in 0..100 {
        if proxy.store.has_wallet(&wallet("hot-eth")).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the sealed key was lost");
}

#[tokio::test]
async fn addresses_of_a_stored_wallet_only() {
    let mut proxy = Proxy::ready(healthy).await;
    let one = "/v1/wallets/hot-eth/addresses?path=m/44'/60'/0'/0/0";
    let (status, body) = proxy.get(one).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["code"], "store_unavailable");
    proxy.post("/v1/wallets", act("hot-eth")).await;
    for path in [one, "/v1/wallets/hot-eth/addresses?first=0&count=1000"] {
        let (status, body) = proxy.get(path).await;
        assert_eq!(status, StatusCode::OK);
        assert!(body["addresses"].is_array() && body["statement"]["payload"].is_string());
    }
    let mut queries = Vec::new();
    while let Ok(call) = proxy.enclave.calls.try_recv() {
        if let Call::Addresses(query) = call {
            queries.push(format!("{:?}", query.selection));
        }
    }
    assert_eq!(queries[1..], ["Path(m/44'/60'/0'/0/0)", "Range { first: 0, count: 1000 }"]);
}

#[tokio::test]
async fn the_enclave_s_and_the_proxy_s_own_state() {
    let proxy = Proxy::ready(healthy).await;
    let (status, body) = proxy.get(&format!("/v1/attestation?nonce={}", "0a".repeat(16))).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body["document"].is_string() && body["binding"].is_string());
    let (status, body) = proxy.get("/v1/policy").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(body["envelope"]["signatures"].is_array());
    assert_eq!(proxy.get("/healthz").await.0, StatusCode::OK);
    let (status, body) = proxy.get("/readyz").await;
    assert_eq!((status, &body["boot_id"]), (StatusCode::OK, &json!(BOOT_A)));
}

fn problem(code: Code) -> Reply {
    Reply::Refused(Problem::new(code, "why"))
}
