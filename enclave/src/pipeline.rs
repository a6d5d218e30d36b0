//! The one way from a request to a signature.
//!
//! Each step takes the result of the step before by value, and is the only one that can make its
//! own result: the fields are private, and there is one constructor. So a signature that skipped
//! the policy does not compile, and neither does one that leaves before its receipt.

use std::sync::Arc;

use strongroom_shared::reply::SignReply;
use strongroom_shared::wire::Reply;

use crate::approve::{Approval, ApprovedIntent};
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
    let (policy, keys, ledger) = (enclave.policy(), enclave.keyring(), enclave.ledger());
    let now = enclave.now(); // the NSM's time, never the host's

    // Who asks? One known caller signed these exact bytes, and they have not expired.
    let intent = AuthenticatedIntent::verify(request, policy, now)?;

    // What does it do? Decoded here to the last byte; the sighash is derived here.
    let intent = DecodedIntent::decode(intent, policy)?;

    // Is it allowed? Every rule passes, and the nonce and the intent are reserved, now.
    let approved = match ApprovedIntent::approve(intent, policy, keys, ledger, now)? {
        Approval::Approved(approved) => approved,
        Approval::AlreadySigned(reply) => return Ok(reply),
    };

    // One approved intent unlocks one key, for one signature.
    let key = UnlockedKey::unlock(keys, approved)?;
    let signature = UnreleasedSignature::sign(key)?;

    // The receipt is written; only then can the signature be read.
    let released = enclave.release(signature)?;
    Ok(reply::signed(released))
}
