//! An environment on disk: the steps that make it, each named in errors.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_attestation::key_policy::{Changes, KeyPolicySpec, Measurements, Release, RoleArn};
use strongroom_attestation::measure::Pcr;
use strongroom_policy::Policy;
use strongroom_shared::dsse::{Envelope, PayloadType};
use strongroom_shared::id::PrincipalId;
use strongroom_shared::json;
use strongroom_shared::key::PublicKey;

use super::config::{Admin, EnclaveConfig, Kek, KekRules, KmsConfig, PolicyAdmins, proxy_toml};
use super::programs::{Program, Programs};
use super::{DevError, policy};
use crate::error::Error;
use crate::key::{self, KeyError, SigningKey};
use crate::{args, envelope, files};

const ADMINS: [&str; 3] = ["policy-admin-1", "policy-admin-2", "policy-admin-3"];
const THRESHOLD: u8 = 2;
/// What the mock NSM measures in place of an image.
const IMAGE: &str = "strongroom-dev";
const KMS_HOST: &str = "localhost";
/// The longest path of a Unix socket, without its final zero (`unix(7)`).
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// What `strongroom-mock-enclave init` prints; it may say more registers than are used here.
#[derive(Deserialize)]
struct NsmMaterial {
    root: PathBuf,
    pcr0: Pcr,
}

/// What `strongroom-local-kms init` prints.
#[derive(Deserialize)]
struct KmsMaterial {
    key_arn: String,
    ca: PathBuf,
    enclave_role: RoleArn,
    admin_role: RoleArn,
    enclave_credentials: PathBuf,
}

/// `roles.json`: the roles at the local KMS. The key policy names the enclave's, and those that
/// `enclave.toml` has as admins.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Roles {
    enclave_role: RoleArn,
    admin_role: RoleArn,
}

/// What `dev update` did.
pub(super) struct Updated {
    pub(super) measurements: Measurements,
    /// Whose key policies were put.
    pub(super) kek: Kek,
}

/// A development environment.
pub(super) struct Environment {
    dir: PathBuf,
    /// The same as text, for configuration files.
    text: String,
    programs: Programs,
}

impl Environment {
    /// Makes the folder, for its owner only; refuses one that has something in it.
    pub(super) fn create(dir: &Path) -> Result<Self, Error> {
        let failed = |source| DevError::Folder { dir: dir.to_owned(), source };
        match fs::read_dir(dir) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(DevError::NotEmpty { dir: dir.to_owned() }.into());
                }
                fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => private_folder(dir)?,
            Err(source) => return Err(failed(source).into()),
        }
        Self::open(dir)
    }

    /// An environment that exists.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let absolute = fs::canonicalize(dir)
            .map_err(|source| DevError::Folder { dir: dir.to_owned(), source })?;
        let wrong = |expected| DevError::Path { dir: absolute.clone(), expected };
        let text = absolute.to_str().ok_or_else(|| wrong("a path in UTF-8"))?.to_owned();
        if format!("{text}/run/kms-relay.sock").len() > MAX_SOCKET_PATH_BYTES {
            return Err(wrong("a shorter path: its sockets may have at most 107 bytes").into());
        }
        Ok(Self { dir: absolute, text, programs: Programs::beside_this_one()? })
    }

    /// The absolute path.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes everything in it.
    pub(super) fn init(
        &self,
        listen: SocketAddr,
        kms_port: Option<u16>,
    ) -> Result<Measurements, Error> {
        for folder in ["keys", "mock", "mock/nsm", "mock/kms", "run"] {
            private_folder(&self.dir.join(folder))?;
        }
        let keys = at("keys", self.make_keys())?;
        let policy = policy::document(&keys, args::now())?;
        at("policy", files::replace(&self.dir.join("policy.json"), &policy))?;
        at("policy", self.sign_policy(&policy))?;

        let nsm: NsmMaterial = self.programs.ask(
            "mock nsm",
            Program::MockEnclave,
            &["init", "--dir", &self.path("mock/nsm"), "--image", IMAGE].map(OsStr::new),
        )?;
        let kms: KmsMaterial = self.programs.ask(
            "local kms",
            Program::LocalKms,
            &[
                OsStr::new("init"),
                OsStr::new("--dir"),
                OsStr::new(&self.path("mock/kms")),
                OsStr::new("--mock-nsm-root"),
                nsm.root.as_os_str(),
            ],
        )?;

        let configuration = at("enclave.toml", self.enclave_toml(&kms, &keys))?;
        let measurements = Measurements::of(nsm.pcr0, configuration.as_bytes(), &policy);
        let roles = Roles { enclave_role: kms.enclave_role, admin_role: kms.admin_role };
        let json = super::pretty("roles.json", &roles)?;
        at("roles", files::replace(&self.dir.join("roles.json"), &json))?;
        self.install(&measurements, roles, configuration.as_bytes())?;

        let kms_port = at("kms port", kms_port.map_or_else(free_port, Ok))?;
        let proxy = proxy_toml(&self.text, IMAGE, listen, kms_port, &kms.enclave_credentials)?;
        at("proxy.toml", files::replace(&self.dir.join("proxy.toml"), proxy.as_bytes()))?;
        Ok(measurements)
    }

    /// Signs the policy and measures anew.
    pub(super) fn update(&self) -> Result<Updated, Error> {
        let policy = at("policy", files::read(&self.dir.join("policy.json")))?;
        at("policy", self.sign_policy(&policy))?;
        let configuration = at("enclave.toml", files::read(&self.dir.join("enclave.toml")))?;
        let old = at("measurements", files::read(&self.dir.join("measurements.json")))?;
        let Measurements { pcr0, .. } = json::parse("measurements.json", &old)?;
        let measurements = Measurements::of(pcr0, &configuration, &policy);
        let roles = at("roles", files::read(&self.dir.join("roles.json")))?;
        let roles = json::parse("roles.json", &roles)?;
        let kek = self.install(&measurements, roles, &configuration)?;
        Ok(Updated { measurements, kek })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.text)
    }

    fn key_file(&self, principal: &str) -> PathBuf {
        self.dir.join("keys").join(principal).with_extension("pem")
    }

    fn make_keys(&self) -> Result<Vec<(&'static str, PublicKey)>, Error> {
        let principals = policy::PRINCIPALS.iter().map(|(id, _)| *id);
        let make = |id| Ok((id, key::generate(&self.key_file(id))?));
        ADMINS.into_iter().chain(principals).map(make).collect()
    }

    /// Two of the three admins sign; a policy that the enclave would not read is not signed.
    fn sign_policy(&self, policy: &[u8]) -> Result<(), Error> {
        Policy::parse(policy)?;
        let mut signed = Envelope::unsigned(PayloadType::Policy, policy.to_vec());
        for admin in ADMINS.into_iter().take(usize::from(THRESHOLD)) {
            let id = PrincipalId::parse(admin).ok_or(KeyError::Library("name an admin"))?;
            envelope::add_signature(&mut signed, &id, &SigningKey::read(&self.key_file(admin))?)?;
        }
        files::replace(&self.dir.join("policy.dsse.json"), &envelope::line(&signed)?)
    }

    fn enclave_toml(&self, kms: &KmsMaterial, keys: &[(&str, PublicKey)]) -> Result<String, Error> {
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| KeyError::Library("give random bytes"))?;
        let ca = files::read(&kms.ca)?;
        // arn:aws:kms:REGION:ACCOUNT:key/ID
        let region = kms.key_arn.split(':').nth(3).ok_or(DevError::Arn)?;
        let admins = keys.iter().filter(|(id, _)| ADMINS.contains(id));
        let config = EnclaveConfig {
            version: 1,
            deployment: &format!("dev-{}", hex::encode(random)),
            kms: KmsConfig {
                key_arn: &kms.key_arn,
                region,
                host: KMS_HOST,
                tls_roots: &String::from_utf8_lossy(&ca),
                key_policy: KekRules {
                    changes: Changes::BreakGlass,
                    admin_roles: vec![kms.admin_role.clone()],
                    also_releases_to: Vec::new(),
                },
            },
            policy_admins: PolicyAdmins {
                threshold: THRESHOLD,
                keys: admins.map(|(id, key)| Admin { id, key: key.clone() }).collect(),
            },
        };
        let text = config.to_toml()?;
        files::replace(&self.dir.join("enclave.toml"), text.as_bytes())?;
        Ok(text)
    }

    /// Installs the key policy that the configuration asks for, or both of them while the KEK changes;
    /// the measurements are kept for `dev update` and for verifiers.
    fn install(
        &self,
        measurements: &Measurements,
        roles: Roles,
        configuration: &[u8],
    ) -> Result<Kek, Error> {
        let kek = Kek::of_toml(configuration)?;
        let KekRules { changes, admin_roles, also_releases_to } = &kek.key_policy;
        let alone = KeyPolicySpec {
            releases: vec![Release::from(*measurements)],
            enclave_roles: vec![roles.enclave_role],
            admin_roles: admin_roles.clone(),
            changes: *changes,
        };
        let mut all = alone.clone();
        all.releases.extend(also_releases_to.iter().copied().map(Release::from));
        let text = at("key policy", all.to_json().map_err(Error::from))?;
        match &kek.previous_key_arn {
            None => self.put_key_policy("key-policy.json", &kek.key_arn, &text)?,
            Some(previous) => {
                // Only this configuration moves the DEK, so the new KEK is for no other yet.
                let moving = alone.to_json_for_kek_change().map_err(Error::from);
                let moving = at("key policy", moving)?;
                self.put_key_policy("key-policy.json", &kek.key_arn, &moving)?;
                self.put_key_policy("previous-key-policy.json", previous, &text)?;
            }
        }
        let json = super::pretty("measurements.json", measurements)?;
        at("measurements", files::replace(&self.dir.join("measurements.json"), &json))?;
        Ok(kek)
    }

    fn put_key_policy(&self, file: &str, key_arn: &str, text: &str) -> Result<(), Error> {
        let key_policy = self.dir.join(file);
        at("key policy", files::replace(&key_policy, format!("{text}\n").as_bytes()))?;
        let kms = self.path("mock/kms");
        let args = [
            OsStr::new("set-policy"),
            OsStr::new("--dir"),
            OsStr::new(&kms),
            OsStr::new("--key-policy"),
            key_policy.as_os_str(),
            OsStr::new("--key-id"),
            OsStr::new(key_arn),
        ];
        self.programs.run("key policy", Program::LocalKms, &args)?;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn with_programs(self, folder: &Path) -> Self {
        Self { programs: Programs::in_folder(folder), ..self }
    }
}

/// Names the step that an error belongs to.
fn at<T>(step: &'static str, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|source| DevError::Step { step, source: Box::new(source) }.into())
}

fn private_folder(dir: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| DevError::Folder { dir: dir.to_owned(), source }.into())
}

/// A port that is free now; whoever takes it first has it.
fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    Ok(listener.and_then(|listener| listener.local_addr())?.port())
}
