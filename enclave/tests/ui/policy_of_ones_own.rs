//! The policy, the keys and the ledger of a request are the enclave's own.
use strongroom_enclave::authenticate::{AuthenticatedIntent, UnverifiedRequest};
use strongroom_enclave::enclave::Enclave;
use strongroom_policy::Policy;

fn with_my_policy(policy: &Policy, request: UnverifiedRequest) {
    let _ = AuthenticatedIntent::verify(policy, request);
}

fn take_its_keys(enclave: &Enclave) {
    let _ = &enclave.keyring;
}

fn main() {}
