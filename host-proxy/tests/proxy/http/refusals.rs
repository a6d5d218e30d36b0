//! Every refusal that is the proxy's own, seen from outside.

use super::*;
use strongroom_host_proxy::http::MAX_BODY;

fn request(method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, kind)
        .body(body.into())
        .unwrap()
}

#[tokio::test]
async fn wrong_address_method_type_and_size() {
    let mut proxy = Proxy::ready(healthy).await;
    let json = "application/json";
    for (request, code) in [
        (request("GET", "/v1/none", json, ""), "not_found"),
        (request("GET", "/", json, ""), "not_found"),
        (request("DELETE", "/v1/sign", json, ""), "method_not_allowed"),
        (request("POST", "/v1/policy", json, ""), "method_not_allowed"),
        (request("POST", "/v1/sign", "text/plain", intent()), "unsupported_media_type"),
        (request("POST", "/v1/wallets", "application/jsonp", "{}"), "unsupported_media_type"),
        (request("POST", "/v1/sign", json, vec![b' '; MAX_BODY + 1]), "body_too_large"),
    ] {
        let (status, body) = proxy.send(request).await;
        assert_eq!(body["code"], code);
        let expected = Code::ALL.iter().find(|known| known.as_str() == code).unwrap();
        assert_eq!(status.as_u16(), expected.status());
    }
    let charset = request("POST", "/v1/sign", "Application/JSON; charset=utf-8", intent());
    assert_eq!(proxy.send(charset).await.0, StatusCode::OK);
    assert!(matches!(proxy.enclave.calls.try_recv(), Ok(Call::Sign(_))));
    assert!(proxy.enclave.calls.try_recv().is_err(), "no refusal reached the enclave");
}

#[tokio::test]
async fn a_method_that_is_not_allowed_names_those_that_are() {
    let proxy = Proxy::ready(healthy).await;
    let request = Request::delete("/v1/sign").body(Body::empty()).unwrap();
    let response = proxy.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::ALLOW], "POST");
}

#[tokio::test]
async fn malformed_bodies_are_named_before_the_enclave_is_bothered() {
    let mut proxy = Proxy::ready(healthy).await;
    let unknown_field = intent().replace("\"signatures\"", "\"SECRET\":1,\"signatures\"");
    for (path, body, code, detail) in [
        ("/v1/sign", "SECRET".to_owned(), "malformed_envelope", "envelope: not well-formed JSON"),
        ("/v1/sign", unknown_field, "malformed_envelope", "envelope: unknown field"),
        ("/v1/sign", act("hot-eth"), "malformed_envelope", "envelope: payloadType: expected"),
        ("/v1/wallets", intent(), "malformed_envelope", "envelope: payloadType: expected"),
        (
            "/v1/sign",
            crate::samples::envelope(PayloadType::Intent, "{\"version\":1}"),
            "malformed_intent",
            "intent: missing field `intent_id`",
        ),
        ("/v1/wallets", act("SECRET"), "malformed_wallet_act", "wallet act: wallet: "),
    ] {
        let (status, body) = proxy.post(path, body).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!(code)));
        let told = body["detail"].as_str().unwrap();
        assert!(told.starts_with(detail), "{told}");
        assert!(!told.contains("SECRET"), "{told}");
    }
    assert!(proxy.enclave.calls.try_recv().is_err());
}

#[tokio::test]
async fn malformed_queries() {
    let mut proxy = Proxy::ready(healthy).await;
    let addresses = "/v1/wallets/hot-eth/addresses";
    for query in [
        "",
        "?path=m/44'/60'/0'/0/0&first=0&count=1",
        "?path=m/44'/60'/0'/0/00",
        "?path=m/44'/60'/0'/0/0&path=m/44'/60'/0'/0/0",
        "?first=0",
        "?count=1",
        "?first=0&count=0",
        "?first=0&count=1001",
        "?first=+1&count=1",
        "?first=-1&count=1",
        "?first=&count=1",
        "?first=2147483648&count=1",
        "?first=2147483647&count=2",
        "?first=0&count=1&limit=1",
        "?first=%ff&count=1",
    ] {
        let (status, body) = proxy.get(&format!("{addresses}{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(body["code"], "malformed_request", "{query}");
    }
    let too_long = format!("?nonce={}", "00".repeat(513));
    for query in ["", "?nonce=", "?nonce=0011", "?nonce=zz", "?none=00", &too_long] {
        let (status, body) = proxy.get(&format!("/v1/attestation{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(body["code"], "malformed_request", "{query}");
    }
    for name in ["HOT", "%ff", "a%2Fb", "%00"] {
        let (status, body) =
            proxy.get(&format!("/v1/wallets/{name}/addresses?first=0&count=1")).await;
        assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("unknown_wallet")));
    }
    assert!(proxy.enclave.calls.try_recv().is_err());
}

#[tokio::test]
async fn refusals_of_the_enclave_keep_their_code() {
    let proxy = Proxy::ready(|call| match call {
        Call::Boot(_) | Call::Receipts { .. } | Call::Wallets => healthy(call),
        Call::Sign(_) => problem(Code::SignatureInvalid).into(),
        Call::ActOnWallet(_) => problem(Code::WalletExists).into(),
        _ => problem(Code::UnknownWallet).into(),
    })
    .await;
    assert_eq!(proxy.post("/v1/sign", intent()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(proxy.post("/v1/wallets", act("hot-eth")).await.0, StatusCode::CONFLICT);
    let (status, body) = proxy.get("/v1/wallets/none/addresses?first=0&count=1").await;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("unknown_wallet")));
}

#[tokio::test]
async fn a_reply_of_another_kind_is_a_fault() {
    let proxy = Proxy::ready(|call| match call {
        Call::Boot(_) | Call::Receipts { .. } => healthy(call),
        // the boot asks for the list too, and so gets what it asks for
        _ => Reply::Wallets(Vec::new()).into(),
    })
    .await;
    let nonce = format!("/v1/attestation?nonce={}", "00".repeat(16));
    let addresses = "/v1/wallets/hot-eth/addresses?first=0&count=1";
    for path in [nonce.as_str(), addresses, "/v1/policy"] {
        let (status, body) = proxy.get(path).await;
        let expected = (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal_fault"));
        assert_eq!((status, &body["code"]), expected);
    }
    for (path, body) in [("/v1/sign", intent()), ("/v1/wallets", act("hot-eth"))] {
        let (status, body) = proxy.post(path, body).await;
        let expected = (StatusCode::INTERNAL_SERVER_ERROR, &json!("internal_fault"));
        assert_eq!((status, &body["code"]), expected);
    }
}

#[tokio::test]
async fn silence_and_a_lost_connection() {
    let proxy = Proxy::ready(|call| match call {
        Call::Sign(_) | Call::Policy => Act::Ignore,
        Call::ActOnWallet(_) => Act::HangUp,
        other => healthy(other),
    })
    .await;
    for (status, body) in [proxy.post("/v1/sign", intent()).await, proxy.get("/v1/policy").await] {
        let expected = (StatusCode::SERVICE_UNAVAILABLE, &json!("deadline_exceeded"));
        assert_eq!((status, &body["code"]), expected);
    }
    let (status, body) = proxy.post("/v1/wallets", act("hot-eth")).await;
    let expected = (StatusCode::SERVICE_UNAVAILABLE, &json!("enclave_unavailable"));
    assert_eq!((status, &body["code"]), expected);
}

#[tokio::test]
async fn not_ready_is_503_and_readyz_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("strongroom.sqlite")).await.unwrap();
    let enclave = FakeEnclave::start(dir.path().join("e.sock"), Phase::AwaitingPolicy, |_| {
        Reply::Refused(denied(0)).into()
    });
    let recorder = Recorder::new(store.clone());
    let metrics = Metrics::default();
    let (supervisor, mut status) = Supervisor::new(
        enclave.endpoint.clone(),
        Vec::new(),
        lender(&metrics),
        recorder.clone(),
        metrics.clone(),
    );
    let router = router(status.clone(), recorder, metrics, DEADLINE);
    let supervisor = tokio::spawn(async { match supervisor.run().await {} });
    status
        .wait_for(|status| {
            matches!(status, Status::NotReady(problem) if problem.code == Code::DestinationDenied)
        })
        .await
        .unwrap();
    let proxy = Proxy { _dir: dir, enclave, store, router, supervisor };
    let (status, body) = proxy.get("/readyz").await;
    // whatever the code of the refusal: this is a 503
    let expected = (StatusCode::SERVICE_UNAVAILABLE, &json!("enclave_not_ready"));
    assert_eq!((status, &body["code"]), expected);
    assert_eq!(body["detail"], "to: expected a destination of the policy");
    assert_eq!(proxy.get("/healthz").await.0, StatusCode::OK);
    for answer in [
        proxy.post("/v1/sign", intent()).await,
        proxy.post("/v1/wallets", act("hot-eth")).await,
        proxy.get("/v1/wallets").await,
    ] {
        assert_eq!((answer.0, &answer.1["code"]), expected);
    }
}

#[tokio::test]
async fn a_wallet_that_did_not_open_is_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("strongroom.sqlite")).await.unwrap();
    store.put_dek(&crate::samples::dek_id(), b"encrypted DEK").await.unwrap();
    store.put_wallet(&sealed("deposits-eth"), &receipt(BOOT_A, 7)).await.unwrap();
    let mut enclave =
        FakeEnclave::start(dir.path().join("e.sock"), Phase::AwaitingPolicy, |call| match call {
            Call::LoadWallet(_) => problem(Code::SealedKeyRefused).into(),
            other => healthy(other),
        });
    let recorder = Recorder::new(store.clone());
    let metrics = Metrics::default();
    let (supervisor, mut status) = Supervisor::new(
        enclave.endpoint.clone(),
        Vec::new(),
        lender(&metrics),
        recorder.clone(),
        metrics.clone(),
    );
    let router = router(status.clone(), recorder, metrics, DEADLINE);
    let supervisor = tokio::spawn(async { match supervisor.run().await {} });
    status.wait_for(|status| matches!(status, Status::Ready(_))).await.unwrap();
    while enclave.calls.try_recv().is_ok() {}
    let mut proxy = Proxy { _dir: dir, enclave, store, router, supervisor };
    let (status, body) = proxy.post("/v1/wallets", act("deposits-eth")).await;
    let expected = (StatusCode::SERVICE_UNAVAILABLE, &json!("sealed_key_refused"));
    assert_eq!((status, &body["code"]), expected);
    assert!(proxy.enclave.calls.try_recv().is_err());
    let (_, body) = proxy.get("/readyz").await;
    assert_eq!(body["refused_wallets"][0]["wallet"], "deposits-eth");
    assert_eq!(body["refused_wallets"][0]["code"], "sealed_key_refused");
}
