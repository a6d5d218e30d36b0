//! JSON as it stands: nothing is merged, and nothing is lost.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Any JSON, with the members of objects as they stand.
pub(super) enum Json {
    Null,
    /// Booleans and integers, in words.
    Plain(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(super) fn text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn object(self) -> Option<Vec<(String, Self)>> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// One is as good as a list of one.
    pub(super) fn into_list(self) -> Vec<Self> {
        if let Self::List(items) = self { items } else { vec![self] }
    }

    /// One text, or several.
    pub(super) fn texts(self) -> Option<Vec<String>> {
        self.into_list().into_iter().map(Self::text).collect()
    }

    /// Whether it is a value of a condition: AWS takes booleans and numbers as well as texts.
    pub(super) const fn is_scalar(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Plain(_))
    }
}

/// A member that an object, or one within it, has twice. The names of elements, operators and
/// condition keys differ in more than their case. Cases of ASCII only: see [`is_ascii`].
pub(super) fn duplicate(members: &[(String, Json)]) -> Option<&str> {
    let mut names = BTreeSet::new();
    members.iter().find_map(|(name, value)| {
        let inner = match value {
            Json::Object(members) => duplicate(members),
            _ => None,
        };
        if names.insert(name.to_ascii_lowercase()) { inner } else { Some(name.as_str()) }
    })
}

/// Whether all names of an object, and of those within it, are ASCII. Beyond it there are several
/// ways to tell case apart: by some, U+212A is a `k` and U+017F an `s`, so that what is no condition
/// key to one reader is `kms:…` to another.
pub(super) fn is_ascii(members: &[(String, Json)]) -> bool {
    members.iter().all(|(name, value)| match value {
        Json::Object(members) => name.is_ascii() && is_ascii(members),
        _ => name.is_ascii(),
    })
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

/// Takes no number but integers of 64 bits: any other would be rounded, and no key policy needs one.
struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("json whose numbers are integers of 64 bits")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Plain(value.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(object))
    }
}
