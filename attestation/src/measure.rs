//! Platform configuration registers: values of 48 bytes, and how a measurement becomes one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha384};
use thiserror::Error;

/// Length of a PCR of an NSM whose digest is SHA-384, in bytes.
pub const PCR_BYTES: usize = 48;

/// How many PCRs an NSM has (indices 0 to 31).
pub const PCR_COUNT: u16 = 32;

/// The value of one platform configuration register.
///
/// Written as 96 lower-case hexadecimal digits, which is also how KMS key policies and `nitro-cli`
/// write it. A PCR is public: comparing two need not be constant-time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pcr([u8; PCR_BYTES]);

impl Pcr {
    /// A register that was never extended; as PCR0 it marks an enclave in debug mode.
    pub const ZERO: Self = Self([0; PCR_BYTES]);

    /// A PCR with this value.
    pub const fn new(value: [u8; PCR_BYTES]) -> Self {
        Self(value)
    }

    /// The 48 bytes.
    pub const fn as_bytes(&self) -> &[u8; PCR_BYTES] {
        &self.0
    }

    /// Whether all bytes are zero: never extended, or a debug image.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The value after extending `self` with `digest`: SHA-384(self ‖ digest).
    #[must_use]
    pub fn extended_with(&self, digest: &[u8; PCR_BYTES]) -> Self {
        let mut hash = Sha384::new();
        hash.update(self.0);
        hash.update(digest);
        Self(hash.finalize().into())
    }
}

/// What the NSM is given to extend a register with, for `data` that is measured: SHA-384(`data`).
pub fn measurement(data: &[u8]) -> [u8; PCR_BYTES] {
    Sha384::digest(data).into()
}

/// The register that results when a fresh one is extended once with the [`measurement`] of `data`:
/// SHA-384(48 zero bytes ‖ SHA-384(`data`)).
///
/// So PCR16 follows from the exact bytes of the configuration, and PCR17 from those of the policy.
pub fn extend_from_zero(data: &[u8]) -> Pcr {
    Pcr::ZERO.extended_with(&measurement(data))
}

/// A text is not a PCR: 96 hexadecimal digits were expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("pcr: expected 96 hexadecimal digits, found {found} bytes that are not that")]
pub struct ParsePcrError {
    /// Length of the text in bytes.
    pub found: usize,
}

impl FromStr for Pcr {
    type Err = ParsePcrError;

    /// Reads 96 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut value = [0; PCR_BYTES];
        match hex::decode_to_slice(text, &mut value) {
            Ok(()) => Ok(Self(value)),
            Err(_) => Err(ParsePcrError { found: text.len() }),
        }
    }
}

impl TryFrom<String> for Pcr {
    type Error = ParsePcrError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Pcr> for String {
    fn from(pcr: Pcr) -> Self {
        pcr.to_string()
    }
}

impl fmt::Display for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Pcr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pcr({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn extending_matches_an_independent_computation() {
        // python3: h=hashlib.sha384; h(bytes(48)+h(b"strongroom").digest()).hexdigest()
        let expected = "507cc962b5b63a47f0145f677dc8d3009c988cdec8685d75\
                        e9053393320bb3005c8654734bc5f7f2e25bed1e2be991e9";
        assert_eq!(extend_from_zero(b"strongroom").to_string(), expected);
    }

    #[test]
    fn text_round_trips_and_only_96_digits_are_read() {
        let pcr = extend_from_zero(b"x");
        assert_eq!(pcr.to_string().parse::<Pcr>().unwrap(), pcr);
        assert_eq!(pcr.to_string().to_uppercase().parse::<Pcr>().unwrap(), pcr);
        assert!(pcr.to_string().get(1..).unwrap().parse::<Pcr>().is_err());
        assert!("0x".parse::<Pcr>().is_err());
        assert!(format!("{}zz", "0".repeat(94)).parse::<Pcr>().is_err());
    }

    #[test]
    fn zero_is_zero() {
        assert!(Pcr::ZERO.is_zero());
        assert!(!extend_from_zero(b"").is_zero());
    }
}
