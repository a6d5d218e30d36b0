//! The HTTP interface: routes, and nothing that decides.

mod body;
mod gateway;
mod problem;
mod query;
mod sign;
mod status;
mod wallets;

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use strongroom_shared::problem::{Code, Problem};
use tokio::sync::watch;

use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::record::Recorder;
use crate::supervisor::Status;
pub use body::MAX_BODY;
pub use gateway::Gateway;
pub use problem::Refusal;

/// For how long a caller waits for the enclave.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Every route. `deadline` is how long a caller waits for the enclave, [`DEADLINE`] in service.
pub fn router(
    status: watch::Receiver<Status>,
    recorder: Recorder,
    metrics: Metrics,
    deadline: Duration,
) -> Router {
    let scraped = metrics.clone();
    Router::new()
        .route("/v1/sign", post(sign::sign))
        .route("/v1/wallets", get(wallets::list).post(wallets::act))
        .route("/v1/wallets/{wallet}/addresses", get(wallets::addresses))
        .route("/v1/attestation", get(status::attestation))
        .route("/v1/policy", get(status::policy))
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/metrics", get(async move || exposition(&scraped)))
        .fallback(async || refusal(Code::NotFound, "expected one of the addresses of this API"))
        .method_not_allowed_fallback(async || {
            refusal(Code::MethodNotAllowed, "expected a method that the header allow names")
        })
        .layer(from_fn_with_state(metrics, observe))
        .with_state(Gateway::new(status, recorder, deadline))
}

fn refusal(code: Code, detail: &str) -> Refusal {
    Refusal(Problem::new(code, detail))
}

/// `GET /metrics`.
fn exposition(metrics: &Metrics) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => refusal(Code::InternalFault, "the metrics could not be written").into_response(),
    }
}

/// One line, and one more in a counter, for each request: the route as it is written here, never what
/// the caller put into it.
async fn observe(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis());
    metrics.answered(&method, route, status);
    let route = route.unwrap_or("-");
    if method == axum::http::Method::POST {
        tracing::info!("{method} {route} {status} {ms} ms");
    } else {
        tracing::debug!("{method} {route} {status} {ms} ms");
    }
    response
}

/// `T` as JSON, with a status.
type Answer<T> = Result<(axum::http::StatusCode, Json<T>), Refusal>;
