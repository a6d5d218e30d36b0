//! A key policy in another spelling. The real KMS stores what a policy says rather than its text, and gives
//! it back with members and lists in an order of its own, which can differ from one call to the next.

use serde_json::Value;

use super::super::dice::Dice;

/// The policy with its members and lists shuffled, some lists of one entry as the entry alone, and white
/// space of its own; `None` for what is not JSON. Statements stay in their order.
pub(in crate::kms) fn rewritten(policy: &str, dice: Dice) -> Option<String> {
    let mut writer = Writer { text: String::new(), dice, wide: false };
    writer.wide = writer.dice.coin();
    let policy = serde_json::from_str(policy).ok()?;
    writer.write(policy, 0, false);
    Some(writer.text)
}

struct Writer {
    text: String,
    dice: Dice,
    /// With spaces and line breaks.
    wide: bool,
}

impl Writer {
    fn write(&mut self, value: Value, depth: usize, in_order: bool) {
        match value {
            Value::Object(members) => {
                let inner = depth.saturating_add(1);
                self.text.push('{');
                for (place, (name, value)) in self.dice.shuffle(members).into_iter().enumerate() {
                    self.text.push_str(if place == 0 { "" } else { "," });
                    self.line(inner);
                    let statements = name == "Statement";
                    self.text.push_str(&Value::String(name).to_string());
                    self.text.push_str(if self.wide { " : " } else { ":" });
                    self.write(value, inner, statements);
                }
                self.line(depth);
                self.text.push('}');
            }
            Value::Array(values) => {
                let values = if in_order { values } else { self.dice.shuffle(values) };
                let alone = values.len() == 1 && self.dice.coin();
                let [begin, next, end] = match (alone, self.wide) {
                    (true, _) => ["", "", ""],
                    (false, true) => ["[ ", ", ", " ]"],
                    (false, false) => ["[", ",", "]"],
                };
                self.text.push_str(begin);
                for (place, value) in values.into_iter().enumerate() {
                    self.text.push_str(if place == 0 { "" } else { next });
                    self.write(value, depth, false);
                }
                self.text.push_str(end);
            }
            scalar => self.text.push_str(&scalar.to_string()),
        }
    }

    fn line(&mut self, depth: usize) {
        if self.wide {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n("  ", depth));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use strongroom_attestation::key_policy::canonical;

    use super::*;

    const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
        {"Sid":"a \"quoted\" one","Effect":"Allow","Principal":{"AWS":["1","2"]},"Action":["kms:A"],
         "Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true},"Null":{}}},
        {"Sid":"b","Effect":"Deny","Principal":"*","Action":["kms:A","kms:B","kms:C"],"Resource":["*"]}]}"#;

    #[test]
    fn the_same_is_said_in_many_ways() {
        let ways: BTreeSet<_> =
            (0..64).map(|seed| rewritten(POLICY, Dice::seeded(seed)).unwrap()).collect();
        assert!(ways.len() > 60, "{}", ways.len());
        let said = |part: &str| ways.iter().filter(|way| way.contains(part)).count();
        for part in [
            r#""Action":"kms:A""#,
            r#""Action":["kms:A"]"#,
            r#""Action" : [ "kms:A" ]"#,
            r#"["1","2"]"#,
            r#"["2","1"]"#,
        ] {
            assert!((1..64).contains(&said(part)), "{part}");
        }
        for way in &ways {
            assert_eq!(canonical(way), canonical(POLICY), "{way}");
            let policy: Value = serde_json::from_str(way).unwrap();
            let sids = ["/Statement/0/Sid", "/Statement/1/Sid"].map(|sid| policy.pointer(sid));
            assert_eq!(sids.map(Option::unwrap), ["a \"quoted\" one", "b"]);
        }
    }

    #[test]
    fn what_is_no_json_is_not_rewritten() {
        assert_eq!(rewritten("{", Dice::seeded(0)), None);
    }
}
