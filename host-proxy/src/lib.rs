//! The untrusted host daemon `strongroom-proxy`.
//!
//! It is trusted for availability only. It holds no key; everything that it stores or forwards is
//! sealed or signed by someone else, and whoever cares checks it.

// Every refusal here ends as a problem that is sent to someone; there is no hot path of errors.
#![allow(clippy::result_large_err)]

pub mod args;
mod backoff;
mod blocking;
pub mod children;
pub mod config;
pub mod credentials;
pub mod egress;
pub mod http;
pub mod metrics;
mod private;
pub mod record;
pub mod relay;
pub mod run;
mod seldom;
pub mod server;
pub mod store;
pub mod supervisor;
pub mod transport;
pub mod validate;
