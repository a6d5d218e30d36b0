//! Which room answers which call. Before the boot is complete, only the boot does.

use std::sync::Arc;

use serde_bytes::ByteBuf;
use strongroom_shared::attestation::AttestationReply;
use strongroom_shared::digest::Digest;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{BootMaterial, Booted, Call, Phase, Reply};

use super::{Boot, Server};
use crate::authenticate::UnverifiedRequest;
use crate::boot::{BootError, Life};
use crate::enclave::Enclave;
use crate::platform::Transport;
use crate::{acts, addresses, load, pipeline};

/// A nonce of a caller has 16 to 512 bytes (design of the document; 512 is the NSM's limit).
const NONCE_BYTES: std::ops::RangeInclusive<usize> = 16..=512;

impl<T: Transport> Server<T> {
    /// Answers one call.
    pub(super) async fn answer(&self, call: Call) -> Reply {
        self.ask(call).await.unwrap_or_else(Reply::Refused)
    }

    async fn ask(&self, call: Call) -> Result<Reply, Problem> {
        let ready = || {
            let detail = "the enclave has not booted";
            self.enclave.get().ok_or_else(|| Problem::new(Code::EnclaveNotReady, detail))
        };
        let request = UnverifiedRequest::new;
        Ok(match call {
            Call::Boot(material) => Reply::Booted(self.boot(&material).await?),
            Call::LoadWallet(sealed) => Reply::WalletLoaded(load::load(ready()?, &sealed)?),
            Call::ActOnWallet(envelope) => acts::perform(ready()?, request(envelope)),
            Call::Sign(envelope) => pipeline::sign(ready()?, request(envelope)),
            Call::Wallets => Reply::Wallets(ready()?.wallets()),
            Call::Addresses(query) => Reply::Addresses(addresses::list(ready()?, &query)?),
            Call::Attest(nonce) => Reply::Attestation(attest(ready()?, nonce)?),
            Call::Policy => Reply::Policy(ready()?.policy_reply()),
            Call::Receipts { after } => Reply::Receipts(ready()?.receipts_after(after)),
        })
    }

    async fn boot(&self, material: &BootMaterial) -> Result<Booted, Problem> {
        let problem = |error: BootError| error.problem();
        let envelope = Envelope::parse(PayloadType::Policy, &material.policy)
            .map_err(|error| problem(error.into()))?;
        let offered = envelope.digest();
        // One boot at a time: those that would wait would hold what they brought.
        let Ok(mut boot) = self.boot.try_lock() else {
            return Err(Problem::new(Code::Overloaded, "a boot is under way"));
        };
        boot.lock_policy(envelope).map_err(problem)?;
        let Boot::AwaitingDek(locked) = &mut *boot else { return self.booted(&offered) };
        if locked.digest() != offered {
            return Err(problem(BootError::PolicyLocked));
        }
        self.at(Phase::AwaitingDek);
        // The phase stays where it is meanwhile: however this ends, the host can try again.
        let life = locked.begin_life(material, Arc::clone(&self.transport)).await;
        let enclave = boot.finish(life.map_err(problem)?).map_err(problem)?;
        self.enclave.get_or_init(|| enclave);
        self.at(Phase::Ready);
        self.booted(&offered)
    }

    /// What the boot gave, for whoever brings the policy that it was with.
    fn booted(&self, offered: &Digest) -> Result<Booted, Problem> {
        match self.enclave.get() {
            Some(enclave) if enclave.policy.digest() == offered => Ok(enclave.booted().clone()),
            _ => Err(BootError::PolicyLocked.problem()),
        }
    }
}

impl Boot {
    /// Locks the policy, where none is. After a refusal another one is awaited.
    fn lock_policy(&mut self, envelope: Envelope) -> Result<(), BootError> {
        let (next, result) = match std::mem::replace(self, Self::Over) {
            Self::AwaitingPolicy(measured) => match measured.lock_policy(envelope) {
                Ok(locked) => (Self::AwaitingDek(locked), Ok(())),
                Err((measured, error)) => (Self::AwaitingPolicy(measured), Err(error)),
            },
            later => (later, Ok(())),
        };
        *self = next;
        result
    }

    /// The enclave, where a policy is locked. Any other phase stays as it is, and says no.
    fn finish(&mut self, life: Life) -> Result<Enclave, BootError> {
        match std::mem::replace(self, Self::Over) {
            Self::AwaitingDek(locked) => Ok(locked.into_enclave(life)),
            other => {
                *self = other;
                Err(BootError::PolicyLocked)
            }
        }
    }
}

fn attest(enclave: &Enclave, nonce: ByteBuf) -> Result<AttestationReply, Problem> {
    if !NONCE_BYTES.contains(&nonce.len()) {
        return Err(Problem::new(Code::MalformedRequest, "nonce: expected 16 to 512 bytes"));
    }
    enclave
        .attest(nonce.into_vec())
        .map_err(|error| Problem::new(Code::InternalFault, error.to_string()))
}
