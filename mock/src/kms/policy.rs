//! Key policies in the shape of AWS: read strictly, evaluated to a decision.
//!
//! An explicit deny wins, then an allow, and otherwise the answer is no. Whatever is not understood
//! fails closed: an element that is unknown makes the policy unreadable; a condition operator or key that
//! is unknown lets an `Allow` not apply, and a `Deny` apply.
//!
//! Understood: `Action` and `Resource` with exact names or a final `*`; `StringEquals` and
//! `StringEqualsIgnoreCase` on `kms:RecipientAttestation:ImageSha384` and
//! `kms:RecipientAttestation:PCR0` to `PCR31`.

mod syntax;

use std::collections::BTreeMap;

use strongroom_attestation::measure::{PCR_COUNT, Pcr};
use thiserror::Error;

use syntax::{Document, Effect, StatementText, Test};

/// A key policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Longer than AWS allows.
    #[error("key policy: expected at most {MAX_POLICY_BYTES} bytes, found {found}")]
    TooLarge {
        /// Its length in bytes.
        found: usize,
    },
    /// Not JSON of the elements that are understood.
    #[error("key policy: line {line}, column {column}: not json of the supported elements")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Another version of the policy language.
    #[error("key policy: version: expected 2012-10-17")]
    Version,
    /// No statement.
    #[error("key policy: statement: expected at least one")]
    Empty,
    /// A pattern with a wildcard that is not its last character.
    #[error(
        "key policy: statement {statement}: {element}: expected names, or a `*` at the end of one"
    )]
    Pattern {
        /// Which, counted from 0.
        statement: usize,
        /// `Action` or `Resource`.
        element: &'static str,
    },
    /// A list that must not be empty is empty.
    #[error("key policy: statement {statement}: {element}: expected at least one entry")]
    NoEntry {
        /// Which, counted from 0.
        statement: usize,
        /// The element.
        element: &'static str,
    },
}

/// The most bytes of a key policy (KMS quotas: 32 KiB).
pub const MAX_POLICY_BYTES: usize = 32_768;

/// A key policy that was understood.
#[derive(Debug, Clone)]
pub struct KeyPolicy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    effect: Effect,
    actions: Vec<String>,
    resources: Vec<String>,
    /// All must hold.
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
struct Condition {
    test: Option<Test>,
    /// The register that the key names; `None` for a key that is not understood.
    register: Option<u16>,
    /// One must match.
    values: Vec<String>,
}

/// What is asked of a policy.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// As `kms:Decrypt`.
    pub action: &'a str,
    /// The ARN of the key.
    pub resource: &'a str,
    /// The registers of a document that was verified; `None` for an unattested request.
    pub registers: Option<&'a BTreeMap<u16, Pcr>>,
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// A statement denies it.
    ExplicitlyDenied,
    /// No statement allows it.
    NotAllowed,
}

/// Three-valued: what is not understood is neither true nor false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Unknown,
}

impl KeyPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// See [`PolicyError`]; elements that are not supported (`NotAction`, for example) are refused.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::TooLarge { found: text.len() });
        }
        let document: Document = serde_json::from_str(text)
            .map_err(|e| PolicyError::Syntax { line: e.line(), column: e.column() })?;
        if document.version.is_some_and(|version| version != "2012-10-17") {
            return Err(PolicyError::Version);
        }
        let statements = document.statement.into_vec();
        if statements.is_empty() {
            return Err(PolicyError::Empty);
        }
        let statements = statements.into_iter().enumerate();
        let statements = statements.map(|(index, text)| Statement::check(index, text));
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }

    /// Decides a request.
    pub fn decide(&self, request: &AccessRequest<'_>) -> Decision {
        let applies = |effect: Effect, unless: &[Truth]| {
            self.statements.iter().any(|statement| {
                statement.effect == effect
                    && statement.names(request)
                    && !unless.contains(&statement.holds(request))
            })
        };
        if applies(Effect::Deny, &[Truth::No]) {
            Decision::ExplicitlyDenied
        } else if applies(Effect::Allow, &[Truth::No, Truth::Unknown]) {
            Decision::Allowed
        } else {
            Decision::NotAllowed
        }
    }
}

impl Statement {
    fn check(index: usize, text: StatementText) -> Result<Self, PolicyError> {
        let StatementText { effect, action, resource, condition, .. } = text;
        let mut conditions = Vec::new();
        for (operator, keys) in condition.unwrap_or_default().0 {
            some(index, "condition", keys.0.len())?;
            for (key, values) in keys.0 {
                let values = values.into_vec();
                some(index, "condition", values.len())?;
                let (test, register) = (Test::named(&operator), register(&key));
                conditions.push(Condition { test, register, values });
            }
        }
        Ok(Self {
            effect,
            actions: patterns(index, "action", action.into_vec())?,
            resources: patterns(index, "resource", resource.into_vec())?,
            conditions,
        })
    }

    /// Whether action and resource of the request are among those of the statement.
    fn names(&self, request: &AccessRequest<'_>) -> bool {
        // Actions are compared without regard to case, resources exactly.
        let action = request.action.to_ascii_lowercase();
        self.actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
            && self.resources.iter().any(|pattern| matches(pattern, request.resource))
    }

    /// The conjunction of all conditions.
    fn holds(&self, request: &AccessRequest<'_>) -> Truth {
        let truths: Vec<_> = self.conditions.iter().map(|c| c.holds(request)).collect();
        if truths.contains(&Truth::No) {
            Truth::No
        } else if truths.contains(&Truth::Unknown) {
            Truth::Unknown
        } else {
            Truth::Yes
        }
    }
}

impl Condition {
    /// Without a document, and for a register that the document does not name, the key is absent and
    /// the condition does not hold.
    fn holds(&self, request: &AccessRequest<'_>) -> Truth {
        let (Some(test), Some(register)) = (self.test, self.register) else {
            return Truth::Unknown;
        };
        let Some(found) = request.registers.and_then(|registers| registers.get(&register)) else {
            return Truth::No;
        };
        let found = found.to_string();
        if self.values.iter().any(|value| test.passes(value, &found)) {
            Truth::Yes
        } else {
            Truth::No
        }
    }
}

/// The register that a condition key names; keys are compared without regard to case.
fn register(key: &str) -> Option<u16> {
    let key = key.to_ascii_lowercase();
    let name = key.strip_prefix("kms:recipientattestation:")?;
    if name == "imagesha384" {
        return Some(0);
    }
    let digits = name.strip_prefix("pcr")?;
    let index: u16 = digits.parse().ok().filter(|index| *index < PCR_COUNT)?;
    // `PCR04` and `PCR+4` are no keys of KMS.
    (index.to_string() == digits).then_some(index)
}

fn patterns(
    statement: usize,
    element: &'static str,
    patterns: Vec<String>,
) -> Result<Vec<String>, PolicyError> {
    some(statement, element, patterns.len())?;
    let literal = |p: &String| !p.strip_suffix('*').unwrap_or(p).contains(['*', '?']);
    if patterns.iter().all(literal) {
        Ok(patterns)
    } else {
        Err(PolicyError::Pattern { statement, element })
    }
}

fn some(statement: usize, element: &'static str, entries: usize) -> Result<(), PolicyError> {
    if entries == 0 { Err(PolicyError::NoEntry { statement, element }) } else { Ok(()) }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests;
