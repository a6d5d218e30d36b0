//! What a transaction does, and whether the policy allows it.
//!
//! Pure: no keys, no I/O, no clock. A request goes one way through it:
//!
//! 1. [`decode::decode`] reads the unsigned transaction exactly, and derives its digest itself;
//! 2. [`effects::effects`] says what it moves, or that this cannot be said;
//! 3. [`evaluate::evaluate`] asks the policy: default deny, every rule that applies must pass.
//!
//! The policy itself is [`document::Policy`]: parsed once, whole, and valid from then on.

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

pub mod decode;
pub mod document;
pub mod effects;
pub mod evaluate;

#[cfg(test)]
mod fixture;

pub use decode::{DecodeError, MAX_UNSIGNED, Transaction, decode};
pub use document::{
    Asset, DekRule, FeeCaps, PathPattern, Policy, PolicyError, Principal, Role, Tier, WalletPolicy,
};
pub use effects::{Unreadable, effects};
pub use evaluate::{Denial, Destinations, Question, Verdict, evaluate};
