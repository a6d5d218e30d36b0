//! Step 7: the policy's verdict, and the reservation that makes it count.

use std::sync::Arc;

use alloy_primitives::B256;
use strongroom_policy::{Denial, Question, Transaction, Verdict, evaluate};
use strongroom_shared::digest::Digest;
use strongroom_shared::evm::EvmAddress;
use strongroom_shared::id::RuleId;
use strongroom_shared::intent::Intent;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::receipt::Event;
use strongroom_shared::reply::{IgnoredSignature, SignReply};

use crate::decode::DecodedIntent;
use crate::enclave::Enclave;
use crate::ledger::{Claim, Claimed, Conflict, Reservation};
use crate::refusal::{Failed, Refusal};

/// An intent that the policy allows, and that is reserved. Nothing else is ever signed.
pub struct ApprovedIntent<'e> {
    enclave: &'e Enclave,
    intent: Intent,
    digest: Digest,
    from: EvmAddress,
    transaction: Transaction,
    event: Event,
    ignored: Vec<IgnoredSignature>,
    reservation: Reservation,
}

/// What approving gives.
pub enum Approval<'e> {
    /// It may be signed, now and once.
    Approved(ApprovedIntent<'e>),
    /// It was signed before: the identical result.
    AlreadySigned(Arc<SignReply>),
}

impl<'e> ApprovedIntent<'e> {
    /// Evaluates the policy, then reserves. A refusal reserves nothing.
    pub fn approve(decoded: DecodedIntent<'e>) -> Result<Approval<'e>, Refusal> {
        let enclave = decoded.intent().enclave();
        let asked = decoded.intent().intent();
        let now = enclave.now();
        let verdict = evaluate(
            &enclave.policy,
            &Question {
                wallet: decoded.intent().wallet(),
                path: &asked.path,
                policy_digest: &asked.policy,
                now,
                transaction: decoded.transaction(),
                effects: decoded.effects(),
                destinations: &enclave.keyring,
            },
        );
        match verdict {
            Verdict::Allowed { rules: _ } => {}
            Verdict::Denied(denial) => return Err(decoded.deny(denial, None).into()),
            Verdict::Unresolved => {
                return Err(not_open("transaction: to: a wallet of the policy, which is not open"));
            }
        }
        let from =
            enclave.keyring.get(&asked.wallet).and_then(|wallet| wallet.address(&asked.path));
        let Some(from) = from else {
            return Err(not_open("intent: wallet: in the policy, and not open in the enclave"));
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
        match enclave.ledger.claim(&claim, now) {
            Ok(Claimed::Reserved(reservation)) => {
                Ok(Approval::Approved(Self::new(decoded, from, reservation)))
            }
            Ok(Claimed::AlreadySigned(reply)) => Ok(Approval::AlreadySigned(reply)),
            Err(conflict) => Err(refuse(decoded, from, conflict)),
        }
    }

    fn new(decoded: DecodedIntent<'e>, from: EvmAddress, reservation: Reservation) -> Self {
        let record = decoded.record(Some(from));
        let (intent, transaction) = decoded.into_parts();
        Self {
            enclave: intent.enclave(),
            event: intent.event(vec![record]),
            digest: intent.digest(),
            ignored: intent.ignored().to_vec(),
            intent: intent.intent().clone(),
            from,
            transaction,
            reservation,
        }
    }

    /// Where it was approved.
    pub(crate) fn enclave(&self) -> &'e Enclave {
        self.enclave
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

/// Which wallets are open is up to the host, and so it decides nothing: no receipt says no because
/// of it, or the host could have a no signed now, and the yes a moment later.
fn not_open(detail: &'static str) -> Refusal {
    Refusal::Busy(Problem::new(Code::WalletNotOpen, detail))
}

fn refuse(decoded: DecodedIntent<'_>, from: EvmAddress, conflict: Conflict) -> Refusal {
    let (rule, code, detail) = match conflict {
        Conflict::IntentIdReused => (
            "ledger/intent-id",
            Code::IntentIdReused,
            "intent: intent_id: expected a new one, or the same payload bytes",
        ),
        Conflict::NonceUsed => (
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
    let denial = Denial { code, rule: RuleId::fixed(rule), detail: detail.to_owned() };
    decoded.deny(denial, Some(from)).into()
}
