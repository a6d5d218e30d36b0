//! The paths that a wallet may sign at.

use strongroom_shared::path::{HARDENED, HdPath};

/// A path, or all paths under one parent: `m/44'/60'/0'/0/7` or `m/44'/60'/0'/0/*`.
///
/// The last level is not hardened (BIP-44: the address index), neither a number nor what `*` covers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathPattern {
    /// This path.
    Fixed(HdPath),
    /// Every index that is not hardened under this parent.
    Under([u32; 4]),
}

impl PathPattern {
    /// Reads the canonical spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("/*") {
            Some(parent) => HdPath::parse(&format!("{parent}/0")).map(|p| Self::Under(p.parent())),
            None => HdPath::parse(text).filter(|path| path.index() < HARDENED).map(Self::Fixed),
        }
    }

    /// Whether `path` is one of these.
    pub fn covers(&self, path: &HdPath) -> bool {
        match self {
            Self::Fixed(fixed) => fixed == path,
            Self::Under(parent) => path.parent() == *parent && path.index() < HARDENED,
        }
    }
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(path) => write!(f, "{path}"),
            Self::Under([a, b, c, d]) => {
                let first = HdPath::new([*a, *b, *c, *d, 0]).to_string();
                write!(f, "{}*", first.strip_suffix('0').unwrap_or(&first))
            }
        }
    }
}

impl std::fmt::Debug for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

strongroom_shared::serde_as_text!(
    PathPattern,
    "a path of five levels whose last is * or a number that is not hardened"
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_spelling_and_exact_cover() {
        let fixed = PathPattern::parse("m/44'/60'/0'/0/7").unwrap();
        let under = PathPattern::parse("m/44'/60'/0'/0/*").unwrap();
        assert_eq!(fixed.to_string(), "m/44'/60'/0'/0/7");
        assert_eq!(under.to_string(), "m/44'/60'/0'/0/*");
        for (path, by_fixed, by_under) in [
            ("m/44'/60'/0'/0/7", true, true),
            ("m/44'/60'/0'/0/8", false, true),
            ("m/44'/60'/0'/0/2147483647", false, true),
            ("m/44'/60'/0'/0/7'", false, false),
            ("m/44'/60'/0'/1/7", false, false),
            ("m/44'/60'/0/0/7", false, false),
        ] {
            let path = HdPath::parse(path).unwrap();
            assert_eq!(fixed.covers(&path), by_fixed, "{path}");
            assert_eq!(under.covers(&path), by_under, "{path}");
        }
        for wrong in [
            "",
            "*",
            "/*",
            "m/*",
            "m/44'/60'/0'/*",
            "m/44'/60'/0'/0/0/*",
            "m/44'/60'/0'/*/0",
            "m/44'/60'/0'/0/*'",
            "m/44'/60'/0'/0/7'",
            "m/44'/60'/0'/0/07",
            "m/44'/60'/0'/0/**",
        ] {
            assert_eq!(PathPattern::parse(wrong), None, "{wrong}");
        }
    }
}
