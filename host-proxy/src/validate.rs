//! Well-formedness, for the caller's sake: an error here names the field before the enclave is
//! bothered. It is never a security boundary; the enclave reads the same bytes again.

use strongroom_shared::act::WalletAct;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::intent::Intent;
use strongroom_shared::json;
use strongroom_shared::problem::{Code, Problem};

/// The intent in the envelope of a sign request.
pub fn intent(body: &[u8]) -> Result<Intent, Problem> {
    let envelope = envelope(PayloadType::Intent, body)?;
    json::parse("intent", &envelope.payload.0)
        .map_err(|error| Problem::new(Code::MalformedIntent, error.to_string()))
}

/// The act in the envelope of a wallet act.
pub fn wallet_act(body: &[u8]) -> Result<WalletAct, Problem> {
    let envelope = envelope(PayloadType::WalletAct, body)?;
    json::parse("wallet act", &envelope.payload.0)
        .map_err(|error| Problem::new(Code::MalformedWalletAct, error.to_string()))
}

fn envelope(expected: PayloadType, body: &[u8]) -> Result<Envelope, Problem> {
    Envelope::parse(expected, body)
        .map_err(|error| Problem::new(Code::MalformedEnvelope, error.to_string()))
}
