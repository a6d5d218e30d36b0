//! The KEK is looked at before the DEK is asked for.
//!
//! KMS releases the DEK to whatever the KEK's key policy and grants say. Were they open to anything
//! but the measured image, configuration and policy, the DEK would not be this enclave's alone, and
//! nothing that it signs would be, either. So the key, its policy and its grants are read over the
//! enclave's own TLS, and held against the measured configuration. The policy can be changed after
//! this boot: the receipt carries the digest of the one that was seen, and CloudTrail has the rest.

use aws_sdk_kms::types::{KeyManagerType, KeySpec, KeyState, KeyUsageType, OriginType};
use strongroom_attestation::key_policy::{Finding, Measurements, Releases, Rules, canonical, lint};
use strongroom_attestation::nsm::{NsmClient, NsmError};
use strongroom_shared::digest::Digest;

use super::{BootError, CONFIGURATION_PCR, Measured, POLICY_PCR};
use crate::config::{KeyArn, KmsConfig};
use crate::kms::{Kms, KmsError, Operation, printable};

/// The register of the image.
const IMAGE_PCR: u16 = 0;
/// The most findings that are told.
const MAX_TOLD: usize = 4;
/// The most characters of one of them.
const MAX_FINDING: usize = 1_000;
/// The most characters of a value of KMS that is not the one that was expected.
const MAX_VALUE: usize = 40;

/// A KEK that releases the DEK to nothing but what the measured configuration names. Without it there
/// is no asking for the DEK.
pub(super) struct CheckedKek<'a> {
    arn: &'a KeyArn,
    key_policy: Digest,
}

/// Which of the two a KEK is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one that the DEK is, or will be, encrypted under.
    Current,
    /// The one that the DEK is moved from.
    Previous,
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Current => "kek",
            Self::Previous => "previous kek",
        })
    }
}

/// Why a KEK is not safe to ask.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// It is another kind of key, or not in use.
    #[error("{which}: {field}: expected {expected}, found {found}")]
    Key {
        /// Which KEK.
        which: Which,
        /// The member of its `KeyMetadata`.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Its key policy opens the DEK to somebody else.
    #[error("{which}: key policy: {}", told(findings))]
    KeyPolicy {
        /// Which KEK.
        which: Which,
        /// Every hole that was found.
        findings: Vec<Finding>,
    },
    /// A grant allows what the key policy does not.
    #[error(
        "{which}: grants: expected none, found some: a grantee uses the key past the key policy, \
         without attestation where the grant does not ask for it"
    )]
    Grants {
        /// Which KEK.
        which: Which,
    },
    /// A change to another KEK needs `Encrypt` on it, and then only `dek_ids` tell the DEK.
    #[error(
        "previous kek: expected a policy that lists its dek_ids, found a provisioning one: whoever \
         may encrypt under the kek could bring a DEK of their own"
    )]
    ChangeWhileProvisioning,
}

/// The holes in words, each once: bounded, and printable.
fn told(findings: &[Finding]) -> String {
    let mut holes: Vec<String> =
        findings.iter().map(|finding| printable(&finding.to_string(), MAX_FINDING)).collect();
    holes.dedup();
    let more = holes.len().saturating_sub(MAX_TOLD);
    holes.truncate(MAX_TOLD);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    holes.join("; ") + &more
}

/// What both KEKs may release to: this enclave, and what else the configuration names.
pub(super) fn releases(measured: &Measured) -> Result<Vec<Measurements>, NsmError> {
    let nsm = NsmClient::new(&*measured.nsm);
    let register = |index| nsm.describe_pcr(index).map(|state| state.value);
    let own = Measurements {
        pcr0: register(IMAGE_PCR)?,
        pcr16: register(CONFIGURATION_PCR)?,
        pcr17: register(POLICY_PCR)?,
    };
    let others = &measured.config.kms().key_policy.also_releases_to;
    Ok(std::iter::once(own).chain(others.iter().copied()).collect())
}

impl<'a> CheckedKek<'a> {
    /// Looks at the KEK that the configuration names.
    pub(super) async fn current(
        kms: &Kms,
        config: &'a KmsConfig,
        releases: &[Measurements],
    ) -> Result<Self, BootError> {
        // While the DEK moves to it, the enclave encrypts under it; and the policy lists the DEK.
        let kek_change = config.previous_key_arn.is_some();
        let rules = rules(config, releases, kek_change);
        Self::check(kms, &config.key_arn, Which::Current, &rules).await
    }

    /// Looks at the KEK that the DEK is moved from.
    pub(super) async fn previous(
        kms: &Kms,
        config: &KmsConfig,
        arn: &'a KeyArn,
        releases: &[Measurements],
    ) -> Result<Self, BootError> {
        Self::check(kms, arn, Which::Previous, &rules(config, releases, false)).await
    }

    async fn check(
        kms: &Kms,
        arn: &'a KeyArn,
        which: Which,
        rules: &Rules<'_>,
    ) -> Result<Self, BootError> {
        check_key(&kms.describe(arn).await?, which)?;
        let key_policy = kms.key_policy(arn).await?;
        let findings = lint(&key_policy, rules);
        if !findings.is_empty() {
            return Err(KekError::KeyPolicy { which, findings }.into());
        }
        if kms.has_grants(arn).await? {
            return Err(KekError::Grants { which }.into());
        }
        let problem = "expected a Policy in JSON";
        let reply = KmsError::Reply { operation: Operation::GetKeyPolicy, problem };
        let key_policy = Digest::of(&canonical(&key_policy).ok_or(reply)?);
        Ok(Self { arn, key_policy })
    }

    /// The key.
    pub(super) fn arn(&self) -> &KeyArn {
        self.arn
    }

    /// SHA-256 of the canonical form of its key policy.
    pub(super) fn key_policy(&self) -> Digest {
        self.key_policy
    }
}

fn rules<'a>(config: &KmsConfig, releases: &'a [Measurements], kek_change: bool) -> Rules<'a> {
    let releases = Releases::Exactly(releases);
    Rules { releases, changes: config.key_policy.changes, kek_change }
}

/// A symmetric key of this account's own, in use, whose material KMS made, in one region.
fn check_key(key: &aws_sdk_kms::types::KeyMetadata, which: Which) -> Result<(), KekError> {
    let state = key.key_state();
    let origin = key.origin();
    let from_kms = [OriginType::AwsKms, OriginType::AwsCloudhsm];
    let enabled = if key.enabled() { "true" } else { "false" };
    let multi_region = key.multi_region().map(|yes| if yes { "true" } else { "false" });
    // What is true of it, its name, what is expected, and what was found.
    for (holds, field, expected, found) in [
        (
            key.key_manager() == Some(&KeyManagerType::Customer),
            "KeyManager",
            "CUSTOMER",
            key.key_manager().map(KeyManagerType::as_str),
        ),
        (key.enabled(), "Enabled", "true", Some(enabled)),
        (state == Some(&KeyState::Enabled), "KeyState", "Enabled", state.map(KeyState::as_str)),
        (
            origin.is_some_and(|origin| from_kms.contains(origin)),
            "Origin",
            "AWS_KMS or AWS_CLOUDHSM",
            origin.map(OriginType::as_str),
        ),
        (
            key.key_spec() == Some(&KeySpec::SymmetricDefault),
            "KeySpec",
            "SYMMETRIC_DEFAULT",
            key.key_spec().map(KeySpec::as_str),
        ),
        (
            key.key_usage() == Some(&KeyUsageType::EncryptDecrypt),
            "KeyUsage",
            "ENCRYPT_DECRYPT",
            key.key_usage().map(KeyUsageType::as_str),
        ),
        // A replica in another region has a key policy of its own, which nobody looks at here.
        (key.multi_region() == Some(false), "MultiRegion", "false", multi_region),
    ] {
        if !holds {
            let found = printable(found.unwrap_or("nothing"), MAX_VALUE);
            return Err(KekError::Key { which, field, expected, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use aws_sdk_kms::types::KeyMetadata;
    use aws_sdk_kms::types::builders::KeyMetadataBuilder;
    use strongroom_attestation::key_policy::Hole;

    use super::*;

    fn good() -> KeyMetadataBuilder {
        KeyMetadata::builder()
            .key_id("0a")
            .key_manager(KeyManagerType::Customer)
            .enabled(true)
            .key_state(KeyState::Enabled)
            .origin(OriginType::AwsKms)
            .key_spec(KeySpec::SymmetricDefault)
            .key_usage(KeyUsageType::EncryptDecrypt)
            .multi_region(false)
    }

    #[test]
    fn holes_are_told_once_and_not_all_of_them() {
        let finding = |hole| Finding { statement: None, hole, about: None };
        let twice = told(&[finding(Hole::Encrypt), finding(Hole::Encrypt)]);
        assert_eq!(twice, printable(&finding(Hole::Encrypt).to_string(), MAX_FINDING));
        let all = told(&Hole::ALL.map(finding));
        assert!(all.ends_with(&format!("; and {} more", Hole::ALL.len() - MAX_TOLD)), "{all}");
        assert!(all.len() <= MAX_TOLD * (MAX_FINDING + 2) + 16);
    }

    #[test]
    fn a_customer_s_own_key_is_taken() {
        check_key(&good().build().unwrap(), Which::Current).unwrap();
        let in_a_cluster = good().origin(OriginType::AwsCloudhsm).build().unwrap();
        check_key(&in_a_cluster, Which::Current).unwrap();
    }

    #[test]
    fn any_other_key_is_refused_by_name() {
        for (key, expected) in [
            (good().key_manager(KeyManagerType::Aws), "KeyManager: expected CUSTOMER, found AWS"),
            (good().set_key_manager(None), "KeyManager: expected CUSTOMER, found nothing"),
            (good().enabled(false), "Enabled: expected true, found false"),
            (good().key_state(KeyState::PendingDeletion), "KeyState: expected Enabled"),
            (good().origin(OriginType::External), "found EXTERNAL"),
            (good().origin(OriginType::ExternalKeyStore), "found EXTERNAL_KEY_STORE"),
            (good().key_spec(KeySpec::Rsa2048), "KeySpec: expected SYMMETRIC_DEFAULT"),
            (good().key_usage(KeyUsageType::SignVerify), "KeyUsage: expected ENCRYPT_DECRYPT"),
            (good().multi_region(true), "MultiRegion: expected false, found true"),
            (good().set_multi_region(None), "MultiRegion: expected false, found nothing"),
        ] {
            let error = check_key(&key.build().unwrap(), Which::Previous).unwrap_err().to_string();
            assert!(error.starts_with("previous kek: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
