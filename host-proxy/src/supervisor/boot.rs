//! One boot of an enclave, step by step. Every failure says which step and why.

use std::time::Duration;

use serde_bytes::ByteBuf;
use strongroom_shared::id::{DekId, WalletId};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{BootMaterial, Call, Credentials, Reply};

use super::Serving;
use crate::record::Recorder;
use crate::relay::{Connection, RelayError};
use crate::store::{Store, StoreError};

/// For how long a boot's answers are of use: the enclave asks KMS meanwhile.
const USEFUL: Duration = Duration::from_secs(60);

/// How long after a failed write of the DEK the next attempt is made.
const RETRY: Duration = Duration::from_secs(1);

/// Brings the enclave from whatever phase it is in to ready. One that has booted says again what its
/// boot gave, so that nothing is lost that another connection did not hear or store.
pub(crate) async fn run(
    connection: Connection,
    policy: &[u8],
    credentials: Credentials,
    recorder: &Recorder,
) -> Result<Serving, Problem> {
    let mut serving = boot(connection, policy, credentials, recorder).await?;
    catch_up(&serving, recorder.store()).await?;
    serving.refused = load_wallets(&serving.connection, recorder.store()).await?;
    Ok(serving)
}

async fn boot(
    connection: Connection,
    policy: &[u8],
    credentials: Credentials,
    recorder: &Recorder,
) -> Result<Serving, Problem> {
    // What the store says of the chain's end would be wrong, and there would be more to write.
    recorder.ready()?;
    let store = recorder.store();
    let material = BootMaterial {
        policy: ByteBuf::from(policy),
        credentials,
        encrypted_dek: store.newest_dek().await.map_err(unreadable)?.map(ByteBuf::from),
        position: store.position().await.map_err(unreadable)?,
    };
    let reply = connection.call(Call::Boot(Box::new(material)), USEFUL).await?;
    // The DEK first: without it every key that is sealed under it would be lost.
    if let Reply::Booted(booted) = &reply
        && let Some(encrypted_dek) = &booted.encrypted_dek
    {
        tokio::select! {
            written = insist_on_dek(store, &booted.dek_id, encrypted_dek) => written?,
            // An enclave that is gone takes the DEK with it, and nothing was sealed under it yet.
            () = connection.closed() => return Err(RelayError::Lost.into()),
        }
    }
    recorder.keep(&reply).await?;
    let booted = match reply {
        Reply::Booted(booted) => booted,
        Reply::Refused(problem) => return Err(problem),
        _ => return Err(unexpected("to the boot")),
    };
    // Keys that are sealed under another DEK could not be opened after the next boot.
    if !store.has_dek(&booted.dek_id).await.map_err(unreadable)? {
        return Err(Problem::new(
            Code::EnclaveNotReady,
            "the enclave was booted with a DEK that the store does not hold: restart the enclave",
        ));
    }
    Ok(Serving {
        connection,
        boot_id: booted.boot_id,
        policy: booted.policy,
        dek_id: booted.dek_id,
        refused: Vec::new(),
    })
}

/// Fetches the receipts of this boot that were lost on the way, when a connection broke.
async fn catch_up(serving: &Serving, store: &Store) -> Result<(), Problem> {
    let mut after = store.gapless_to(&serving.boot_id).await.map_err(unreadable)?;
    loop {
        let Reply::Receipts(receipts) = ask(&serving.connection, Call::Receipts { after }).await?
        else {
            return Err(unexpected("to lost receipts"));
        };
        let Some(last) = receipts.last().map(|receipt| receipt.sequence) else { return Ok(()) };
        if last <= after {
            return Err(unexpected("to lost receipts"));
        }
        for receipt in &receipts {
            store.put_receipt(receipt).await.map_err(|error| {
                tracing::error!("a receipt cannot be stored: {error}");
                Problem::new(Code::StoreUnavailable, "boot: a receipt was not written")
            })?;
        }
        after = last;
    }
}

/// Opens every wallet of the store that is not open. One that the enclave refuses does not keep
/// the others from working; it is named in the log and by `GET /readyz`.
async fn load_wallets(
    connection: &Connection,
    store: &Store,
) -> Result<Vec<(WalletId, Problem)>, Problem> {
    let Reply::Wallets(open) = ask(connection, Call::Wallets).await? else {
        return Err(unexpected("to the list of wallets"));
    };
    let mut refused = Vec::new();
    for key in store.sealed_keys().await.map_err(unreadable)? {
        if open.iter().any(|info| info.wallet == key.wallet) {
            continue;
        }
        let wallet = key.wallet.clone();
        match connection.call(Call::LoadWallet(key), USEFUL).await? {
            Reply::WalletLoaded(_) => {}
            Reply::Refused(problem) => {
                tracing::error!("wallet {wallet} does not open: {problem}");
                refused.push((wallet, problem));
            }
            _ => return Err(unexpected("to a wallet")),
        }
    }
    Ok(refused)
}

async fn ask(connection: &Connection, call: Call) -> Result<Reply, Problem> {
    match connection.call(call, USEFUL).await? {
        Reply::Refused(problem) => Err(problem),
        reply => Ok(reply),
    }
}

fn unexpected(to: &str) -> Problem {
    Problem::new(Code::InternalFault, format!("the enclave's answer {to} is of another kind"))
}

fn unreadable(error: StoreError) -> Problem {
    tracing::error!("the store cannot be read: {error}");
    Problem::new(Code::StoreUnavailable, "boot: what the store holds could not be read")
}

async fn insist_on_dek(store: &Store, dek_id: &DekId, encrypted: &[u8]) -> Result<(), Problem> {
    while let Err(error) = store.put_dek(dek_id, encrypted).await {
        tracing::error!("the encrypted DEK cannot be stored: {error}");
        if !error.is_transient() {
            return Err(Problem::new(
                Code::StoreUnavailable,
                "boot: the encrypted DEK was not written: restart the enclave",
            ));
        }
        tokio::time::sleep(RETRY).await;
    }
    Ok(())
}
