//! Statements → findings.

use super::actions::{Class, classify};
use super::finding::{Excerpt, Finding, Place};
use super::hole::Hole;
use super::syntax::{self, Allow, Principal, Statement, Trouble};
use super::{Changes, RoleArn, Rules, release};

/// The most findings that are told of one key policy.
pub const MAX_FINDINGS: usize = 256;

/// Reads a key policy and tells its holes, in the order of its statements, at most [`MAX_FINDINGS`].
///
/// Without a finding nothing gets the DEK but an enclave with measurements that `rules` allow (as long
/// as there is no grant, and the policy is not changed). What is not known is a finding: this is
/// an allow-list.
pub fn lint(policy: &str, rules: &Rules<'_>) -> Vec<Finding> {
    let document = syntax::read(policy);
    let hosts = roles_of_releases(&document.statements);
    let mut findings: Vec<_> = document.troubles.into_iter().map(|t| finding(None, t)).collect();
    for (place, statement) in &document.statements {
        let troubles = match statement {
            Err(trouble) => vec![trouble.clone()],
            Ok(Statement::Deny) => Vec::new(),
            Ok(Statement::Allow(allow)) => troubles(allow, &hosts, rules),
        };
        findings.extend(troubles.into_iter().map(|trouble| finding(Some(place), trouble)));
    }
    findings.truncate(MAX_FINDINGS);
    findings
}

fn finding(place: Option<&Place>, (hole, about): Trouble) -> Finding {
    Finding { statement: place.cloned(), hole, about }
}

/// The roles that the DEK is released through: the host has their credentials.
fn roles_of_releases(statements: &[(Place, Result<Statement, Trouble>)]) -> Vec<&RoleArn> {
    let releases =
        |action: &String| matches!(classify(action), Class::Decrypt | Class::GenerateDataKey);
    let mut roles = Vec::new();
    for (_, statement) in statements {
        let Ok(Statement::Allow(allow)) = statement else { continue };
        if allow.actions.iter().any(releases) {
            roles.extend(allow.principals.iter().filter_map(Principal::role));
        }
    }
    roles
}

impl Principal {
    fn role(&self) -> Option<&RoleArn> {
        if let Self::Role(role) = self { Some(role) } else { None }
    }
}

/// What is wrong with one statement that allows.
fn troubles(allow: &Allow, hosts: &[&RoleArn], rules: &Rules<'_>) -> Vec<Trouble> {
    let Allow { is_negated, principals, actions, conditions } = allow;
    let mut troubles = Vec::new();
    if *is_negated {
        troubles.push((Hole::NegatedElement, None));
    }
    if !actions.iter().all(|action| classify(action) == Class::Read) {
        troubles.extend(principals.iter().filter_map(principal));
    }
    let mut unattested = Vec::new();
    for action in actions {
        let hole = match classify(action) {
            Class::Read | Class::Manage => continue,
            Class::Encrypt if rules.kek_change => continue,
            Class::Encrypt => Hole::Encrypt,
            Class::Never(hole) => hole,
            Class::Decrypt => {
                unattested.push(Hole::DecryptUnattested);
                continue;
            }
            Class::GenerateDataKey => {
                unattested.push(Hole::GenerateDataKeyUnattested);
                continue;
            }
            Class::PutKeyPolicy => {
                troubles.extend(policy_change(allow, hosts, rules.changes));
                continue;
            }
        };
        troubles.push((hole, Excerpt::of(action)));
    }
    if !unattested.is_empty() {
        troubles.extend(release::troubles(conditions, &unattested, rules.releases));
    }
    troubles
}

/// Why a principal may do nothing but look.
fn principal(principal: &Principal) -> Option<Trouble> {
    match principal {
        Principal::Role(_) => None,
        Principal::Anyone => Some((Hole::Anyone, None)),
        Principal::Account(id) => Some((Hole::AccountRoot, Excerpt::of(id))),
        Principal::Other(id) => Some((Hole::OtherPrincipal, Excerpt::of(id))),
    }
}

/// The break-glass: where there may be one, it stands alone, and not for the host.
fn policy_change(allow: &Allow, hosts: &[&RoleArn], changes: Changes) -> Vec<Trouble> {
    if changes == Changes::Immutable {
        return vec![(Hole::PolicyChange, None)];
    }
    let mut troubles = Vec::new();
    if allow.actions.len() > 1 {
        troubles.push((Hole::PolicyChangeNotAlone, None));
    }
    let is_host = |role: &&RoleArn| hosts.iter().any(|host| host.is_same_role(role));
    let by_host = allow.principals.iter().filter_map(Principal::role).filter(is_host);
    troubles.extend(by_host.map(|role| (Hole::PolicyChangeByHost, Excerpt::of(role.as_str()))));
    troubles
}
