//! `[kms]`: the KEK, how KMS is reached, and what the KEK's key policy may say.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use strongroom_attestation::key_policy::{Changes, Measurements, RoleArn};

use super::{ConfigError, field};

/// Where the DEK comes from.
pub struct KmsConfig {
    /// The KEK; the only `KeyId` that is sent and accepted.
    pub key_arn: KeyArn,
    /// The KEK that the DEK may still be encrypted under. A boot that finds it so moves it.
    pub previous_key_arn: Option<KeyArn>,
    /// What the key policy of either KEK may say.
    pub key_policy: KekRules,
    /// The AWS region that calls are signed for: a [name](is_name), since it stands in a header.
    pub region: String,
    /// The host name that the certificate of KMS must have.
    pub host: ServerName<'static>,
    /// The only certificates that its chain may end in.
    pub tls_roots: Arc<RootCertStore>,
}

/// The full ARN of a key, not of an alias: whoever may move an alias could choose the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyArn(String);

/// What a key policy may say besides releasing to this very enclave.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KekRules {
    /// Whether key admins may change it at all.
    pub changes: Changes,
    /// The roles that may manage the key, and change its policy where it may be changed; no others. At
    /// least one.
    pub admin_roles: Vec<RoleArn>,
    /// The other measurements that it may name, while an upgrade rolls. None where it is immutable.
    #[serde(default)]
    pub also_releases_to: Vec<Measurements>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKms {
    key_arn: String,
    previous_key_arn: Option<String>,
    key_policy: KekRules,
    region: String,
    host: String,
    tls_roots: String,
}

impl KeyArn {
    /// `arn:PARTITION:kms:REGION:ACCOUNT:key/ID` (AWS General Reference, ARNs) of a key in `region`;
    /// `None` for anything else.
    fn parse(text: String, region: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "kms", in_region, account, resource] = parts.as_slice() else {
            return None;
        };
        let id = resource.strip_prefix("key/")?;
        let is_account = account.len() == 12 && account.chars().all(|c| c.is_ascii_digit());
        let is_key = is_name(partition) && *in_region == region && is_account && is_name(id);
        is_key.then_some(Self(text))
    }

    /// The ARN in full.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KmsConfig {
    pub(super) fn parse(raw: RawKms) -> Result<Self, ConfigError> {
        let RawKms { key_arn, previous_key_arn, key_policy, region, host, tls_roots } = raw;
        if !is_name(&region) {
            return Err(field("kms.region", "a name of lower-case letters, digits and dashes"));
        }
        let arn = |name, text| {
            KeyArn::parse(text, &region)
                .ok_or_else(|| field(name, "the full ARN of a key in kms.region, not an alias"))
        };
        let key_arn = arn("kms.key_arn", key_arn)?;
        let previous_key_arn =
            previous_key_arn.map(|text| arn("kms.previous_key_arn", text)).transpose()?;
        if previous_key_arn.as_ref() == Some(&key_arn) {
            return Err(field("kms.previous_key_arn", "another key than kms.key_arn"));
        }
        if key_policy.also_releases_to.iter().any(is_open) {
            // A register of zeros is one that nobody measured, or an image in debug mode.
            return Err(field("kms.key_policy.also_releases_to", "registers that are not zero"));
        }
        if key_policy.admin_roles.is_empty() {
            return Err(field("kms.key_policy.admin_roles", "at least one"));
        }
        if key_policy.changes == Changes::Immutable {
            // The statement for `Encrypt` could never be taken out again; and a policy for two releases
            // never narrowed to one, where each configuration would contain a hash of the other.
            let none = "none, where kms.key_policy.changes is immutable";
            if previous_key_arn.is_some() {
                return Err(field("kms.previous_key_arn", none));
            }
            if !key_policy.also_releases_to.is_empty() {
                return Err(field("kms.key_policy.also_releases_to", none));
            }
        }
        let host = ServerName::try_from(host)
            .ok()
            .filter(|name| matches!(name, ServerName::DnsName(_)))
            .ok_or_else(|| field("kms.host", "a DNS name"))?;
        let tls_roots = Arc::new(roots(&tls_roots)?);
        Ok(Self { key_arn, previous_key_arn, key_policy, region, host, tls_roots })
    }
}

/// Lower-case letters, digits and dashes: a partition, a region, the id of a key.
fn is_name(text: &str) -> bool {
    let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(in_name)
}

/// PEM certificates that TLS takes as the end of a chain.
fn roots(pem: &str) -> Result<RootCertStore, ConfigError> {
    let refuse = |expected| field("kms.tls_roots", expected);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| refuse("PEM certificates"))?;
        roots.add(certificate).map_err(|_| refuse("certificates that TLS takes as roots"))?;
    }
    if roots.is_empty() {
        return Err(refuse("at least one PEM certificate"));
    }
    Ok(roots)
}

fn is_open(measurements: &Measurements) -> bool {
    let Measurements { pcr0, pcr16, pcr17 } = measurements;
    [pcr0, pcr16, pcr17].into_iter().any(|pcr| pcr.is_zero())
}
