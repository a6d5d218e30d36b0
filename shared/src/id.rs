//! Names: each kind is a type of its own, so that none is passed for another.

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $max:literal, $allowed:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Box<str>);

        impl $type {
            /// Reads a name; `None` if it is empty, too long, or has another character.
            pub fn parse(text: &str) -> Option<Self> {
                let allowed: fn(u8) -> bool = $allowed;
                let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
                (begins_well && text.len() <= $max && text.bytes().all(allowed))
                    .then(|| Self(text.into()))
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($type), self.0)
            }
        }

        $crate::serde_as_text!($type, $expected);
    };
}

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b)
}

name!(
    /// A wallet of the policy, such as `hot-eth`.
    WalletId, 64, lower, "a wallet name: 1 to 64 of a-z 0-9 - _ ."
);
name!(
    /// A principal of the policy or of the measured configuration, such as `sweep-engine`.
    PrincipalId, 64, lower, "a principal name: 1 to 64 of a-z 0-9 - _ ."
);
name!(
    /// A rule of the policy; it stands in denials and receipts.
    RuleId, 128, |b| lower(b) || b == b'/', "a rule name: 1 to 128 of a-z 0-9 - _ . /"
);
name!(
    /// A caller's own name for its intent; scoped to the caller.
    IntentId,
    128,
    |b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b),
    "an intent id: 1 to 128 of A-Z a-z 0-9 - _ . : /"
);
name!(
    /// A sealed key's own id: 32 lower-case hex digits, made by the enclave.
    KeyId, 32, lower, "a key id: 32 lower-case hex digits"
);
name!(
    /// One life of an enclave: 32 lower-case hex digits, made by the enclave at boot.
    BootId, 32, lower, "a boot id: 32 lower-case hex digits"
);

impl RuleId {
    /// A rule by a name that stands in the code, such as `ledger/nonce`.
    pub fn fixed(name: &'static str) -> Self {
        debug_assert!(Self::parse(name).is_some(), "not a rule name: {name}");
        Self(name.into())
    }
}

impl KeyId {
    /// An id of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(hex::encode(bytes).into())
    }
}

impl BootId {
    /// An id of 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(hex::encode(bytes).into())
    }
}

/// What a DEK is known by: HKDF-SHA-256(DEK, info `strongroom-dek-id-v1`), as 64 lower-case hex
/// digits. It says nothing about the DEK, and no other DEK has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DekId([u8; 32]);

impl DekId {
    /// The derived bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }
}

impl std::fmt::Display for DekId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for DekId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DekId({self})")
    }
}

crate::serde_as_text!(DekId, "a DEK id: 64 lower-case hex digits");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        assert!(WalletId::parse("deposits-eth").is_some());
        for wrong in ["", "-a", "A", "a b", "a/b", &"a".repeat(65), "é"] {
            assert_eq!(WalletId::parse(wrong), None, "{wrong:?}");
        }
        assert!(IntentId::parse("wd:000123/A").is_some());
        assert_eq!(DekId::parse(&"A".repeat(64)), None);
        assert!(DekId::parse(&"a".repeat(64)).is_some());
    }
}
