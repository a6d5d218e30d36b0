//! Conditions: an operator, a key of the request context, values.
//!
//! IAM User Guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys"; AWS
//! KMS Developer Guide, "Condition keys for AWS KMS".

use strongroom_attestation::measure::PCR_COUNT;

use super::{AccessRequest, pattern, truth::Truth};

/// One line of a `Condition` block.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// `None` for one that is not understood.
    operator: Option<Operator>,
    /// `None` for one that is not understood.
    key: Option<Key>,
    /// One must match; for a negated operator, none may.
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Operator {
    quantifier: Option<Quantifier>,
    test: Test,
    negated: bool,
    if_exists: bool,
}

/// How the values of a key that has several are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    ForAllValues,
    ForAnyValue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equals,
    EqualsIgnoreCase,
    Like,
    Bool,
    /// Whether the key is absent.
    Null,
}

/// A key of the request context. Keys are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// `kms:RecipientAttestation:ImageSha384` (which is PCR0) and `:PCR<n>`.
    Register(u16),
    /// `kms:EncryptionContext:<name>`; the name, in lower case.
    Context(String),
    /// `kms:EncryptionContextKeys`: the only one with several values.
    ContextKeys,
    /// `aws:PrincipalArn`: the role, whatever its session.
    PrincipalArn,
    /// `kms:CallerAccount`.
    CallerAccount,
    /// `aws:SecureTransport`: the local KMS speaks TLS only.
    SecureTransport,
}

/// What a request says for a key.
enum Found {
    Absent,
    Values(Vec<String>),
    /// Pairs of the encryption context whose names differ in case only.
    Ambiguous,
}

impl Condition {
    pub(super) fn new(operator: &str, key: &str, values: Vec<String>) -> Self {
        let operator = Operator::named(operator).filter(|operator| operator.takes(&values));
        // A policy variable stands for something that is not known here.
        let operator = operator.filter(|_| !values.iter().any(|value| value.contains("${")));
        Self { operator, key: Key::named(key), values }
    }

    pub(super) fn holds(&self, request: &AccessRequest<'_>) -> Truth {
        let (Some(operator), Some(key)) = (self.operator, &self.key) else {
            return Truth::Unknown;
        };
        // AWS leaves open what a key of several values does without one.
        if *key == Key::ContextKeys && operator.quantifier.is_none() && operator.test != Test::Null
        {
            return Truth::Unknown;
        }
        let found = match key.found(request) {
            Found::Absent => None,
            Found::Values(values) => Some(values),
            Found::Ambiguous => return Truth::Unknown,
        };
        let Operator { quantifier, test, negated, if_exists } = operator;
        if test == Test::Null {
            return self.any(test, &found.is_none().to_string()).into();
        }
        let Some(found) = found else {
            return match quantifier {
                // Both look at each value, and there is none; `IfExists` does not change that.
                Some(Quantifier::ForAllValues) => Truth::Yes,
                Some(Quantifier::ForAnyValue) => Truth::No,
                None => (negated || if_exists).into(),
            };
        };
        let mut truths = found.iter().map(|found| self.any(test, found) != negated);
        match quantifier {
            Some(Quantifier::ForAnyValue) => truths.any(|truth| truth),
            Some(Quantifier::ForAllValues) | None => truths.all(|truth| truth),
        }
        .into()
    }

    fn any(&self, test: Test, found: &str) -> bool {
        self.values.iter().any(|expected| test.passes(expected, found))
    }
}

impl Operator {
    fn named(name: &str) -> Option<Self> {
        let (quantifier, name) = match name.split_once(':') {
            Some(("ForAllValues", name)) => (Some(Quantifier::ForAllValues), name),
            Some(("ForAnyValue", name)) => (Some(Quantifier::ForAnyValue), name),
            Some(_) => return None,
            None => (None, name),
        };
        let (if_exists, name) =
            name.strip_suffix("IfExists").map_or((false, name), |name| (true, name));
        let (test, negated) = match name {
            "StringEquals" => (Test::Equals, false),
            "StringNotEquals" => (Test::Equals, true),
            "StringEqualsIgnoreCase" => (Test::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Test::EqualsIgnoreCase, true),
            "StringLike" => (Test::Like, false),
            "StringNotLike" => (Test::Like, true),
            "Bool" => (Test::Bool, false),
            "Null" if !if_exists && quantifier.is_none() => (Test::Null, false),
            _ => return None,
        };
        Some(Self { quantifier, test, negated, if_exists })
    }

    /// Whether the values are of the operator's type.
    fn takes(self, values: &[String]) -> bool {
        let boolean =
            |text: &String| text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
        !matches!(self.test, Test::Bool | Test::Null) || values.iter().all(boolean)
    }
}

impl Test {
    fn passes(self, expected: &str, found: &str) -> bool {
        match self {
            Self::Equals => expected == found,
            Self::EqualsIgnoreCase => expected.to_lowercase() == found.to_lowercase(),
            Self::Like => pattern::matches(expected, found),
            Self::Bool | Self::Null => expected.eq_ignore_ascii_case(found),
        }
    }
}

impl Key {
    fn named(key: &str) -> Option<Self> {
        let key = key.to_lowercase();
        if let Some(name) = key.strip_prefix("kms:encryptioncontext:") {
            return (!name.is_empty()).then(|| Self::Context(name.to_owned()));
        }
        if let Some(register) = key.strip_prefix("kms:recipientattestation:") {
            return register_named(register).map(Self::Register);
        }
        match key.as_str() {
            "kms:encryptioncontextkeys" => Some(Self::ContextKeys),
            "aws:principalarn" => Some(Self::PrincipalArn),
            "kms:calleraccount" => Some(Self::CallerAccount),
            "aws:securetransport" => Some(Self::SecureTransport),
            _ => None,
        }
    }

    fn found(&self, request: &AccessRequest<'_>) -> Found {
        let one = |value: &str| Found::Values(vec![value.to_owned()]);
        match self {
            Self::Register(index) => {
                let register = request.registers.and_then(|registers| registers.get(index));
                register.map_or(Found::Absent, |register| one(&register.to_string()))
            }
            Self::Context(name) => {
                let pairs = request.encryption_context.iter();
                let mut values =
                    pairs.filter(|(key, _)| key.to_lowercase() == *name).map(|(_, value)| value);
                match (values.next(), values.next()) {
                    (None, _) => Found::Absent,
                    (Some(value), None) => one(value),
                    (Some(_), Some(_)) => Found::Ambiguous,
                }
            }
            Self::ContextKeys if request.encryption_context.is_empty() => Found::Absent,
            Self::ContextKeys => {
                Found::Values(request.encryption_context.keys().cloned().collect())
            }
            Self::PrincipalArn => one(request.caller),
            Self::CallerAccount => one(super::principal::account(request.caller)),
            Self::SecureTransport => one("true"),
        }
    }
}

/// The register that the last part of a key names, in lower case.
fn register_named(name: &str) -> Option<u16> {
    if name == "imagesha384" {
        return Some(0);
    }
    register(name.strip_prefix("pcr")?)
}

fn register(digits: &str) -> Option<u16> {
    let index: u16 = digits.parse().ok().filter(|index| *index < PCR_COUNT)?;
    // `PCR04` and `PCR+4` are no keys of KMS.
    (index.to_string() == digits).then_some(index)
}

/// Whether a key of the request context can be evaluated.
pub(super) fn is_understood(key: &str) -> bool {
    Key::named(key).is_some()
}

/// Whether these are the digits of a register.
pub(super) fn is_register(digits: &str) -> bool {
    register(digits).is_some()
}

#[cfg(test)]
mod tests;
