//! Step 6: what the transaction does. The enclave decodes it and derives the digest itself; it
//! never signs a digest that it was given.

use strongroom_policy::{Denial, Transaction};
use strongroom_shared::evm::{Effect, EvmAddress};
use strongroom_shared::intent::Payload;
use strongroom_shared::receipt::TransactionRecord;

use crate::authenticate::AuthenticatedIntent;
use crate::refusal::{Denied, Refusal, Rejected};

/// An intent whose transaction is understood to the last byte.
pub struct DecodedIntent<'e> {
    intent: AuthenticatedIntent<'e>,
    transaction: Transaction,
    effects: Vec<Effect>,
}

impl<'e> DecodedIntent<'e> {
    /// Decodes the transaction, and what it does.
    pub fn decode(intent: AuthenticatedIntent<'e>) -> Result<Self, Refusal> {
        let Payload::EvmTransaction { unsigned } = &intent.intent().payload;
        let transaction = match strongroom_policy::decode(&unsigned.0) {
            Ok(transaction) => transaction,
            Err(error) => {
                return Err(match error.denial(intent.wallet()) {
                    Some(denial) => deny(&intent, Vec::new(), denial).into(),
                    // Not a transaction: there is nothing to decide about.
                    None => Rejected::new(error.code(), error.to_string()).into(),
                });
            }
        };
        // What cannot be read has no effects here, and is denied by the policy's calldata rule: after
        // the rules about the intent itself, so that a stale policy digest is called just that.
        let effects =
            strongroom_policy::effects(&intent.enclave().policy, &transaction).unwrap_or_default();
        Ok(Self { intent, transaction, effects })
    }

    /// Who asked for what.
    pub fn intent(&self) -> &AuthenticatedIntent<'e> {
        &self.intent
    }

    /// The transaction.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// What it does to what the wallet owns.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// What a receipt says about the transaction.
    pub fn record(&self, from: Option<EvmAddress>) -> TransactionRecord {
        TransactionRecord {
            path: self.intent.intent().path,
            from,
            chain: self.transaction.chain_id(),
            nonce: self.transaction.nonce(),
            sighash: self.transaction.sighash().to_string(),
            effects: self.effects.clone(),
        }
    }

    /// The policy's no, with everything that a receipt needs.
    pub fn deny(self, denial: Denial, from: Option<EvmAddress>) -> Denied {
        let record = self.record(from);
        deny(&self.intent, vec![record], denial)
    }

    pub(crate) fn into_parts(self) -> (AuthenticatedIntent<'e>, Transaction) {
        (self.intent, self.transaction)
    }
}

fn deny(
    intent: &AuthenticatedIntent<'_>,
    transactions: Vec<TransactionRecord>,
    denial: Denial,
) -> Denied {
    let Denial { code, rule, detail } = denial;
    let ignored = intent.ignored().to_vec();
    Denied { event: intent.event(transactions), code, rule, detail, ignored }
}
