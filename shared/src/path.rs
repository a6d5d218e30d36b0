//! BIP-32 paths of five levels, in their one canonical spelling.

/// The bit that marks a hardened level (BIP-32).
pub const HARDENED: u32 = 1 << 31;

/// A path such as `m/44'/60'/0'/0/7`: five levels, decimal, no sign, no leading zero, `'` for
/// hardened (BIP-44).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HdPath([u32; 5]);

impl HdPath {
    /// A path from its levels, hardened ones with [`HARDENED`] set.
    pub const fn new(levels: [u32; 5]) -> Self {
        Self(levels)
    }

    /// The levels, hardened ones with [`HARDENED`] set.
    pub const fn levels(&self) -> &[u32; 5] {
        &self.0
    }

    /// The four levels above the last: the parent, whose key is cached.
    pub const fn parent(&self) -> [u32; 4] {
        let [a, b, c, d, _] = self.0;
        [a, b, c, d]
    }

    /// The last level.
    pub const fn index(&self) -> u32 {
        let [_, _, _, _, index] = self.0;
        index
    }

    /// Reads the canonical spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("m/")?.split('/');
        let mut levels = [0; 5];
        for level in &mut levels {
            *level = parse_level(parts.next()?)?;
        }
        parts.next().is_none().then_some(Self(levels))
    }
}

/// One level: decimal, below 2³¹, with `'` for hardened.
pub fn parse_level(text: &str) -> Option<u32> {
    let (digits, hardened) = match text.strip_suffix('\'') {
        Some(digits) => (digits, HARDENED),
        None => (text, 0),
    };
    let canonical =
        digits == "0" || (digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'));
    let index: u32 = if canonical { digits.parse().ok()? } else { return None };
    (index < HARDENED).then_some(index | hardened)
}

/// Writes one level as [`parse_level`] reads it.
pub fn write_level(f: &mut std::fmt::Formatter<'_>, level: u32) -> std::fmt::Result {
    let mark = if level & HARDENED == 0 { "" } else { "'" };
    write!(f, "{}{mark}", level & !HARDENED)
}

impl std::fmt::Display for HdPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("m")?;
        for level in self.0 {
            f.write_str("/")?;
            write_level(f, level)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for HdPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

crate::serde_as_text!(HdPath, "a canonical path of five levels, such as m/44'/60'/0'/0/0");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_spelling() {
        let path = HdPath::parse("m/44'/60'/0'/0/2147483647").unwrap();
        assert_eq!(path.levels(), &[44 | HARDENED, 60 | HARDENED, HARDENED, 0, HARDENED - 1]);
        assert_eq!(path.to_string(), "m/44'/60'/0'/0/2147483647");
        for wrong in [
            "m/44'/60'/0'/0",
            "m/44'/60'/0'/0/0/0",
            "44'/60'/0'/0/0",
            "m/44h/60'/0'/0/0",
            "m/44'/60'/0'/0/01",
            "m/44'/60'/0'/0/+1",
            "m/44'/60'/0'/0/-1",
            "m/44'/60'/0'/0/2147483648",
            "m/44'/60'/0'/0/",
            "m/44'/60'/0'/0/''",
            "m/44'/60'/0'/0/ 1",
            "M/44'/60'/0'/0/1",
            "m/44'/60'/0'/0/0''",
        ] {
            assert_eq!(HdPath::parse(wrong), None, "{wrong}");
        }
    }
}
