//! The KEK: the measured configuration that names it, its key policy, and those who may ask KMS.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use strongroom_attestation::UnixTime;
use strongroom_attestation::key_policy::{Changes, KeyPolicySpec, Measurements, Release, RoleArn};
use strongroom_mock::kms::client::Client;
use strongroom_mock::kms::{self, LocalKms};
use strongroom_mock::nsm::image_measurements;
use strongroom_shared::wire::Credentials;

use super::World;

/// What the measured configuration says of the KEK.
pub struct Kek {
    /// `kms.key_arn`
    pub key_arn: String,
    /// `kms.previous_key_arn`
    pub previous_key_arn: Option<String>,
    /// `kms.key_policy.changes`
    pub changes: Changes,
    /// `kms.key_policy.admin_roles`
    pub admin_roles: Vec<String>,
    /// `kms.key_policy.also_releases_to`
    pub also_releases_to: Vec<Measurements>,
}

impl World {
    /// The KEK.
    pub fn key_arn(&self) -> &str {
        &self.kek.key_arn
    }

    /// The KMS without a server between.
    pub fn kms(&self) -> LocalKms {
        LocalKms::open(&self.kms_dir(), self.pki().trust_anchor().unwrap()).unwrap()
    }

    /// Asks KMS as somebody with the credentials of `role`: the reply, or the exception.
    pub fn ask_kms(&self, role: &str, operation: &str, request: &Value) -> Result<Value, Value> {
        let client = Client::new(&self.kms_dir(), role).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = UnixTime::since_unix_epoch(now);
        let reply = client.ask(&self.kms(), operation, request, now).unwrap();
        let body = serde_json::from_slice(&reply.body).unwrap();
        if reply.status == 200 { Ok(body) } else { Err(body) }
    }

    /// The role whose credentials the host has.
    pub fn enclave_role(&self) -> &str {
        &self.made.enclave_role
    }

    /// The role that keeps the KEK.
    pub fn admin_role(&self) -> &str {
        &self.made.admin_role
    }

    /// The measured configuration.
    pub fn configuration(&self) -> Vec<u8> {
        let ca = std::fs::read_to_string(self.dir.path().join("kms/ca.pem")).unwrap();
        let admins: String = ["policy-admin-1", "policy-admin-2", "policy-admin-3"]
            .iter()
            .map(|id| {
                let key = serde_json::to_value(self.principal(id).public()).unwrap();
                format!(
                    "  {{ id = \"{id}\", key = {{ type = \"ed25519\", public = {} }} }},\n",
                    key["public"]
                )
            })
            .collect();
        let Kek { key_arn, previous_key_arn, changes, admin_roles, also_releases_to } = &self.kek;
        let previous = previous_key_arn.as_ref();
        let previous =
            previous.map_or(String::new(), |arn| format!("previous_key_arn = \"{arn}\""));
        let also: String = also_releases_to
            .iter()
            .map(|Measurements { pcr0, pcr16, pcr17 }| {
                format!("  {{ pcr0 = \"{pcr0}\", pcr16 = \"{pcr16}\", pcr17 = \"{pcr17}\" }},\n")
            })
            .collect();
        format!(
            "version = 1\ndeployment = \"test\"\n\n[kms]\nkey_arn = \"{key_arn}\"\n{previous}\n\
             region = \"eu-central-1\"\nhost = \"localhost\"\ntls_roots = \"\"\"\n{ca}\"\"\"\n\n\
             [kms.key_policy]\nchanges = \"{changes}\"\nadmin_roles = {admin_roles:?}\n\
             also_releases_to = [\n{also}]\n\n\
             [policy_admins]\nthreshold = 2\nkeys = [\n{admins}]\n"
        )
        .into_bytes()
    }

    /// Has KMS release to `image` with this configuration and this policy, and to nothing else.
    pub fn release_to(&self, image: &str) {
        self.set_key_policy(&self.key_policy(&[self.measurements(image)]));
    }

    /// What `image` attests to under this configuration and this policy.
    pub fn measurements(&self, image: &str) -> Measurements {
        let [pcr0, ..] = image_measurements(image);
        Measurements::of(pcr0, &self.configuration(), &self.policy_bytes())
    }

    /// A key policy that releases to these measurements, as the tool writes it.
    pub fn key_policy(&self, releases: &[Measurements]) -> Value {
        let spec = KeyPolicySpec {
            releases: releases.iter().copied().map(Release::from).collect(),
            enclave_roles: vec![RoleArn::parse(self.enclave_role()).unwrap()],
            admin_roles: vec![RoleArn::parse(self.admin_role()).unwrap()],
            changes: self.kek.changes,
        };
        serde_json::from_str(&spec.to_json().unwrap()).unwrap()
    }

    /// Replaces the policy of the KEK that the KMS was made with.
    pub fn set_key_policy(&self, policy: &Value) {
        kms::set_policy(&self.kms_dir(), &policy.to_string()).unwrap();
    }

    /// The credentials that the host lends: those of the enclave's role.
    pub fn credentials(&self) -> Credentials {
        let file = std::fs::read_to_string(&self.made.enclave_credentials).unwrap();
        let value = |name: &str| {
            let mut lines = file.lines().filter_map(|line| line.split_once('='));
            let (_, value) = lines.find(|(found, _)| found.trim() == name).unwrap();
            value.trim().to_owned()
        };
        Credentials {
            access_key_id: value("aws_access_key_id"),
            secret_access_key: value("aws_secret_access_key"),
            session_token: None,
        }
    }
}
