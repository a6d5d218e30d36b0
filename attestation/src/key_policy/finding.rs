//! Findings: a hole, and where it is.

use std::fmt;

use super::hole::Hole;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The statement; `None` where it is the document.
    pub statement: Option<Place>,
    /// What it is.
    pub hole: Hole,
    /// The action, principal, operator or element that it is about, where one can be named.
    pub about: Option<Excerpt>,
}

/// `statement 2 ("Sid"): what it is (about): how it is exploited`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.statement {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}", self.hole)?;
        if let Some(about) = &self.about {
            write!(f, " ({about})")?;
        }
        write!(f, ": {}", self.hole.exploit())
    }
}

/// A statement of a key policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub number: usize,
    /// Its `Sid`.
    pub sid: Option<Excerpt>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement {}", self.number)?;
        match &self.sid {
            Some(sid) => write!(f, " (\"{sid}\")"),
            None => Ok(()),
        }
    }
}

/// A piece of a key policy that is safe in a log: at most 128 characters, or 640 of a principal, of
/// those that names, ARNs and actions consist of. Nothing else of the input is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    const MAX_CHARACTERS: usize = 128;
    /// The longest [`RoleArn`](super::RoleArn) has 637.
    const MAX_OF_PRINCIPAL: usize = 640;

    /// The text, where it is safe.
    pub(super) fn of(text: &str) -> Option<Self> {
        Self::within(Self::MAX_CHARACTERS, text)
    }

    /// The ARN or id of a principal, where it is safe.
    pub(super) fn of_principal(id: &str) -> Option<Self> {
        Self::within(Self::MAX_OF_PRINCIPAL, id)
    }

    fn within(max: usize, text: &str) -> Option<Self> {
        let safe = |b: u8| b.is_ascii_alphanumeric() || b" :*?_./+=,@-".contains(&b);
        let fits = (1..=max).contains(&text.len());
        (fits && text.bytes().all(safe)).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
