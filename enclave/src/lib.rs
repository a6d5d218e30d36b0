//! The trusted computing base of Strongroom: what decides, and what signs.
//!
//! Read [`pipeline`] first: it is the one way from a request to a signature. Every step is a type
//! with private fields and one constructor, taken by value, so that a step cannot be skipped.
//! [`boot`] is the one way to an [`enclave::Enclave`] that has a pipeline at all.
//!
//! The host is the adversary. Everything that it sends is refused, bounded or authenticated here,
//! and nothing that it says is believed: not the time, not the order, not the identity of a key.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod acts;
pub mod addresses;
pub mod approve;
pub mod audit;
pub mod authenticate;
pub mod boot;
pub mod clock;
pub mod config;
pub mod decode;
pub mod enclave;
pub mod entropy;
pub mod keys;
pub mod kms;
pub mod ledger;
pub mod load;
pub mod pipeline;
pub mod platform;
pub mod refusal;
pub mod reply;
pub mod secret;
pub mod server;
pub mod sign;
pub mod signatures;
