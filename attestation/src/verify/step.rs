//! The steps of the verification, in their order.

use std::fmt;

/// A step; each error of [`crate::document`], [`crate::verify`] and [`crate::expect`] names its own.
///
/// Displayed as `step 6, validity of certificates`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// 1: size, COSE_Sign1 untagged or with tag 18, nothing after it, signature of 96 bytes (AP 3.1,
    /// 3.2.1).
    Structure,
    /// 2: the protected header is ES384 and nothing else, the unprotected one is empty (AP 3.1).
    Headers,
    /// 3: each member of the payload, its type and its bounds (AP 3.2.2).
    Payload,
    /// 4: the bundle begins with the pinned root (AP 3.2.3).
    Root,
    /// 5: X.509 certificates in the documented order, each under the name of the one before (AP 3.2.3).
    Order,
    /// 6: each is valid at the given time, the root too (AP 3.2.3.1).
    Validity,
    /// 7: CAs above, none below, and no more of them than each allows (AP 3.2.3.2).
    BasicConstraints,
    /// 8: CAs sign certificates, the leaf signs documents, with a key on P-384 (AP 3.2.3.3, 3.1).
    KeyUsage,
    /// 9: the signatures of the chain (AP 3.2.4; RFC 5280, section 6).
    Path,
    /// 10: the signature of the document (AP 3.2.1).
    Signature,
    /// 11: no debug image, unless one will do.
    Debug,
    /// 12: the registers that were asked for.
    Pcrs,
    /// 13: the module that was asked for.
    ModuleId,
    /// 14: nonce, user data and public key that were asked for (AP 2.2.2).
    Members,
    /// 15: the document is as fresh as was asked for.
    Freshness,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 15] = [
        Self::Structure,
        Self::Headers,
        Self::Payload,
        Self::Root,
        Self::Order,
        Self::Validity,
        Self::BasicConstraints,
        Self::KeyUsage,
        Self::Path,
        Self::Signature,
        Self::Debug,
        Self::Pcrs,
        Self::ModuleId,
        Self::Members,
        Self::Freshness,
    ];

    /// Its number, from 1.
    pub const fn number(self) -> u8 {
        match self {
            Self::Structure => 1,
            Self::Headers => 2,
            Self::Payload => 3,
            Self::Root => 4,
            Self::Order => 5,
            Self::Validity => 6,
            Self::BasicConstraints => 7,
            Self::KeyUsage => 8,
            Self::Path => 9,
            Self::Signature => 10,
            Self::Debug => 11,
            Self::Pcrs => 12,
            Self::ModuleId => 13,
            Self::Members => 14,
            Self::Freshness => 15,
        }
    }

    /// What it looks at.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Structure => "structure of the document",
            Self::Headers => "headers",
            Self::Payload => "syntax of the payload",
            Self::Root => "pinned root",
            Self::Order => "order of the bundle",
            Self::Validity => "validity of certificates",
            Self::BasicConstraints => "basic constraints",
            Self::KeyUsage => "key usage",
            Self::Path => "signatures of the chain",
            Self::Signature => "signature of the document",
            Self::Debug => "debug mode",
            Self::Pcrs => "registers",
            Self::ModuleId => "module id",
            Self::Members => "nonce, user data and public key",
            Self::Freshness => "freshness",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}, {}", self.number(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_order() {
        assert!(Step::ALL.iter().map(|step| step.number()).eq(1..=15));
        assert!(Step::ALL.is_sorted());
        assert_eq!(Step::Validity.to_string(), "step 6, validity of certificates");
    }
}
