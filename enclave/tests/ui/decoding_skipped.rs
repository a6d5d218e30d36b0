//! An authenticated intent, whose transaction was not decoded, is not approved.
use strongroom_enclave::approve::ApprovedIntent;
use strongroom_enclave::authenticate::AuthenticatedIntent;

fn skip_decoding(intent: AuthenticatedIntent<'_>) {
    let _ = ApprovedIntent::approve(intent);
}

fn main() {}
