//! The local KMS, asked as AWS is asked: signed requests of roles, documents of a mock NSM, key policies
//! and grants, sealed replies; and what an attacker gets out of a policy with a hole.
#![allow(clippy::unwrap_used)]

#[path = "kms/attacks.rs"]
mod attacks;
#[path = "kms/attestation.rs"]
mod attestation;
#[path = "kms/crypto.rs"]
mod crypto;
#[path = "kms/grants.rs"]
mod grants;
#[path = "kms/keys.rs"]
mod keys;
#[path = "kms/policy.rs"]
mod policy;
#[path = "kms/requests.rs"]
mod requests;
#[path = "kms/rotation.rs"]
mod rotation;
#[path = "kms/world.rs"]
mod world;
