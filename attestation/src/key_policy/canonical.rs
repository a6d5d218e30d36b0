//! One form for all the ways in which one key policy is written.
//!
//! KMS does not give back the text that it was given: members and lists come in another order, a list
//! of one as its item, and from one answer to the next that can differ. So a digest is taken over this
//! form, in which none of that matters.
//!
//! It means something only for a text that [`lint`](super::lint) takes without a finding. What that
//! refuses may have the form of what it takes: an `Id` that is a number has that of one that is a text.

use super::json::Json;

/// The canonical form; `None` where the text is not JSON whose numbers are integers of 64 bits.
///
/// Compact JSON. Members stand in the order of their names' bytes. The items of a list stand in the
/// order of their own canonical bytes, each once (no list of the policy language has an order), and a
/// list of one is its item. Booleans and integers are texts of the same words and digits.
///
/// A digest of it stands for a key policy only where [`lint`](super::lint) finds nothing in the text.
pub fn canonical(policy: &str) -> Option<Vec<u8>> {
    let json: Json = serde_json::from_str(policy).ok()?;
    Some(write(json).into_bytes())
}

fn write(json: Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Plain(text) | Json::Text(text) => quoted(text),
        Json::List(items) => {
            let mut items: Vec<String> = items.into_iter().map(write).collect();
            items.sort_unstable();
            items.dedup();
            match <[String; 1]>::try_from(items) {
                Ok([item]) => item,
                Err(items) => format!("[{}]", items.join(",")),
            }
        }
        Json::Object(mut members) => {
            members.sort_by(|(left, _), (right, _)| left.cmp(right));
            let member = |(name, value)| format!("{}:{}", quoted(name), write(value));
            let members: Vec<String> = members.into_iter().map(member).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// A JSON string, with no escape that is not needed (RFC 8785, section 3.2.2.2).
fn quoted(text: String) -> String {
    serde_json::Value::String(text).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(policy: &str) -> String {
        String::from_utf8(canonical(policy).unwrap()).unwrap()
    }

    #[test]
    fn what_kms_changes_does_not_matter() {
        let put = r#"{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow",
            "Principal":{"AWS":["x","y"]},"Action":["kms:Decrypt"],"Resource":"*",
            "Condition":{"Bool":{"aws:SecureTransport":true}}},{"Sid":"B","Effect":"Deny"}]}"#;
        let got = r#"{"Statement":[{"Effect":"Deny","Sid":"B"},{"Condition":{"Bool":
            {"aws:SecureTransport":["true"]}},"Resource":["*"],"Action":"kms:Decrypt","Principal":
            {"AWS":["y","x","y"]},"Effect":"Allow","Sid":"A"}],"Version":"2012-10-17"}"#;
        assert_eq!(text(put), text(got));
        assert_eq!(
            text(put),
            "{\"Statement\":[{\"Action\":\"kms:Decrypt\",\"Condition\":{\"Bool\":\
             {\"aws:SecureTransport\":\"true\"}},\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\
             [\"x\",\"y\"]},\"Resource\":\"*\",\"Sid\":\"A\"},{\"Effect\":\"Deny\",\"Sid\":\"B\"}],\
             \"Version\":\"2012-10-17\"}"
        );
    }

    #[test]
    fn what_changes_the_meaning_changes_the_form() {
        let form = text(r#"{"Action":["a","b"],"Effect":"Allow"}"#);
        for other in [
            r#"{"Action":["a","b"],"Effect":"Deny"}"#,
            r#"{"Action":["a"],"Effect":"Allow"}"#,
            r#"{"Action":["a","b","c"],"Effect":"Allow"}"#,
            r#"{"Action":"a,b","Effect":"Allow"}"#,
            r#"{"Action":["a\",\"b"],"Effect":"Allow"}"#,
            r#"{"action":["a","b"],"Effect":"Allow"}"#,
            r#"{"Action":["a","b"],"Effect":"Allow","Sid":null}"#,
        ] {
            assert_ne!(text(other), form, "{other}");
        }
        assert_eq!(canonical("{"), None);
        assert_eq!(canonical("{} {}"), None);
    }
}
