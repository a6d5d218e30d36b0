//! `POST /v1/sign`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_bytes::ByteBuf;
use strongroom_shared::reply::{SignReply, SignedTransaction};
use strongroom_shared::wire::{Call, Reply};

use super::Gateway;
use super::body::JsonBytes;
use super::gateway::unexpected;
use super::problem::Refusal;
use crate::validate;

/// Takes an envelope of an intent: 200 signed, 202 approvals missing.
pub(crate) async fn sign(
    State(gateway): State<Gateway>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Refusal> {
    validate::intent(&body)?;
    match gateway.decide(Call::Sign(ByteBuf::from(body))).await? {
        Reply::Signed(reply) => Ok((StatusCode::OK, Json(Signed::of(&reply))).into_response()),
        Reply::Pending(reply) => Ok((StatusCode::ACCEPTED, Json(reply)).into_response()),
        _ => Err(unexpected().into()),
    }
}

/// The reply; for a single transaction the members of its result stand at the top level as well.
#[derive(Serialize)]
struct Signed<'a> {
    #[serde(flatten)]
    reply: &'a SignReply,
    #[serde(flatten)]
    single: Option<&'a SignedTransaction>,
}

impl<'a> Signed<'a> {
    fn of(reply: &'a SignReply) -> Self {
        let single = match reply.results.as_slice() {
            [single] => Some(single),
            _ => None,
        };
        Self { reply, single }
    }
}
