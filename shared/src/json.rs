//! Strict JSON whose errors name the field and what was expected, and never echo input.

use serde::de::DeserializeOwned;

/// What a text should have been; the error of every `FromStr` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Expected(pub &'static str);

/// Why a document was refused, in words that are safe to log and to send back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{document}: {at}{what}")]
pub struct JsonError {
    document: &'static str,
    at: String,
    what: String,
}

/// Reads the whole of `bytes` as one `T`. `document` is the name that the error begins with.
///
/// Unknown fields, repeated fields and trailing bytes are refused (each `T` here denies unknown
/// fields). Depth is limited to 128 by `serde_json`.
pub fn parse<T: DeserializeOwned>(document: &'static str, bytes: &[u8]) -> Result<T, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let what = without_input(&error.inner().to_string());
        // An unknown field's own name is input, and would be the last part of the path.
        let at = if what.starts_with("unknown field") {
            String::new()
        } else {
            safe_path(&error.path().to_string())
        };
        JsonError { document, at, what }
    })?;
    deserializer.end().map_err(|_| JsonError {
        document,
        at: String::new(),
        what: "bytes after the end of the document".into(),
    })?;
    Ok(value)
}

/// serde's messages are of a few shapes: "missing field `x`", "unknown field `INPUT`, expected …",
/// "invalid type: INPUT, expected …". What follows the last "expected" is ours; what stands before is not.
fn without_input(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    for schema_only in ["missing field `", "duplicate field `"] {
        if message.starts_with(schema_only) {
            return message.to_owned();
        }
    }
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
    let kind = if message.starts_with("unknown field") { "unknown field" } else { "invalid value" };
    match expected {
        Some(expected) => format!("{kind}, expected {expected}"),
        None if message.starts_with("unknown field") => "unknown field".to_owned(),
        None => "not well-formed JSON".to_owned(),
    }
}

/// A path of field names and indices; anything that could be input is left out.
fn safe_path(path: &str) -> String {
    let safe = path.len() <= 96
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.[]".contains(&b))
        && path != ".";
    if safe { format!("{path}: ") } else { String::new() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code)]
    struct Outer {
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code)]
    struct Inner {
        count: u8,
    }

    fn error(text: &str) -> String {
        parse::<Outer>("outer", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_field_and_never_the_input() {
        assert_eq!(
            error(r#"{"inner":[{"count":"SECRET"}]}"#),
            "outer: inner[0].count: invalid value, expected u8"
        );
        assert_eq!(error(r#"{"inner":[{}]}"#), "outer: inner[0]: missing field `count`");
        assert_eq!(error(r#"{"SECRET":1}"#), "outer: unknown field, expected `inner`");
        assert_eq!(error(r#"{"a`, expected SECRET":1}"#), "outer: unknown field, expected `inner`");
        assert_eq!(error(r#"{"inner":[{"SECRET":1}]}"#), "outer: unknown field, expected `count`");
        assert_eq!(error(r#"{"inner":[],"inner":[]}"#), "outer: duplicate field `inner`");
        assert_eq!(error(r#"{"inner":[]} SECRET"#), "outer: bytes after the end of the document");
        assert_eq!(error("SECRET"), "outer: not well-formed JSON");
    }

    #[test]
    fn depth_is_limited() {
        assert!(!error(&format!(r#"{{"inner":{}"#, "[".repeat(1 << 16))).is_empty());
    }
}
