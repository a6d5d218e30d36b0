//! [`KeyPolicySpec`] → the text of a key policy.

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use super::actions::{ATTESTED, ENCRYPT, INSPECTION, MANAGE, PUT_KEY_POLICY, READ};
use super::{Changes, Finding, Measurements, Release, Releases, RoleArn, Rules, lint};
use crate::measure::Pcr;

/// What a key policy is written for.
#[derive(Clone, Debug)]
pub struct KeyPolicySpec {
    /// Whom the DEK is released to; several while an upgrade rolls.
    pub releases: Vec<Release>,
    /// The roles that the host's credentials are of. They get nothing without an attestation document
    /// but a look at the key.
    pub enclave_roles: Vec<RoleArn>,
    /// The roles that keep the key, and cannot use it.
    pub admin_roles: Vec<RoleArn>,
    /// Whether the policy can be changed later.
    pub changes: Changes,
}

/// No key policy is written for a spec.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SpecError {
    /// A list that must not be empty is.
    #[error("{0}: expected at least one")]
    Empty(&'static str),
    /// A register is zero: an enclave in debug mode, or a register that was not extended.
    #[error("{0}: expected a measurement, found zero: a debug image, or a register never extended")]
    Zero(&'static str),
    /// A role would keep the key and use it.
    #[error("{0}: expected an enclave role or an admin role, found both")]
    BothRoles(RoleArn),
    /// An immutable policy would let the host encrypt a DEK that it knows for ever.
    #[error(
        "changes: expected break-glass while the kek changes, found immutable: the statement for \
             kms:Encrypt could never be removed"
    )]
    ImmutableKekChange,
    /// An immutable policy would release the DEK to nobody for ever.
    #[error(
        "changes: expected break-glass in a policy that releases the dek to nobody, found immutable: \
             the key could never be used"
    )]
    ImmutableNobody,
    /// A policy for nobody was asked for, and whom it releases to.
    #[error("releases: expected none in a policy that releases the dek to nobody")]
    NotNobody,
    /// An immutable policy would name measurements that no enclave could boot with. An enclave takes a
    /// policy that names itself and what its configuration lists, and of two configurations only the
    /// later can list the other.
    #[error(
        "releases: expected the same measurements in all of an immutable policy: of two \
             configurations only the later can list the other, so the earlier could never boot"
    )]
    ImmutableReleases,
    /// The policy has a hole, by this module's own linter: it is too large, for example.
    #[error("key policy: {0}")]
    Refused(Finding),
    /// JSON was not written; this does not happen.
    #[error("key policy: cannot be written")]
    Unwritable,
}

/// What the KEK is for, under a policy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It is made, and releases nothing yet.
    Creation,
    /// It releases the DEK.
    Use,
    /// A DEK is moved to it.
    KekChange,
}

impl KeyPolicySpec {
    /// The key policy as indented JSON, without a final line feed.
    ///
    /// Each release has a statement of its own, so that no image is combined with the configuration
    /// of another. No statement has a wildcard but `Resource`, where `*` is this key.
    ///
    /// # Errors
    /// See [`SpecError`]: what [`lint`] would find is not written.
    pub fn to_json(&self) -> Result<String, SpecError> {
        self.write(Purpose::Use)
    }

    /// The policy that a KEK is created with: it releases the DEK to nobody, and the admin roles
    /// put another in its place. A release needs PCR16, which is over a configuration that names the
    /// key's ARN; so there is none before there is a key.
    ///
    /// # Errors
    /// As [`to_json`](Self::to_json), but `releases` must be empty, and `changes` not immutable.
    pub fn to_json_released_to_nobody(&self) -> Result<String, SpecError> {
        self.write(Purpose::Creation)
    }

    /// The same for a KEK that a DEK is being moved to: the enclave roles may `Encrypt` besides. A
    /// policy for this time only, in which the host can encrypt a DEK of its own choosing.
    ///
    /// # Errors
    /// As [`to_json`](Self::to_json).
    pub fn to_json_for_kek_change(&self) -> Result<String, SpecError> {
        self.write(Purpose::KekChange)
    }

    fn write(&self, purpose: Purpose) -> Result<String, SpecError> {
        self.check(purpose)?;
        let kek_change = purpose == Purpose::KekChange;
        let mut statements: Vec<_> =
            self.releases.iter().zip(1..).map(|(r, n)| self.release(r, n)).collect();
        statements.push(Statement::of(
            "TheEnclaveInspectsItsKey",
            &self.enclave_roles,
            INSPECTION.to_vec(),
        ));
        if kek_change {
            let sid = "EncryptWhileTheKekChangesRemoveAfterwards";
            statements.push(Statement::of(sid, &self.enclave_roles, vec![ENCRYPT]));
        }
        let management = READ.into_iter().chain(MANAGE).collect();
        statements.push(Statement::of("AdminsManageButCannotUse", &self.admin_roles, management));
        if self.changes == Changes::BreakGlass {
            let sid = "BreakGlassAlarmInCloudTrailOnPutKeyPolicy";
            statements.push(Statement::of(sid, &self.admin_roles, vec![PUT_KEY_POLICY]));
        }
        let policy = Policy { version: "2012-10-17", id: "strongroom", statement: statements };
        let text = serde_json::to_string_pretty(&policy).map_err(|_| SpecError::Unwritable)?;

        let measurements: Vec<Measurements> =
            self.releases.iter().map(|r| r.measurements).collect();
        let rules = Rules {
            releases: Releases::Exactly(&measurements),
            changes: self.changes,
            kek_change,
            admins: Some(&self.admin_roles),
        };
        match lint(&text, &rules).into_iter().next() {
            Some(finding) => Err(SpecError::Refused(finding)),
            None => Ok(text),
        }
    }

    fn check(&self, purpose: Purpose) -> Result<(), SpecError> {
        let Self { releases, enclave_roles, admin_roles, changes } = self;
        if purpose == Purpose::Creation && !releases.is_empty() {
            return Err(SpecError::NotNobody);
        }
        for (name, is_empty) in [
            ("releases", releases.is_empty() && purpose != Purpose::Creation),
            ("enclave roles", enclave_roles.is_empty()),
            ("admin roles", admin_roles.is_empty()),
        ] {
            if is_empty {
                return Err(SpecError::Empty(name));
            }
        }
        for Release { measurements: Measurements { pcr0, pcr16, pcr17 }, pcr3, pcr8 } in releases {
            let given = [("pcr0", Some(pcr0)), ("pcr16", Some(pcr16)), ("pcr17", Some(pcr17))];
            let optional = [("pcr3", pcr3.as_ref()), ("pcr8", pcr8.as_ref())];
            let zero = |pcr: &Option<&Pcr>| pcr.is_some_and(Pcr::is_zero);
            if let Some((name, _)) = given.into_iter().chain(optional).find(|(_, pcr)| zero(pcr)) {
                return Err(SpecError::Zero(name));
            }
        }
        if *changes == Changes::Immutable {
            match purpose {
                Purpose::Use => {}
                Purpose::KekChange => return Err(SpecError::ImmutableKekChange),
                Purpose::Creation => return Err(SpecError::ImmutableNobody),
            }
            let mut releases = releases.iter().map(|release| release.measurements);
            let first = releases.next();
            if releases.any(|other| Some(other) != first) {
                return Err(SpecError::ImmutableReleases);
            }
        }
        let enclaves: BTreeSet<_> = enclave_roles.iter().map(RoleArn::identity).collect();
        match admin_roles.iter().find(|admin| enclaves.contains(&admin.identity())) {
            Some(role) => Err(SpecError::BothRoles(role.clone())),
            None => Ok(()),
        }
    }

    fn release(&self, release: &Release, number: usize) -> Statement<'_> {
        let Release { measurements: Measurements { pcr0, pcr16, pcr17 }, pcr3, pcr8 } = *release;
        let registers = Registers { pcr0, pcr16, pcr17, pcr3, pcr8 };
        Statement {
            condition: Some(Condition { string_equals_ignore_case: registers }),
            ..Statement::of(
                &format!("ReleaseToTheMeasuredEnclave{number}"),
                &self.enclave_roles,
                ATTESTED.to_vec(),
            )
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy<'a> {
    version: &'static str,
    id: &'static str,
    statement: Vec<Statement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    sid: String,
    effect: &'static str,
    principal: Principal<'a>,
    action: Vec<&'static str>,
    resource: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
}

impl<'a> Statement<'a> {
    fn of(sid: &str, roles: &'a [RoleArn], action: Vec<&'static str>) -> Self {
        Self {
            sid: sid.to_owned(),
            effect: "Allow",
            principal: Principal { aws: roles },
            action,
            resource: "*",
            condition: None,
        }
    }
}

#[derive(Serialize)]
struct Principal<'a> {
    #[serde(rename = "AWS")]
    aws: &'a [RoleArn],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    string_equals_ignore_case: Registers,
}

#[derive(Serialize)]
struct Registers {
    #[serde(rename = "kms:RecipientAttestation:ImageSha384")]
    pcr0: Pcr,
    #[serde(rename = "kms:RecipientAttestation:PCR16")]
    pcr16: Pcr,
    #[serde(rename = "kms:RecipientAttestation:PCR17")]
    pcr17: Pcr,
    #[serde(rename = "kms:RecipientAttestation:PCR3", skip_serializing_if = "Option::is_none")]
    pcr3: Option<Pcr>,
    #[serde(rename = "kms:RecipientAttestation:PCR8", skip_serializing_if = "Option::is_none")]
    pcr8: Option<Pcr>,
}
