//! Durable before answered: what the enclave gave for safe keeping is on disk before a caller
//! hears of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::receipt::Receipt;
use strongroom_shared::wire::{Reply, SealedKey};

use crate::store::{Store, StoreError};

/// How long after a failed write the next attempt is made.
const RETRY: Duration = Duration::from_secs(1);

/// Writes what replies carry. Clones share one backlog.
///
/// A write that failed is tried again until it succeeds, because a sealed key that is lost is a
/// wallet that is lost. While anything is unwritten, nothing new is asked of the enclave that would
/// have to be written: that bounds the backlog, and fails closed.
#[derive(Clone)]
pub struct Recorder {
    store: Store,
    unwritten: Arc<AtomicUsize>,
}

/// What a reply carries for safe keeping.
struct Record {
    receipt: Receipt,
    sealed: Option<SealedKey>,
}

impl Record {
    fn of(reply: &Reply) -> Option<Self> {
        let (receipt, sealed) = match reply {
            Reply::Signed(reply) => (&reply.receipt, None),
            Reply::WalletCreated { reply, sealed } => (&reply.receipt, Some(sealed.clone())),
            Reply::Booted(booted) => (&booted.receipt, None),
            Reply::Refused(problem) => (problem.receipt.as_ref()?, None),
            Reply::WalletLoaded(_)
            | Reply::Pending(_)
            | Reply::Wallets(_)
            | Reply::Addresses(_)
            | Reply::Attestation(_)
            | Reply::Policy(_)
            | Reply::Receipts(_) => return None,
        };
        Some(Self { receipt: receipt.clone(), sealed })
    }

    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        match &self.sealed {
            Some(sealed) => store.put_wallet(sealed, &self.receipt).await,
            None => store.put_receipt(&self.receipt).await,
        }
    }
}

impl Recorder {
    /// A recorder without a backlog.
    pub fn new(store: Store) -> Self {
        Self { store, unwritten: Arc::default() }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Refuses with `store_unavailable` while something is unwritten.
    pub fn ready(&self) -> Result<(), Problem> {
        match self.unwritten.load(Ordering::Acquire) {
            0 => Ok(()),
            waiting => Err(Problem::new(
                Code::StoreUnavailable,
                format!("{waiting} earlier records could not be written yet"),
            )),
        }
    }

    /// Writes the receipt, and the sealed key, that a reply carries. On an error the reply must not
    /// reach the caller.
    pub async fn keep(&self, reply: &Reply) -> Result<(), Problem> {
        let Some(record) = Record::of(reply) else { return Ok(()) };
        let Err(error) = record.write(&self.store).await else { return Ok(()) };
        tracing::error!("a record of the enclave could not be written: {error}");
        if error.is_transient() {
            self.unwritten.fetch_add(1, Ordering::AcqRel);
            tokio::spawn(self.clone().insist(record));
        }
        Err(Problem::new(Code::StoreUnavailable, "the record of this decision was not written"))
    }

    async fn insist(self, record: Record) {
        loop {
            tokio::time::sleep(RETRY).await;
            match record.write(&self.store).await {
                Ok(()) => {
                    tracing::info!("a record that had failed before is written");
                    break;
                }
                Err(error) if error.is_transient() => tracing::error!("still failing: {error}"),
                Err(error) => {
                    tracing::error!("given up, the record is lost: {error}");
                    break;
                }
            }
        }
        self.unwritten.fetch_sub(1, Ordering::AcqRel);
    }
}
