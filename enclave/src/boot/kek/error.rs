//! Why a KEK is not safe to ask, in words.

use std::collections::BTreeSet;

use strongroom_attestation::key_policy::Finding;

use crate::kms::printable;

/// The most findings that are told.
const MAX_TOLD: usize = 4;
/// The most characters of one of them.
const MAX_FINDING: usize = 1_000;

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
}

/// The holes in words, each once: bounded, and printable.
fn told(findings: &[Finding]) -> String {
    let mut holes: Vec<String> =
        findings.iter().map(|finding| printable(&finding.to_string(), MAX_FINDING)).collect();
    let mut told = BTreeSet::new();
    holes.retain(|hole| told.insert(hole.clone()));
    let more = holes.len().saturating_sub(MAX_TOLD);
    holes.truncate(MAX_TOLD);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    holes.join("; ") + &more
}

#[cfg(test)]
mod tests {
    use strongroom_attestation::key_policy::Hole;

    use super::*;

    #[test]
    fn holes_are_told_once_and_not_all_of_them() {
        let finding = |hole| Finding { statement: None, hole, about: None };
        let [encrypt, anyone] = [Hole::Encrypt, Hole::Anyone];
        let thrice = told(&[encrypt, anyone, encrypt].map(finding));
        assert_eq!(thrice, format!("{}; {}", finding(encrypt), finding(anyone)));
        let all = told(&Hole::ALL.map(finding));
        assert!(all.ends_with(&format!("; and {} more", Hole::ALL.len() - MAX_TOLD)), "{all}");
        assert!(all.len() <= MAX_TOLD * (MAX_FINDING + 2) + 16);
    }
}
