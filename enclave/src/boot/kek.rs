//! The KEK is looked at before the DEK is asked for.
//!
//! KMS releases the DEK to whatever the KEK's key policy and grants say. Were they open to anything
//! but the measured image, configuration and policy, the DEK would not be this enclave's alone, and
//! nothing that it signs would be, either. So the key, its policy and its grants are read over the
//! enclave's own TLS, and held against the measured configuration. The policy can be changed after
//! this boot: the receipt carries the digest of the one that was seen, and CloudTrail has the rest.

mod error;
mod metadata;

use std::marker::PhantomData;
use std::sync::Arc;

use strongroom_attestation::key_policy::{Measurements, Releases, Rules, canonical, lint};
use strongroom_attestation::nsm::NsmClient;
use strongroom_shared::digest::Digest;
use zeroize::Zeroizing;

use super::{BootError, CONFIGURATION_PCR, Measured, POLICY_PCR};
use crate::clock::Clock;
use crate::config::{KeyArn, KmsConfig};
use crate::kms::{Documents, Generated, HostCredentials, Kms, KmsError, Operation};
use crate::platform::Transport;

pub use error::{KekError, Which};

/// The register of the image.
const IMAGE_PCR: u16 = 0;

/// The KEKs of the measured configuration, for the calls of one boot. The client of KMS is theirs, and
/// nobody else has it: what is asked of KMS is asked through a [`CheckedKek`].
pub(super) struct Keks<'a> {
    kms: Kms,
    config: &'a KmsConfig,
    /// What both may release to: this enclave, and what else the configuration names.
    releases: Vec<Measurements>,
}

/// What a KEK is to the DEK.
pub(super) trait Role {
    /// In words.
    const WHICH: Which;
}

/// The KEK that the DEK is, or will be, encrypted under.
pub(super) enum Current {}

/// The KEK that the DEK is moved from.
pub(super) enum Previous {}

impl Role for Current {
    const WHICH: Which = Which::Current;
}

impl Role for Previous {
    const WHICH: Which = Which::Previous;
}

/// A KEK that releases the DEK to nothing but what the measured configuration names. Without it there
/// is no asking for the DEK; and the previous one decrypts, and does nothing else.
pub(super) struct CheckedKek<'a, R> {
    kms: &'a Kms,
    arn: &'a KeyArn,
    key_policy: Digest,
    role: PhantomData<R>,
}

impl<'a> Keks<'a> {
    /// Of an enclave whose configuration and policy are measured, with the credentials of its host.
    pub(super) fn of<T: Transport>(
        measured: &'a Measured,
        clock: Clock,
        credentials: HostCredentials,
        transport: Arc<T>,
    ) -> Result<Self, BootError> {
        let kms = Kms::new(&measured.config, clock, credentials, transport)?;
        let config = measured.config.kms();
        let nsm = NsmClient::new(&*measured.nsm);
        let register = |index| nsm.describe_pcr(index).map(|state| state.value);
        let own = Measurements {
            pcr0: register(IMAGE_PCR)?,
            pcr16: register(CONFIGURATION_PCR)?,
            pcr17: register(POLICY_PCR)?,
        };
        let others = config.key_policy.also_releases_to.iter().copied();
        Ok(Self { kms, config, releases: std::iter::once(own).chain(others).collect() })
    }

    /// Looks at the KEK.
    pub(super) async fn current(&self) -> Result<CheckedKek<'_, Current>, BootError> {
        // While the DEK moves to it, the enclave encrypts under it; and the policy lists the DEK.
        let kek_change = self.config.previous_key_arn.is_some();
        self.check(&self.config.key_arn, kek_change).await
    }

    /// Looks at the KEK that the DEK may still be encrypted under, where the configuration names one.
    pub(super) async fn previous(&self) -> Result<Option<CheckedKek<'_, Previous>>, BootError> {
        match &self.config.previous_key_arn {
            Some(arn) => self.check(arn, false).await.map(Some),
            None => Ok(None),
        }
    }

    async fn check<'k, R: Role>(
        &'k self,
        arn: &'k KeyArn,
        kek_change: bool,
    ) -> Result<CheckedKek<'k, R>, BootError> {
        let which = R::WHICH;
        let Self { kms, config, releases } = self;
        metadata::check(&kms.describe(arn).await?, which)?;
        let key_policy = kms.key_policy(arn).await?;
        let rules = Rules {
            releases: Releases::Exactly(releases),
            changes: config.key_policy.changes,
            kek_change,
            admins: Some(&config.key_policy.admin_roles),
        };
        let findings = lint(&key_policy, &rules);
        if !findings.is_empty() {
            return Err(KekError::KeyPolicy { which, findings }.into());
        }
        if kms.has_grants(arn).await? {
            return Err(KekError::Grants { which }.into());
        }
        let problem = "expected a Policy in JSON";
        let reply = KmsError::Reply { operation: Operation::GetKeyPolicy, problem };
        let key_policy = Digest::of(&canonical(&key_policy).ok_or(reply)?);
        Ok(CheckedKek { kms, arn, key_policy, role: PhantomData })
    }
}

impl<R: Role> CheckedKek<'_, R> {
    /// SHA-256 of the canonical form of its key policy.
    pub(super) fn key_policy(&self) -> Digest {
        self.key_policy
    }

    /// Attested `Decrypt` of a DEK: its `CiphertextForRecipient`.
    pub(super) async fn decrypt(
        &self,
        encrypted_dek: &[u8],
        documents: Documents<'_>,
    ) -> Result<Vec<u8>, KmsError> {
        self.kms.decrypt(self.arn, encrypted_dek, documents).await
    }
}

impl CheckedKek<'_, Current> {
    /// Attested `GenerateDataKey`.
    pub(super) async fn generate(&self, documents: Documents<'_>) -> Result<Generated, KmsError> {
        self.kms.generate(self.arn, documents).await
    }

    /// `Encrypt` of a DEK that was under the previous KEK.
    pub(super) async fn encrypt(&self, dek: &Zeroizing<Vec<u8>>) -> Result<Vec<u8>, KmsError> {
        self.kms.encrypt(self.arn, dek).await
    }
}
