//! What monitoring reads.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use strongroom_host_proxy::http::router;
use strongroom_host_proxy::metrics::Metrics;
use strongroom_host_proxy::record::Recorder;
use strongroom_host_proxy::store::Store;
use strongroom_host_proxy::supervisor::Status;
use strongroom_shared::problem::{Code, Problem};
use tokio::sync::watch;
use tower::ServiceExt as _;

/// The value behind this name and these labels.
pub(crate) fn value(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).trim().parse().unwrap()
}

async fn send(router: &Router, method: Method, path: &str) -> (StatusCode, String, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let kind = head.headers[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, kind, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status_and_labels_hold_nothing_of_a_caller() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("strongroom.sqlite")).await.unwrap();
    let away = Status::NotReady(Problem::new(Code::EnclaveUnavailable, "away").into());
    let (_status, watched) = watch::channel(away);
    let metrics = Metrics::default();
    let deadline = std::time::Duration::from_secs(1);
    let router = router(watched, Recorder::new(store), metrics.clone(), deadline);

    send(&router, Method::GET, "/healthz").await;
    send(&router, Method::GET, "/healthz").await;
    send(&router, Method::GET, "/v1/wallets/MARK/addresses?first=0&count=1").await;
    send(&router, Method::GET, "/MARK?MARK=MARK").await;
    send(&router, Method::from_bytes(b"MARK").unwrap(), "/v1/policy").await;
    send(&router, Method::POST, "/v1/sign").await;
    let (status, kind, text) = send(&router, Method::GET, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.ends_with("# EOF\n") && !text.contains("MARK"), "{text}");

    for (method, route, status, count) in [
        ("GET", "/healthz", 200, 2),
        ("GET", "/v1/wallets/{wallet}/addresses", 404, 1),
        ("GET", "none", 404, 1),
        ("other", "/v1/policy", 405, 1),
        ("POST", "/v1/sign", 415, 1),
    ] {
        let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
        let name = format!("strongroom_proxy_http_requests_total{{{labels}}}");
        assert_eq!(value(&text, &name), count, "{text}");
    }
    assert_eq!(value(&text, "strongroom_proxy_enclave_ready"), 0);
    assert_eq!(value(&text, "strongroom_proxy_boots_attempted_total"), 0);
}
