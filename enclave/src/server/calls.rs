//! Which room answers which call. Before the boot is complete, only the boot does.

use std::sync::Arc;

use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{BootMaterial, Booted, Call, Reply};

use super::{Phase, Server};
use crate::authenticate::UnverifiedRequest;
use crate::boot::{BootError, PolicyLocked};
use crate::enclave::Enclave;
use crate::platform::Transport;
use crate::{acts, addresses, load, pipeline};

/// A nonce of a caller has 16 to 512 bytes (design of the document; 512 is the NSM's limit).
const NONCE_BYTES: std::ops::RangeInclusive<usize> = 16..=512;

impl<T: Transport> Server<T> {
    /// Answers one call.
    pub(super) async fn answer(&self, call: Call) -> Reply {
        if let Call::Boot(material) = call {
            return match self.boot(&material).await {
                Ok(booted) => Reply::Booted(booted),
                Err(problem) => Reply::Refused(problem),
            };
        }
        match self.enclave.get() {
            Some(enclave) => answer(enclave, call),
            None => {
                let detail = "the enclave has not booted";
                Reply::Refused(Problem::new(Code::EnclaveNotReady, detail))
            }
        }
    }

    async fn boot(&self, material: &BootMaterial) -> Result<Booted, Problem> {
        let mut phase = self.boot.lock().await;
        let locked = match std::mem::replace(&mut *phase, Phase::Over) {
            Phase::AwaitingPolicy(measured) => match measured.lock_policy(&material.policy) {
                Ok(locked) => locked,
                Err((measured, error)) => {
                    *phase = Phase::AwaitingPolicy(measured);
                    return Err(error.problem());
                }
            },
            Phase::AwaitingDek(locked) => locked,
            Phase::Over => {
                let detail = "the boot is over: the enclave is ready, or must be restarted";
                return Err(Problem::new(Code::BootOutOfOrder, detail));
            }
        };
        // KMS may be away for a while: whatever fails up to here can be tried again.
        let dek = match self.unwrap_dek(&locked, material).await {
            Ok(dek) => dek,
            Err(error) => {
                *phase = Phase::AwaitingDek(locked);
                return Err(error.problem());
            }
        };
        let (enclave, booted) =
            locked.into_enclave(dek, material.position).map_err(|error| error.problem())?;
        // The lock on the phase is held: nobody else has set it.
        let _: Result<(), Enclave> = self.enclave.set(enclave);
        Ok(booted)
    }

    async fn unwrap_dek(
        &self,
        locked: &PolicyLocked,
        material: &BootMaterial,
    ) -> Result<crate::boot::UnwrappedDek, BootError> {
        let policy = Envelope::parse(PayloadType::Policy, &material.policy)?;
        if policy.digest() != locked.digest() {
            return Err(BootError::PolicyLocked);
        }
        locked.unwrap_dek(material, Arc::clone(&self.transport)).await
    }
}

fn answer(enclave: &Enclave, call: Call) -> Reply {
    let result = match call {
        Call::Sign(envelope) => Ok(pipeline::sign(enclave, UnverifiedRequest::new(envelope))),
        Call::ActOnWallet(envelope) => Ok(acts::perform(enclave, UnverifiedRequest::new(envelope))),
        Call::LoadWallet(sealed) => load::load(enclave, &sealed).map(Reply::WalletLoaded),
        Call::Wallets => {
            let wallets = enclave.keyring().all();
            Ok(Reply::Wallets(wallets.iter().map(|wallet| wallet.info()).collect()))
        }
        Call::Addresses(query) => addresses::list(enclave, &query).map(Reply::Addresses),
        Call::Policy => Ok(Reply::Policy(enclave.policy_reply())),
        Call::Attest(nonce) if NONCE_BYTES.contains(&nonce.len()) => enclave
            .attest(nonce.into_vec())
            .map(Reply::Attestation)
            .map_err(|error| Problem::new(Code::InternalFault, error.to_string())),
        Call::Attest(_) => {
            Err(Problem::new(Code::MalformedRequest, "nonce: expected 16 to 512 bytes"))
        }
        Call::Boot(_) => Err(Problem::new(Code::BootOutOfOrder, "the enclave has booted")),
    };
    result.unwrap_or_else(Reply::Refused)
}
