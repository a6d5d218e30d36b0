//! The harness: a small exchange, its KMS, and a host that can be made to lie.
//!
//! [`world::World`] has the principals, the policy, the mock NSM's PKI and a local KMS.
//! [`host::Host`] speaks to an enclave frame by frame, as the proxy does or as no proxy would.
//! [`environment::Environment`] runs the real binaries, and is for tests of the public surfaces.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod environment;
pub mod host;
pub mod lying_kms;
pub mod principal;
pub mod transaction;
pub mod world;
