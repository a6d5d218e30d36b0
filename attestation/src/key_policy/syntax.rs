//! The text of a key policy → statements, read strictly.
//!
//! AWS reads the same text with a reader of its own. Whatever the two could read differently is
//! refused here: members that stand twice, names beyond ASCII, elements without a meaning, other
//! versions.

use super::MAX_KEY_POLICY_BYTES;
use super::finding::{Excerpt, Place};
use super::hole::Hole;
use super::json::{Json, duplicate, is_ascii};
use super::role::{RoleArn, is_account, is_account_root};

/// A hole, and what it is about.
pub(super) type Trouble = (Hole, Option<Excerpt>);

/// A key policy.
#[derive(Default)]
pub(super) struct Document {
    /// What is wrong with the document as such.
    pub(super) troubles: Vec<Trouble>,
    /// Each statement, or why it is none.
    pub(super) statements: Vec<(Place, Result<Statement, Trouble>)>,
}

/// A statement whose elements are those of the language.
pub(super) enum Statement {
    /// It can only take away.
    Deny,
    /// It gives.
    Allow(Allow),
}

/// What a statement gives, to whom, on which conditions. `Resource` is not kept: a key policy speaks
/// of its own key, and a statement about another gives nothing.
#[derive(Default)]
pub(super) struct Allow {
    /// Whether `NotPrincipal`, `NotAction` or `NotResource` stands in it.
    pub(super) is_negated: bool,
    /// Empty where [`is_negated`](Self::is_negated) only.
    pub(super) principals: Vec<Principal>,
    /// Empty where [`is_negated`](Self::is_negated) only.
    pub(super) actions: Vec<String>,
    /// All must hold.
    pub(super) conditions: Vec<Condition>,
}

/// Who may.
pub(super) enum Principal {
    /// `*`.
    Anyone,
    /// The root of an account, or its bare id.
    Account(String),
    /// A role.
    Role(RoleArn),
    /// Anything else: users, services, sessions, ids of what was deleted.
    Other(String),
}

/// One key under one operator.
pub(super) struct Condition {
    pub(super) operator: String,
    pub(super) key: String,
    /// One must match; at least one, and each a text, a boolean or an integer.
    pub(super) values: Vec<Json>,
}

/// Reads a key policy.
pub(super) fn read(text: &str) -> Document {
    let failed = |hole| Document { troubles: vec![(hole, None)], ..Document::default() };
    if text.len() > MAX_KEY_POLICY_BYTES {
        return failed(Hole::TooLarge);
    }
    match serde_json::from_str(text) {
        Ok(Json::Object(members)) => document(members),
        Ok(_) => failed(Hole::Malformed),
        Err(_) => failed(Hole::NotJson),
    }
}

fn document(members: Vec<(String, Json)>) -> Document {
    let mut read = Document::default();
    read.troubles.extend(ambiguous(&members));
    let mut version = None;
    for (name, value) in members {
        match (name.as_str(), value) {
            ("Version", value) => version = Some(value),
            ("Id", Json::Text(_)) => {}
            ("Statement", Json::List(statements)) => {
                for (json, number) in statements.into_iter().zip(1..) {
                    read.statements.push(numbered(number, json));
                }
            }
            ("Statement", json) => read.statements.push(numbered(1, json)),
            ("Id", _) => read.troubles.push((Hole::Malformed, Excerpt::of(&name))),
            _ => read.troubles.push((Hole::UnknownElement, Excerpt::of(&name))),
        }
    }
    if !matches!(version, Some(Json::Text(version)) if version == "2012-10-17") {
        read.troubles.push((Hole::Version, None));
    }
    if read.statements.is_empty() {
        read.troubles.push((Hole::Malformed, Excerpt::of("Statement")));
    }
    read
}

/// Names of an object, or of one within it, that another reader may take for others.
fn ambiguous(members: &[(String, Json)]) -> Option<Trouble> {
    match duplicate(members) {
        Some(name) => Some((Hole::DuplicateMember, Excerpt::of(name))),
        None => (!is_ascii(members)).then_some((Hole::Malformed, None)),
    }
}

fn numbered(number: usize, json: Json) -> (Place, Result<Statement, Trouble>) {
    let Json::Object(members) = json else {
        return (Place { number, sid: None }, Err((Hole::Malformed, None)));
    };
    let sid = members.iter().find_map(|(name, value)| match value {
        Json::Text(sid) if name == "Sid" => Excerpt::of(sid),
        _ => None,
    });
    (Place { number, sid }, statement(members))
}

fn statement(members: Vec<(String, Json)>) -> Result<Statement, Trouble> {
    if let Some(trouble) = ambiguous(&members) {
        return Err(trouble);
    }
    let mut allow = Allow::default();
    let (mut effect, mut resources) = (None, Vec::new());
    for (name, value) in members {
        let malformed = || (Hole::Malformed, Excerpt::of(&name));
        match name.as_str() {
            "Sid" => drop(value.text().ok_or_else(malformed)?),
            "Effect" => effect = value.text(),
            "Principal" => allow.principals = principals(value).ok_or_else(malformed)?,
            "Action" => allow.actions = value.texts().ok_or_else(malformed)?,
            "Resource" => resources = value.texts().ok_or_else(malformed)?,
            "Condition" => allow.conditions = conditions(value).ok_or_else(malformed)?,
            "NotPrincipal" | "NotAction" | "NotResource" => allow.is_negated = true,
            _ => return Err((Hole::UnknownElement, Excerpt::of(&name))),
        }
    }
    match effect.as_deref() {
        Some("Deny") => return Ok(Statement::Deny),
        Some("Allow") => {}
        _ => return Err((Hole::Malformed, Excerpt::of("Effect"))),
    }
    for (name, is_missing) in [
        ("Principal", allow.principals.is_empty()),
        ("Action", allow.actions.is_empty()),
        ("Resource", resources.is_empty()),
    ] {
        if is_missing && !allow.is_negated {
            return Err((Hole::Malformed, Excerpt::of(name)));
        }
    }
    Ok(Statement::Allow(allow))
}

/// `"*"`, or kinds with one or several each.
fn principals(json: Json) -> Option<Vec<Principal>> {
    let kinds = match json {
        Json::Text(text) if text == "*" => return Some(vec![Principal::Anyone]),
        Json::Object(kinds) => kinds,
        _ => return None,
    };
    let mut principals = Vec::new();
    for (kind, ids) in kinds {
        let of_kind = |id| if kind == "AWS" { Principal::aws(id) } else { Principal::Other(id) };
        principals.extend(ids.texts()?.into_iter().map(of_kind));
    }
    Some(principals)
}

impl Principal {
    fn aws(id: String) -> Self {
        if id == "*" {
            Self::Anyone
        } else if is_account(&id) || is_account_root(&id) {
            Self::Account(id)
        } else {
            RoleArn::parse(&id).map_or(Self::Other(id), Self::Role)
        }
    }
}

/// `{operator: {key: value or values}}`.
fn conditions(json: Json) -> Option<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (operator, keys) in json.object()? {
        for (key, values) in keys.object()? {
            let values = values.into_list();
            if values.is_empty() || !values.iter().all(Json::is_scalar) {
                return None;
            }
            conditions.push(Condition { operator: operator.clone(), key, values });
        }
    }
    Some(conditions)
}
