//! Wallets and their addresses.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_bytes::ByteBuf;
use strongroom_shared::id::WalletId;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::reply::{AddressesReply, WalletInfo};
use strongroom_shared::wire::{AddressQuery, Call, Reply};

use super::body::JsonBytes;
use super::gateway::unexpected;
use super::problem::Refusal;
use super::query::Parameters;
use super::{Answer, Gateway};
use crate::validate;

/// `GET /v1/wallets`.
#[derive(Serialize)]
pub(crate) struct Wallets {
    wallets: Vec<WalletInfo>,
}

/// Which wallets are open.
pub(crate) async fn list(State(gateway): State<Gateway>) -> Answer<Wallets> {
    match gateway.read(Call::Wallets).await? {
        Reply::Wallets(wallets) => Ok((StatusCode::OK, Json(Wallets { wallets }))),
        _ => Err(unexpected().into()),
    }
}

/// Takes an envelope of a wallet act: 201 done, 202 approvals missing.
pub(crate) async fn act(
    State(gateway): State<Gateway>,
    JsonBytes(body): JsonBytes,
) -> Result<Response, Refusal> {
    let act = validate::wallet_act(&body)?;
    // The enclave does not know a wallet that it would not open, and would make another key for
    // its name, for which the store has no place.
    if gateway.serving()?.refused.iter().any(|(wallet, _)| *wallet == act.wallet) {
        let detail = "the store holds a sealed key of this wallet that the enclave did not open";
        return Err(Problem::new(Code::SealedKeyRefused, detail).into());
    }
    match gateway.decide(Call::ActOnWallet(ByteBuf::from(body))).await? {
        Reply::WalletCreated { reply, .. } => {
            Ok((StatusCode::CREATED, Json(reply)).into_response())
        }
        Reply::Pending(reply) => Ok((StatusCode::ACCEPTED, Json(reply)).into_response()),
        _ => Err(unexpected().into()),
    }
}

/// Addresses of a wallet with the enclave's statement.
pub(crate) async fn addresses(
    State(gateway): State<Gateway>,
    wallet: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Answer<AddressesReply> {
    let selection = parameters.selection()?;
    let Some(wallet) = wallet.ok().and_then(|Path(name)| WalletId::parse(&name)) else {
        return Err(Problem::new(Code::UnknownWallet, "expected the name of a wallet").into());
    };
    let query = AddressQuery { wallet: wallet.clone(), selection };
    match gateway.read(Call::Addresses(query)).await? {
        Reply::Addresses(reply) => {
            gateway.expect_stored(&wallet).await?;
            Ok((StatusCode::OK, Json(reply)))
        }
        _ => Err(unexpected().into()),
    }
}
