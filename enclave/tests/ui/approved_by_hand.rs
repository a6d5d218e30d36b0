//! An approved intent cannot be made but by `approve`.
use strongroom_enclave::approve::ApprovedIntent;
use strongroom_enclave::decode::DecodedIntent;

fn approve_myself(decoded: DecodedIntent<'_>) -> ApprovedIntent<'_> {
    ApprovedIntent { intent: decoded.intent().intent().clone() }
}

fn main() {}
