//! The HTTP interface: routes, and nothing that decides.

mod body;
mod gateway;
mod problem;
mod query;
mod sign;
mod status;
mod wallets;

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use strongroom_shared::problem::{Code, Problem};
use tokio::sync::watch;

use crate::record::Recorder;
use crate::supervisor::Status;
pub use body::MAX_BODY;
pub use gateway::Gateway;
pub use problem::Refusal;

/// For how long a caller waits for the enclave.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Every route. `deadline` is how long a caller waits for the enclave, [`DEADLINE`] in service.
pub fn router(status: watch::Receiver<Status>, recorder: Recorder, deadline: Duration) -> Router {
    Router::new()
        .route("/v1/sign", post(sign::sign))
        .route("/v1/wallets", get(wallets::list).post(wallets::act))
        .route("/v1/wallets/{wallet}/addresses", get(wallets::addresses))
        .route("/v1/attestation", get(status::attestation))
        .route("/v1/policy", get(status::policy))
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .fallback(async || refusal(Code::NotFound, "expected one of the addresses of this API"))
        .method_not_allowed_fallback(async || {
            refusal(Code::MethodNotAllowed, "expected a method that the header allow names")
        })
        .layer(from_fn(log))
        .with_state(Gateway::new(status, recorder, deadline))
}

fn refusal(code: Code, detail: &str) -> Refusal {
    Refusal(Problem::new(code, detail))
}

/// One line for each request: the route as it is written here, never what the caller put into it.
async fn log(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("-", MatchedPath::as_str);
    let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis());
    if method == axum::http::Method::POST {
        tracing::info!("{method} {route} {status} {ms} ms");
    } else {
        tracing::debug!("{method} {route} {status} {ms} ms");
    }
    response
}

/// `T` as JSON, with a status.
type Answer<T> = Result<(axum::http::StatusCode, Json<T>), Refusal>;
