//! Statements → findings.

use std::collections::BTreeSet;

use super::actions::{Class, classify};
use super::finding::{Excerpt, Finding, Place};
use super::hole::Hole;
use super::role::RoleIdentity;
use super::syntax::{self, Allow, Document, Principal, Statement, Trouble};
use super::{Changes, RoleArn, Rules, release};

/// The most findings that are told of one key policy.
pub const MAX_FINDINGS: usize = 256;

/// Reads a key policy and tells its holes, in the order of its statements, at most [`MAX_FINDINGS`].
///
/// Without a finding nothing gets the DEK but an enclave with measurements that `rules` allow (as long
/// as there is no grant, and the policy is not changed). What is not known is a finding: this is
/// an allow-list.
pub fn lint(policy: &str, rules: &Rules<'_>) -> Vec<Finding> {
    let Document { troubles, statements } = syntax::read(policy);
    let judge = Judge::new(&statements, rules);
    let of_document = troubles.into_iter().map(|trouble| finding(None, trouble));
    // Lazily: a statement is judged only while there is room for its findings.
    let of_statements = statements.iter().flat_map(|(place, statement)| {
        let troubles = match statement {
            Err(trouble) => vec![trouble.clone()],
            Ok(Statement::Deny) => Vec::new(),
            Ok(Statement::Allow(allow)) => judge.troubles(allow),
        };
        troubles.into_iter().map(move |trouble| finding(Some(place), trouble))
    });
    of_document.chain(of_statements).take(MAX_FINDINGS).collect()
}

/// Whether a statement of a key policy gives the DEK to somebody, on whatever condition.
pub fn releases_to_somebody(policy: &str) -> bool {
    syntax::read(policy).statements.iter().filter_map(allow).any(releases)
}

fn finding(place: Option<&Place>, (hole, about): Trouble) -> Finding {
    Finding { statement: place.cloned(), hole, about }
}

fn allow((_, statement): &(Place, Result<Statement, Trouble>)) -> Option<&Allow> {
    if let Ok(Statement::Allow(allow)) = statement { Some(allow) } else { None }
}

fn releases(allow: &Allow) -> bool {
    let releases = |class| matches!(class, Class::Decrypt | Class::GenerateDataKey);
    allow.actions.iter().any(|action| releases(classify(action)))
}

impl Principal {
    fn role(&self) -> Option<&RoleArn> {
        if let Self::Role(role) = self { Some(role) } else { None }
    }
}

/// By what statements are judged. For each the work is linear in its text, but for lookups in sets.
struct Judge<'a> {
    rules: &'a Rules<'a>,
    /// The roles that the DEK is released through: the host has their credentials.
    hosts: BTreeSet<RoleIdentity<'a>>,
    /// Those of the rules.
    admins: Option<BTreeSet<RoleIdentity<'a>>>,
}

impl<'a> Judge<'a> {
    fn new(statements: &'a [(Place, Result<Statement, Trouble>)], rules: &'a Rules<'a>) -> Self {
        let releases = statements.iter().filter_map(allow).filter(|allow| releases(allow));
        let hosts = releases.flat_map(|allow| allow.principals.iter().filter_map(Principal::role));
        let admins = rules.admins.map(|roles| roles.iter().map(RoleArn::identity).collect());
        Self { rules, hosts: hosts.map(RoleArn::identity).collect(), admins }
    }

    /// What is wrong with one statement that allows.
    fn troubles(&self, allow: &Allow) -> Vec<Trouble> {
        let Allow { is_negated, principals, actions, conditions } = allow;
        let classes: Vec<_> = actions.iter().map(|action| classify(action)).collect();
        let mut troubles = Vec::new();
        if *is_negated {
            troubles.push((Hole::NegatedElement, None));
        }
        if !classes.iter().all(|class| *class == Class::Read) {
            troubles.extend(principals.iter().filter_map(principal));
        }
        let mut unattested = Vec::new();
        for (action, class) in actions.iter().zip(&classes) {
            match class {
                Class::Decrypt => unattested.push(Hole::DecryptUnattested),
                Class::GenerateDataKey => unattested.push(Hole::GenerateDataKeyUnattested),
                Class::Encrypt if !self.rules.kek_change => {
                    troubles.push((Hole::Encrypt, Excerpt::of(action)));
                }
                Class::Never(hole) => troubles.push((*hole, Excerpt::of(action))),
                Class::Read | Class::Manage | Class::PutKeyPolicy | Class::Encrypt => {}
            }
        }
        troubles.extend(self.keeping(principals, &classes));
        if !unattested.is_empty() {
            troubles.extend(release::troubles(conditions, &unattested, self.rules.releases));
        }
        troubles
    }

    /// Changing the policy and managing the key: the break-glass, where there may be one, stands alone,
    /// and both are for admin roles that are not the host's.
    fn keeping(&self, principals: &[Principal], classes: &[Class]) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        let manages = classes.contains(&Class::Manage);
        let mut changes = classes.contains(&Class::PutKeyPolicy);
        if changes && self.rules.changes == Changes::Immutable {
            troubles.push((Hole::PolicyChange, None));
            changes = false;
        } else if changes && classes.iter().any(|class| *class != Class::PutKeyPolicy) {
            troubles.push((Hole::PolicyChangeNotAlone, None));
        }
        if !changes && !manages {
            return troubles;
        }
        for role in principals.iter().filter_map(Principal::role) {
            let identity = role.identity();
            let is_host = self.hosts.contains(&identity);
            let is_other = self.admins.as_ref().is_some_and(|roles| !roles.contains(&identity));
            let holes = [
                (is_host && changes, Hole::PolicyChangeByHost),
                (is_host && manages, Hole::ManagedByHost),
                (is_other && !is_host, Hole::OtherAdmin),
            ];
            let holes = holes.into_iter().filter(|(is_one, _)| *is_one);
            troubles.extend(holes.map(|(_, hole)| (hole, Excerpt::of_principal(role.as_str()))));
        }
        troubles
    }
}

/// Why a principal may do nothing but look.
fn principal(principal: &Principal) -> Option<Trouble> {
    match principal {
        Principal::Role(_) => None,
        Principal::Anyone => Some((Hole::Anyone, None)),
        Principal::Account(id) => Some((Hole::AccountRoot, Excerpt::of_principal(id))),
        Principal::Other(id) => Some((Hole::OtherPrincipal, Excerpt::of_principal(id))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::super::{MAX_KEY_POLICY_BYTES, Releases};
    use super::*;

    const ROLES: usize = 290;

    fn roles(name: &str) -> Vec<String> {
        (0..ROLES).map(|n| format!("arn:aws:iam::111122223333:role/{name}{n}")).collect()
    }

    /// The break-glass 500 times in one statement, for as many roles as the release is through.
    fn large(admins: &[String], hosts: &[String]) -> String {
        let allow = |principals: &[String], actions: Value| {
            json!({"Effect": "Allow",
            "Principal": {"AWS": principals}, "Action": actions, "Resource": "*"})
        };
        let break_glass = allow(admins, json!(vec!["kms:PutKeyPolicy"; 500]));
        let statements = [break_glass, allow(hosts, json!("kms:Decrypt"))];
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        assert!((30_000..MAX_KEY_POLICY_BYTES).contains(&text.len()), "{}", text.len());
        text
    }

    /// What is found in each statement before anything is cut off, and the number of hosts.
    fn judged(policy: &str, rules: &Rules<'_>) -> (Vec<Vec<Hole>>, usize) {
        let document = syntax::read(policy);
        let judge = Judge::new(&document.statements, rules);
        let holes = |allow| judge.troubles(allow).into_iter().map(|(hole, _)| hole).collect();
        (document.statements.iter().filter_map(allow).map(holes).collect(), judge.hosts.len())
    }

    #[test]
    fn a_statement_is_judged_once_however_often_it_repeats_itself() {
        let rules = Rules {
            releases: Releases::Complete,
            changes: Changes::BreakGlass,
            kek_change: false,
            admins: None,
        };
        let open = vec![Hole::DecryptUnattested];
        let apart = large(&roles("a"), &roles("h"));
        assert_eq!(judged(&apart, &rules), (vec![Vec::new(), open.clone()], ROLES));
        let hosts = large(&roles("a"), &roles("p/A"));
        let by_host = vec![Hole::PolicyChangeByHost; ROLES];
        assert_eq!(judged(&hosts, &rules), (vec![by_host, open.clone()], ROLES));
        let immutable = Rules { changes: Changes::Immutable, ..rules };
        assert_eq!(
            judged(&hosts, &immutable),
            (vec![vec![Hole::PolicyChange], open.clone()], ROLES)
        );
        let others = Rules { admins: Some(&[]), ..rules };
        let other = vec![Hole::OtherAdmin; ROLES];
        assert_eq!(judged(&apart, &others), (vec![other, open], ROLES));
        assert_eq!(lint(&hosts, &rules).len(), MAX_FINDINGS);
    }
}
