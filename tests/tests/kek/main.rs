//! The KEK under a host and a KMS of every kind: what the enclave looks at before it asks for its DEK,
//! how it asks, and how the DEK moves to another KEK.
#![allow(clippy::unwrap_used)]

mod change;
mod client;
mod credentials;
mod devices;
mod holes;

use std::net::SocketAddr;

use serde_json::Value;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::receipt::{Body, Event};
use strongroom_shared::wire::{Booted, Call};
use strongroom_tests::host::Host;
use strongroom_tests::lying_kms::LyingKms;
use strongroom_tests::world::{IMAGE, Running, Start, World};

/// The true image behind a relay to this KMS, and a connection of its host.
async fn start(world: &World, relay: SocketAddr) -> (Running, Host) {
    let running = world.start_as(Start { image: IMAGE, relay }).await;
    let (host, _) = Host::hello(&running.socket).await;
    (running, host)
}

/// Boots, and expects the refusal `code`.
async fn refused(world: &World, host: &mut Host, stored: Option<&[u8]>, code: Code) -> Problem {
    let material = world.material(stored.map(<[u8]>::to_vec));
    let problem = host.refused(Call::Boot(Box::new(material))).await;
    assert_eq!(problem.code, code, "{problem}");
    problem
}

/// KMS was asked for no DEK.
fn nothing_was_released(kms: &LyingKms) {
    for operation in ["Decrypt", "GenerateDataKey", "Encrypt"] {
        assert_eq!(kms.asked(operation), Vec::<Value>::new(), "{operation}");
    }
}

/// The event in the receipt of a boot.
fn event(booted: &Booted) -> Event {
    serde_json::from_slice::<Body>(&booted.receipt.body.0).unwrap().event
}
