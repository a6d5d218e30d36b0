//! The protocol of Strongroom: everything that crosses a boundary, and nothing else.
//!
//! Pure: no I/O, no clock, no randomness, and no secret but the cloud credentials that pass
//! through [`wire::Credentials`]. Each type here is parsed once, strictly, and is valid from then
//! on. Errors name the field and what was expected, and never echo input.

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

pub mod act;
pub mod attestation;
pub mod digest;
pub mod dsse;
pub mod encoding;
pub mod endpoint;
pub mod evm;
pub mod frame;
pub mod id;
pub mod intent;
pub mod json;
pub mod key;
pub mod path;
pub mod problem;
pub mod receipt;
pub mod reply;
pub mod statement;
pub mod time;
pub mod wire;
