//! Patterns: `*` for any run of characters, `?` for one character, wherever they stand.

/// Whether `text` is as `pattern` says. Case matters.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // The last `*`, and how far the text was when it was met: it takes one more character each time
    // that what follows it does not fit. Earlier ones need no second try.
    let mut star: Option<(usize, usize)> = None;
    while let Some(found) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(expected) if *expected == '?' || expected == found => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (p, t) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_anywhere() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("?", "", false),
            ("?", "é", true),
            ("kms:*crypt", "kms:Decrypt", true),
            ("kms:*crypt", "kms:ReEncryptTo", false),
            ("kms:?ecrypt", "kms:Decrypt", true),
            ("kms:?ecrypt", "kms:DDecrypt", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbx", false),
            ("*aab", "aaab", true),
            ("a**b", "ab", true),
            ("ab?", "ab", false),
            ("Decrypt", "decrypt", false),
            ("*", "*", true),
            ("a*", "b*", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_wildcards_take_no_time() {
        let pattern = "*a".repeat(2_000) + "b";
        assert!(!matches(&pattern, &"a".repeat(20_000)));
    }
}
