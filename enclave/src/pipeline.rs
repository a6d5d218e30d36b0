//! The one way from a request to a signature.
//!
//! Each step takes the result of the step before by value, and is the only one that can make its
//! own result: the fields are private, and there is one constructor. Each carries the enclave that it
//! began in, so that no step can be given another policy, ledger or chain. A signature that skipped
//! the policy does not compile, and neither does one that leaves before its receipt.

use std::sync::Arc;

use strongroom_shared::reply::SignReply;
use strongroom_shared::wire::Reply;

use crate::approve::{Approval, ApprovedIntent};
use crate::audit::ReleasedSignature;
use crate::authenticate::{AuthenticatedIntent, UnverifiedRequest};
use crate::decode::DecodedIntent;
use crate::enclave::Enclave;
use crate::keys::UnlockedKey;
use crate::refusal::Refusal;
use crate::reply;
use crate::sign::UnreleasedSignature;

/// Signs, or says why not.
pub fn sign(enclave: &Enclave, request: UnverifiedRequest) -> Reply {
    match run(enclave, request) {
        Ok(signed) => Reply::Signed(Arc::unwrap_or_clone(signed)),
        Err(refusal) => reply::refused(enclave, refusal),
    }
}

fn run(enclave: &Enclave, request: UnverifiedRequest) -> Result<Arc<SignReply>, Refusal> {
    // Who asks? One known caller signed these exact bytes, and by the NSM's time they are not expired.
    let intent = AuthenticatedIntent::verify(enclave, request)?;

    // What does it do? Decoded here to the last byte; the sighash is derived here.
    let intent = DecodedIntent::decode(intent)?;

    // Is it allowed? Every rule of the policy passes; the intent and its nonce are reserved, now.
    let approved = match ApprovedIntent::approve(intent)? {
        Approval::Approved(approved) => approved,
        Approval::AlreadySigned(reply) => return Ok(reply),
    };

    // One approved intent unlocks one key, for one signature.
    let key = UnlockedKey::unlock(approved)?;
    let signature = UnreleasedSignature::sign(key)?;

    // The receipt is written; only then can the signature be read.
    let signature = ReleasedSignature::release(signature)?;
    Ok(reply::signed(signature))
}
