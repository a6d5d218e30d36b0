//! The proxy against an enclave that is played by the test: it says whatever a test wants, so what
//! is seen here is the proxy's own doing.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod boot;
mod children;
mod daemon;
mod egress;
mod fake_enclave;
mod http;
mod log;
mod metrics;
mod relay;
mod samples;
mod store;
mod tls;
