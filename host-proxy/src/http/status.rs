//! What the enclave and the proxy say about themselves.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_bytes::ByteBuf;
use strongroom_shared::attestation::AttestationReply;
use strongroom_shared::digest::Digest;
use strongroom_shared::id::{BootId, DekId, WalletId};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::reply::PolicyReply;
use strongroom_shared::wire::{Call, Reply};

use super::gateway::unexpected;
use super::query::Parameters;
use super::{Answer, Gateway};
use crate::supervisor::Status;

/// `GET /v1/attestation?nonce=<hex>`.
pub(crate) async fn attestation(
    State(gateway): State<Gateway>,
    parameters: Parameters,
) -> Answer<AttestationReply> {
    let nonce = parameters.nonce()?;
    match gateway.read(Call::Attest(ByteBuf::from(nonce))).await? {
        Reply::Attestation(reply) => Ok((StatusCode::OK, Json(reply))),
        _ => Err(unexpected().into()),
    }
}

/// `GET /v1/policy`.
pub(crate) async fn policy(State(gateway): State<Gateway>) -> Answer<PolicyReply> {
    match gateway.read(Call::Policy).await? {
        Reply::Policy(reply) => Ok((StatusCode::OK, Json(reply))),
        _ => Err(unexpected().into()),
    }
}

/// `GET /healthz`.
#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
}

/// The process is up.
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "up" })
}

/// `GET /readyz`.
#[derive(Serialize)]
pub(crate) struct Ready {
    status: &'static str,
    boot_id: BootId,
    policy: Digest,
    dek_id: DekId,
    /// Wallets in the store that the enclave would not open.
    refused_wallets: Vec<RefusedWallet>,
}

#[derive(Serialize)]
struct RefusedWallet {
    wallet: WalletId,
    code: Code,
    detail: String,
}

/// The enclave is ready and what it decides can be recorded; or the reason why not.
pub(crate) async fn ready(State(gateway): State<Gateway>) -> Answer<Ready> {
    let serving = match gateway.status() {
        Status::Ready(serving) => serving,
        Status::NotReady(problem) => {
            // Whatever the code, an enclave that is not ready is a 503; the receipt of a failed boot
            // is on disk, and not everyone's business.
            let code = match problem.code.status() {
                503 => problem.code,
                _ => Code::EnclaveNotReady,
            };
            return Err(Problem::new(code, problem.detail.clone()).into());
        }
    };
    gateway.records()?;
    let refused_wallets = serving.refused.iter().map(|(wallet, problem)| RefusedWallet {
        wallet: wallet.clone(),
        code: problem.code,
        detail: problem.detail.clone(),
    });
    Ok((
        StatusCode::OK,
        Json(Ready {
            status: "ready",
            boot_id: serving.boot_id.clone(),
            policy: serving.policy,
            dek_id: serving.dek_id,
            refused_wallets: refused_wallets.collect(),
        }),
    ))
}
