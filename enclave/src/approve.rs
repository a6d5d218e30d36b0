//! Step 7: the policy's verdict, and the reservation that makes it count.

use std::sync::Arc;

use alloy_primitives::B256;
use strongroom_policy::{Denial, Policy, Question, Transaction, Verdict, evaluate};
use strongroom_shared::digest::Digest;
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::id::RuleId;
use strongroom_shared::intent::Intent;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::receipt::Event;
use strongroom_shared::reply::{IgnoredSignature, SignReply};
use strongroom_shared::time::UtcSeconds;

use crate::decode::DecodedIntent;
use crate::keys::Keyring;
use crate::ledger::{Claim, Claimed, Conflict, Ledger, Reservation};
use crate::refusal::{Failed, Refusal};

/// An intent that the policy allows, and that is reserved. Nothing else is ever signed.
pub struct ApprovedIntent {
    intent: Intent,
    digest: Digest,
    from: EvmAddress,
    transaction: Transaction,
    event: Event,
    ignored: Vec<IgnoredSignature>,
    reservation: Reservation,
}

/// What approving gives.
pub enum Approval {
    /// It may be signed, now and once.
    Approved(ApprovedIntent),
    /// It was signed before: the identical result.
    AlreadySigned(Arc<SignReply>),
}

impl ApprovedIntent {
    /// Evaluates the policy, then reserves. A refusal reserves nothing.
    pub fn approve(
        decoded: DecodedIntent<'_>,
        policy: &Policy,
        keyring: &Keyring,
        ledger: &Arc<Ledger>,
        now: UtcSeconds,
    ) -> Result<Approval, Refusal> {
        let asked = decoded.intent().intent();
        let verdict = evaluate(
            policy,
            &Question {
                wallet: decoded.intent().wallet(),
                path: &asked.path,
                policy_digest: &asked.policy,
                expires_at: asked.expires_at,
                now,
                transaction: decoded.transaction(),
                effects: decoded.effects(),
                destinations: keyring,
            },
        );
        if let Verdict::Denied(denial) = verdict {
            return Err(decoded.deny(denial, None).into());
        }
        let from = keyring.get(&asked.wallet).and_then(|wallet| wallet.address(&asked.path));
        let Some(from) = from else {
            let detail = "intent: wallet: it is in the policy, and not open in the enclave";
            return Err(decoded
                .deny(denial("wallets/open", Code::UnknownWallet, detail), None)
                .into());
        };
        let claim = Claim {
            digest: decoded.intent().digest(),
            caller: decoded.intent().caller().clone(),
            intent_id: asked.intent_id.clone(),
            expires_at: asked.expires_at,
            chain: decoded.transaction().chain_id(),
            from,
            nonce: decoded.transaction().nonce(),
            sighash: decoded.transaction().sighash(),
        };
        match ledger.claim(&claim, now) {
            Ok(Claimed::Reserved(reservation)) => {
                Ok(Approval::Approved(Self::new(decoded, from, reservation)))
            }
            Ok(Claimed::AlreadySigned(reply)) => Ok(Approval::AlreadySigned(reply)),
            Err(conflict) => Err(refuse(decoded, from, conflict)),
        }
    }

    fn new(decoded: DecodedIntent<'_>, from: EvmAddress, reservation: Reservation) -> Self {
        let record = decoded.record(Some(from));
        let (intent, transaction) = decoded.into_parts();
        Self {
            event: intent.event(vec![record]),
            digest: intent.digest(),
            ignored: intent.ignored().to_vec(),
            intent: intent.intent().clone(),
            from,
            transaction,
            reservation,
        }
    }

    /// What is to be signed for.
    pub fn intent(&self) -> &Intent {
        &self.intent
    }

    /// SHA-256 of the intent's payload bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The sender.
    pub fn from(&self) -> EvmAddress {
        self.from
    }

    /// The transaction.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The digest that is to be signed, which the enclave derived.
    pub fn sighash(&self) -> B256 {
        self.transaction.sighash()
    }

    /// What the receipt says.
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// Signatures that did not count.
    pub fn ignored(&self) -> &[IgnoredSignature] {
        &self.ignored
    }

    /// A fault: the reservation is kept, and the same intent resumes it.
    pub fn failed(self, detail: &'static str) -> Failed {
        Failed { event: self.event, code: Code::InternalFault, detail }
    }

    pub(crate) fn into_reservation(self) -> Reservation {
        self.reservation
    }
}

fn denial(rule: &'static str, code: Code, detail: &str) -> Denial {
    Denial { code, rule: RuleId::fixed(rule), detail: detail.to_owned() }
}

fn refuse(decoded: DecodedIntent<'_>, from: EvmAddress, conflict: Conflict) -> Refusal {
    let denial = match conflict {
        Conflict::IntentIdReused => denial(
            "ledger/intent-id",
            Code::IntentIdReused,
            "intent: intent_id: expected a new one, or the same payload bytes",
        ),
        Conflict::NonceUsed => denial(
            "ledger/nonce",
            Code::NonceUsed,
            "transaction: nonce: expected one that was not used for another transaction",
        ),
        Conflict::InFlight => {
            let detail = "the same intent is being signed";
            return Refusal::Busy(Problem::new(Code::Overloaded, detail));
        }
        Conflict::Full => {
            let detail = "the ledger has no room until older intents expire";
            return Refusal::Busy(Problem::new(Code::LedgerFull, detail));
        }
    };
    decoded.deny(denial, Some(from)).into()
}
