//! Step 11: what the caller is told.

use std::sync::Arc;

use alloy_eips::eip2718::Encodable2718 as _;
use strongroom_shared::encoding::HexBytes;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::receipt::{Decision, Event};
use strongroom_shared::reply::{SignReply, SignedTransaction};
use strongroom_shared::wire::Reply;

use crate::audit::ReleasedSignature;
use crate::enclave::Enclave;
use crate::refusal::{Denied, Failed, Refusal, Rejected};

/// Puts the signature into its transaction, and stores the result for the same intent.
pub(crate) fn signed(released: ReleasedSignature<'_>) -> Arc<SignReply> {
    let (approved, signature, receipt) = released.into_parts();
    let transaction = approved.transaction().typed().clone().into_envelope(signature);
    let result = SignedTransaction {
        path: approved.intent().path,
        from: approved.from(),
        signed_transaction: HexBytes(transaction.encoded_2718()),
        transaction_hash: HexBytes(transaction.tx_hash().to_vec()),
    };
    let reply = Arc::new(SignReply {
        intent_digest: approved.digest(),
        wallet: approved.intent().wallet.clone(),
        results: vec![result],
        receipt,
        ignored: approved.ignored().to_vec(),
    });
    approved.into_reservation().complete(Arc::clone(&reply));
    reply
}

/// Says no. A denial and a failure leave a receipt first; a rejection leaves a count only.
pub(crate) fn refused(enclave: &Enclave, refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Rejected(Rejected(problem)) => {
            enclave.count_rejection();
            Reply::Refused(problem)
        }
        Refusal::Pending(pending) => Reply::Pending(pending),
        Refusal::Busy(problem) => Reply::Refused(problem),
        Refusal::Denied(Denied { event, code, rule, detail, ignored }) => {
            let decision = Decision::Denied { code, rule: rule.clone() };
            let mut problem = Problem::new(code, detail);
            problem.rule = Some(rule);
            problem.ignored = ignored;
            with_receipt(enclave, problem, event, decision)
        }
        Refusal::Failed(Failed { event, code, detail }) => {
            with_receipt(enclave, Problem::new(code, detail), event, Decision::Failed { code })
        }
    }
}

fn with_receipt(
    enclave: &Enclave,
    mut problem: Problem,
    event: Event,
    decision: Decision,
) -> Reply {
    match enclave.receipt(event, decision) {
        Ok(receipt) => {
            problem.policy = Some(*enclave.policy.digest());
            problem.receipt = Some(receipt);
            Reply::Refused(problem)
        }
        // What is not recorded is not decided.
        Err(error) => Reply::Refused(Problem::new(Code::InternalFault, error.to_string())),
    }
}
