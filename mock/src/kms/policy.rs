//! Key policies in the shape of AWS: read strictly, evaluated to a decision, given back in other words.
//!
//! An explicit deny wins, then an allow, and otherwise the answer is no. Whatever is not understood
//! fails closed: an element that is unknown makes the policy unreadable; a condition operator or key that
//! is unknown lets an `Allow` not apply, and a `Deny` apply.
//!
//! Understood:
//! - `Principal`: `*`, accounts, roles (every caller of an account is meant by it); no `NotPrincipal`;
//! - `Action` and `Resource` with `*` and `?` anywhere; no `NotAction` or `NotResource`;
//! - `StringEquals`, `StringEqualsIgnoreCase`, `StringLike`, their negations, and `Bool`, each also with
//!   `…IfExists`, `ForAllValues:` or `ForAnyValue:`; `Null`;
//! - `kms:RecipientAttestation:ImageSha384` and `:PCR0` to `:PCR31`, `kms:EncryptionContext:<name>`,
//!   `kms:EncryptionContextKeys`, `kms:CallerAccount`, `aws:PrincipalArn`, `aws:SecureTransport`.

mod condition;
mod grammar;
mod pattern;
pub(super) mod principal;
pub(super) mod rewrite;
mod syntax;
pub(super) mod truth;

use std::collections::BTreeMap;

use strongroom_attestation::measure::Pcr;
use thiserror::Error;

use super::object::Object;
use condition::Condition;
use principal::Principal;
use syntax::{Document, Effect, PrincipalText, StatementText};
use truth::Truth;

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
    /// A principal that does not exist, or of which a part is a wildcard.
    #[error(
        "key policy: statement {statement}: principal: expected `*`, or under `AWS` account ids, or \
         arns of an account's root, a role, a user or a session"
    )]
    Principal {
        /// Which, counted from 0.
        statement: usize,
    },
    /// A policy variable, which would have to be replaced by something that is not known.
    #[error("key policy: statement {statement}: {element}: expected no policy variable")]
    Variable {
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
    /// A character that AWS does not take.
    #[error("key policy: expected tabs, line breaks and characters from U+0020 to U+00FF")]
    Character,
    /// Two statements of one name.
    #[error("key policy: statement {statement}: sid: expected one that no other statement has")]
    Sid {
        /// Which, counted from 0.
        statement: usize,
    },
    /// An action without its service.
    #[error("key policy: statement {statement}: action: expected `*`, or a service and an action")]
    Action {
        /// Which, counted from 0.
        statement: usize,
    },
    /// A condition operator that does not exist.
    #[error("key policy: statement {statement}: condition: expected an operator that exists")]
    Operator {
        /// Which, counted from 0.
        statement: usize,
    },
    /// A condition key of KMS that does not exist.
    #[error("key policy: statement {statement}: condition: expected a key of kms that exists")]
    Key {
        /// Which, counted from 0.
        statement: usize,
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
    /// One must be the caller.
    principals: Vec<Principal>,
    /// In lower case: actions are compared without regard to it.
    actions: Vec<String>,
    resources: Vec<String>,
    /// All must hold.
    conditions: Vec<Condition>,
}

/// What is asked of a policy.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The ARN of the role that asks.
    pub caller: &'a str,
    /// As `kms:Decrypt`.
    pub action: &'a str,
    /// The ARN of the key.
    pub resource: &'a str,
    /// The registers of a document that was verified; `None` for an unattested request.
    pub registers: Option<&'a BTreeMap<u16, Pcr>>,
    /// The pairs of the encryption context; empty for operations that have none.
    pub encryption_context: &'a BTreeMap<String, String>,
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

impl KeyPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// See [`PolicyError`]; elements that are not supported (`NotAction`, for example) are refused.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::of(read(text)?)
    }

    /// Reads a policy that a caller of the API brings: refuses what AWS refuses, although it could be
    /// evaluated here without harm.
    pub(super) fn parse_for_api(text: &str) -> Result<Self, PolicyError> {
        let document = read(text)?;
        grammar::check(text, &document)?;
        Self::of(document)
    }

    /// Whoever is named.
    pub(super) fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.statements.iter().flat_map(|statement| &statement.principals)
    }

    fn of(document: Document) -> Result<Self, PolicyError> {
        if document.version.is_some_and(|version| version != "2012-10-17") {
            return Err(PolicyError::Version);
        }
        let statements = document.statement.into_vec();
        if statements.is_empty() {
            return Err(PolicyError::Empty);
        }
        let statements = statements.into_iter().enumerate();
        let statements = statements.map(|(index, Object(text))| Statement::check(index, text));
        Ok(Self { statements: statements.collect::<Result<_, _>>()? })
    }

    /// Decides a request.
    pub fn decide(&self, request: &AccessRequest<'_>) -> Decision {
        let mut decision = Decision::NotAllowed;
        for statement in &self.statements {
            match (statement.effect, statement.applies(request)) {
                // A deny that may apply, applies.
                (Effect::Deny, Truth::Yes | Truth::Unknown) => return Decision::ExplicitlyDenied,
                (Effect::Allow, Truth::Yes) => decision = Decision::Allowed,
                _ => {}
            }
        }
        decision
    }
}

fn read(text: &str) -> Result<Document, PolicyError> {
    if text.len() > MAX_POLICY_BYTES {
        return Err(PolicyError::TooLarge { found: text.len() });
    }
    let document: Result<Object<Document>, _> = serde_json::from_str(text);
    let Object(document) =
        document.map_err(|e| PolicyError::Syntax { line: e.line(), column: e.column() })?;
    Ok(document)
}

impl Statement {
    fn check(index: usize, text: StatementText) -> Result<Self, PolicyError> {
        let actions = patterns(index, "Action", text.action.into_vec())?;
        let mut conditions = Vec::new();
        for (operator, keys) in text.condition.unwrap_or_default().0 {
            some(index, "Condition", keys.0.len())?;
            for (key, values) in keys.0 {
                let values: Vec<_> = values.into_vec().into_iter().map(|value| value.0).collect();
                some(index, "Condition", values.len())?;
                conditions.push(Condition::new(&operator, &key, values));
            }
        }
        Ok(Self {
            effect: text.effect,
            principals: principals(index, text.principal)?,
            actions: actions.iter().map(|action| action.to_ascii_lowercase()).collect(),
            resources: patterns(index, "Resource", text.resource.into_vec())?,
            conditions,
        })
    }

    fn applies(&self, request: &AccessRequest<'_>) -> Truth {
        let action = request.action.to_ascii_lowercase();
        let action = self.actions.iter().any(|name| pattern::matches(name, &action));
        let resource = self.resources.iter().any(|name| pattern::matches(name, request.resource));
        let principals = self.principals.iter().map(|principal| principal.is(request.caller));
        let scope = [action.into(), resource.into(), Truth::any(principals)];
        let conditions = self.conditions.iter().map(|condition| condition.holds(request));
        Truth::all(scope.into_iter().chain(conditions))
    }
}

fn principals(statement: usize, text: PrincipalText) -> Result<Vec<Principal>, PolicyError> {
    let refused = PolicyError::Principal { statement };
    let by_type = match text {
        PrincipalText::Everybody(star) if star == "*" => return Ok(vec![Principal::Everybody]),
        PrincipalText::Everybody(_) => return Err(refused),
        PrincipalText::ByType(by_type) => by_type.0,
    };
    some(statement, "Principal", by_type.len())?;
    let mut principals = Vec::new();
    for (kind, names) in by_type {
        let names = names.into_vec();
        some(statement, "Principal", names.len())?;
        for name in names {
            principals.push(match kind.as_str() {
                "AWS" => Principal::parse(&name).ok_or_else(|| refused.clone())?,
                "Service" | "Federated" | "CanonicalUser" => Principal::Other,
                _ => return Err(refused),
            });
        }
    }
    Ok(principals)
}

fn patterns(
    statement: usize,
    element: &'static str,
    patterns: Vec<String>,
) -> Result<Vec<String>, PolicyError> {
    some(statement, element, patterns.len())?;
    match patterns.iter().any(|pattern| pattern.contains('$')) {
        true => Err(PolicyError::Variable { statement, element }),
        false => Ok(patterns),
    }
}

fn some(statement: usize, element: &'static str, entries: usize) -> Result<(), PolicyError> {
    if entries == 0 { Err(PolicyError::NoEntry { statement, element }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
