//! The first phase: the configuration is read, and locked into PCR16.

use std::sync::Arc;

use strongroom_attestation::cms::RecipientKey;
use strongroom_attestation::measure::measurement;
use strongroom_attestation::nsm::{AttestRequest, Nsm, NsmClient, NsmError};
use strongroom_policy::{DekRule, Policy};
use strongroom_shared::dsse::Envelope;

use super::{BootError, CONFIGURATION_PCR, POLICY_PCR, PolicyLocked};
use crate::clock::Clock;
use crate::config::Config;
use crate::signatures::Verified;

/// An enclave whose configuration is measured. It waits for a policy.
pub struct Measured {
    pub(super) nsm: Arc<dyn Nsm>,
    pub(super) config: Config,
    pub(super) recipient: RecipientKey,
}

impl Measured {
    /// Reads the configuration, extends PCR16 with it, and locks PCR16. Makes the RSA key too: it
    /// takes up to a quarter of a second, and is not waited for later.
    pub fn measure(nsm: Arc<dyn Nsm>, configuration: &[u8]) -> Result<Self, BootError> {
        let config = Config::parse(configuration)?;
        let digest = measurement(config.bytes());
        NsmClient::new(&*nsm).extend_and_lock(CONFIGURATION_PCR, &digest)?;
        let recipient = RecipientKey::generate()?;
        Ok(Self { nsm, config, recipient })
    }

    /// The ports of the real device.
    pub fn vsock(&self) -> crate::config::Vsock {
        self.config.vsock()
    }

    /// Verifies the policy's quorum, extends PCR17 with its exact bytes, and locks PCR17. After a
    /// refusal the host may bring another policy: nothing is measured before the last step, the NSM's.
    pub fn lock_policy(self, envelope: Envelope) -> Result<PolicyLocked, (Self, BootError)> {
        match self.check_policy(&envelope) {
            Ok((policy, clock)) => Ok(PolicyLocked::new(self, envelope, policy, clock)),
            Err(error) => Err((self, error)),
        }
    }

    /// A fresh attestation document with the key that KMS is to encrypt to.
    pub(super) fn document_for_kms(&self) -> Result<Vec<u8>, NsmError> {
        NsmClient::new(&*self.nsm).attest(AttestRequest {
            public_key: Some(self.recipient.public_key_der().to_vec()),
            ..AttestRequest::default()
        })
    }

    /// Refuses a policy that has ended.
    pub(super) fn check_not_after(&self, policy: &Policy, clock: &Clock) -> Result<(), BootError> {
        let (now, not_after) = (clock.now(), policy.not_after());
        if now > not_after {
            return Err(BootError::PolicyExpired { not_after, now });
        }
        Ok(())
    }

    fn check_policy(&self, envelope: &Envelope) -> Result<(Policy, Clock), BootError> {
        let admins = self.config.admins();
        let verified = Verified::of(envelope, |id| admins.keys.get(id));
        let (have, need) = (verified.signers.len(), admins.threshold);
        if have < need {
            return Err(BootError::PolicyQuorum { need, have });
        }
        let policy = Policy::parse(&envelope.payload.0)?;
        let crosses = |key| admins.keys.values().any(|admin| admin == key);
        if policy.principals().any(|principal| crosses(principal.key())) {
            return Err(BootError::KeyCrosses);
        }
        let kek_changes = self.config.kms().previous_key_arn.is_some();
        if kek_changes && *policy.dek_rule() == DekRule::Provisioning {
            return Err(BootError::KekChangeWhileProvisioning);
        }
        let clock = Clock::ask(&*self.nsm)?;
        self.check_not_after(&policy, &clock)?;
        let digest = measurement(&envelope.payload.0);
        NsmClient::new(&*self.nsm).extend_and_lock(POLICY_PCR, &digest)?;
        Ok((policy, clock))
    }
}
