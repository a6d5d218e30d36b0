//! What was approved before: intents, and the nonces of senders. Reserved before signing.
//!
//! Memory is bounded. Of each sender it keeps the last [`NONCES`] nonces and a floor, below which
//! every nonce counts as used. A sender that was idle for the longest life of an intent is
//! dropped, since no intent that was signed then can still be asked for; when the ledger is full
//! within that horizon, the answer is "full", never an early eviction.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::B256;
use strongroom_shared::digest::Digest;
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::id::{IntentId, PrincipalId};
use strongroom_shared::reply::SignReply;
use strongroom_shared::time::UtcSeconds;

/// The most intents that have not expired. A stored result takes about 3 KiB, and at most 8 KiB,
/// since a transaction has at most [`strongroom_policy::MAX_UNSIGNED`] bytes: 512 MiB at the worst.
const MAX_INTENTS: usize = 65_536;
/// The most nonces of all senders within the horizon. Each takes at most about 700 bytes, where its
/// sender has no other one: 270 MiB at the worst.
const MAX_NONCES: usize = 400_000;
/// How many nonces of a sender are told apart: how far out of order its transactions may arrive.
const NONCES: usize = 1_024;

/// An account on a chain.
type Sender = (u64, EvmAddress);

/// What is asked of the ledger.
#[derive(Clone, Debug)]
pub struct Claim {
    /// SHA-256 of the intent's payload bytes.
    pub digest: Digest,
    /// Who asks.
    pub caller: PrincipalId,
    /// The caller's own name for the intent.
    pub intent_id: IntentId,
    /// Until when the intent can be asked for.
    pub expires_at: UtcSeconds,
    /// EIP-155 chain id.
    pub chain: u64,
    /// The sender.
    pub from: EvmAddress,
    /// The sender's transaction count.
    pub nonce: u64,
    /// What is to be signed.
    pub sighash: B256,
}

/// Why a claim was refused; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The caller used the intent id for another body.
    IntentIdReused,
    /// The nonce was used for another transaction, or is below the floor.
    NonceUsed,
    /// The same intent is being signed right now.
    InFlight,
    /// No room within the horizon.
    Full,
}

/// What the ledger says to a claim.
pub enum Claimed {
    /// It is reserved.
    Reserved(Reservation),
    /// It was signed before: the identical result.
    AlreadySigned(Arc<SignReply>),
}

/// The ledger of one life of the enclave.
pub struct Ledger {
    horizon_seconds: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    intents: HashMap<Digest, Entry>,
    names: HashMap<(PrincipalId, IntentId), Digest>,
    expiries: BTreeSet<(UtcSeconds, Digest)>,
    senders: HashMap<Sender, Nonces>,
    /// How many nonces all senders have together.
    nonces: usize,
    idle: BTreeSet<(UtcSeconds, Sender)>,
}

struct Entry {
    name: (PrincipalId, IntentId),
    outcome: Outcome,
}

enum Outcome {
    /// Reserved, and being signed.
    InFlight,
    /// Reserved; a fault kept it from being signed.
    Reserved,
    /// Signed.
    Signed(Arc<SignReply>),
}

struct Nonces {
    floor: u64,
    used: BTreeMap<u64, B256>,
    idle_at: UtcSeconds,
}

/// A claim that was granted. Dropped without a result, it stays reserved for the same intent.
pub struct Reservation {
    ledger: Arc<Ledger>,
    digest: Digest,
}

impl Ledger {
    /// An empty ledger. `horizon_seconds` is the longest life of an intent under the policy.
    pub fn new(horizon_seconds: u64) -> Self {
        Self { horizon_seconds, state: Mutex::default() }
    }

    /// Reserves what is claimed, or says what was signed before.
    pub fn claim(self: &Arc<Self>, claim: &Claim, now: UtcSeconds) -> Result<Claimed, Conflict> {
        let mut state = self.lock();
        state.forget(now);
        match state.intents.get_mut(&claim.digest).map(|entry| &mut entry.outcome) {
            Some(Outcome::Signed(reply)) => return Ok(Claimed::AlreadySigned(Arc::clone(reply))),
            Some(Outcome::InFlight) => return Err(Conflict::InFlight),
            Some(outcome @ Outcome::Reserved) => {
                *outcome = Outcome::InFlight;
                return Ok(Claimed::Reserved(self.reservation(claim.digest)));
            }
            None => {}
        }
        let horizon = now.seconds().saturating_add(self.horizon_seconds);
        state.reserve(claim, UtcSeconds::new(horizon))?;
        Ok(Claimed::Reserved(self.reservation(claim.digest)))
    }

    fn reservation(self: &Arc<Self>, digest: Digest) -> Reservation {
        Reservation { ledger: Arc::clone(self), digest }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic aborts the release binary; in tests a poisoned ledger is still consistent,
        // because each change below happens after the last check that can fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reserve(&mut self, claim: &Claim, idle_at: UtcSeconds) -> Result<(), Conflict> {
        let name = (claim.caller.clone(), claim.intent_id.clone());
        if self.names.contains_key(&name) {
            return Err(Conflict::IntentIdReused);
        }
        let sender = (claim.chain, claim.from);
        let known = self.senders.get(&sender);
        if known.is_some_and(|nonces| !nonces.allow(claim.nonce, &claim.sighash)) {
            return Err(Conflict::NonceUsed);
        }
        if self.nonces >= MAX_NONCES || self.intents.len() >= MAX_INTENTS {
            return Err(Conflict::Full);
        }
        // Every check has passed: from here on, all of it happens.
        let nonces = self.senders.entry(sender).or_insert_with(|| Nonces {
            floor: 0,
            used: BTreeMap::new(),
            idle_at,
        });
        self.idle.remove(&(nonces.idle_at, sender));
        nonces.idle_at = nonces.idle_at.max(idle_at);
        self.idle.insert((nonces.idle_at, sender));
        let before = nonces.used.len();
        nonces.use_up(claim.nonce, claim.sighash);
        self.nonces = self.nonces.saturating_add(nonces.used.len()).saturating_sub(before);
        self.names.insert(name.clone(), claim.digest);
        self.expiries.insert((claim.expires_at, claim.digest));
        self.intents.insert(claim.digest, Entry { name, outcome: Outcome::InFlight });
        Ok(())
    }

    /// Drops intents that have expired, and senders that were idle for the horizon.
    fn forget(&mut self, now: UtcSeconds) {
        while let Some((at, digest)) = self.expiries.first().copied()
            && at < now
        {
            self.expiries.pop_first();
            if let Some(entry) = self.intents.remove(&digest) {
                self.names.remove(&entry.name);
            }
        }
        while let Some((at, sender)) = self.idle.first().copied()
            && at < now
        {
            self.idle.pop_first();
            if let Some(nonces) = self.senders.remove(&sender) {
                self.nonces = self.nonces.saturating_sub(nonces.used.len());
            }
        }
    }
}

impl Nonces {
    fn allow(&self, nonce: u64, sighash: &B256) -> bool {
        match self.used.get(&nonce) {
            Some(used) => used == sighash,
            None => nonce >= self.floor,
        }
    }

    fn use_up(&mut self, nonce: u64, sighash: B256) {
        self.used.insert(nonce, sighash);
        if self.used.len() > NONCES
            && let Some((lowest, _)) = self.used.pop_first()
        {
            self.floor = lowest.saturating_add(1);
        }
    }
}

impl Reservation {
    /// Stores the result: the same intent gets it again until it expires.
    pub fn complete(self, reply: Arc<SignReply>) {
        if let Some(entry) = self.ledger.lock().intents.get_mut(&self.digest) {
            entry.outcome = Outcome::Signed(reply);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(entry) = self.ledger.lock().intents.get_mut(&self.digest)
            && matches!(entry.outcome, Outcome::InFlight)
        {
            entry.outcome = Outcome::Reserved;
        }
    }
}

#[cfg(test)]
mod tests;
