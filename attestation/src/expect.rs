//! What a verifier expects of a verified document: freshness, identity, and what it carries.

use std::{collections::BTreeMap, time::Duration};

use rustls_pki_types::UnixTime;
use thiserror::Error;

use crate::{
    measure::Pcr,
    verify::{Step, VerifiedDocument},
};

/// How far the clock of an NSM may be ahead of the verifier's.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// What must hold of a document. A member that is `None`, or a PCR that is not named, is not looked
/// at; a debug image is refused unless [`allow_debug`](Self::allow_debug).
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// Exactly this module, for example `i-07e25f3bada361dec-enc0181d3dff86da785`.
    pub module_id: Option<String>,
    /// Exactly this nonce.
    pub nonce: Option<Vec<u8>>,
    /// Exactly this user data.
    pub user_data: Option<Vec<u8>>,
    /// Exactly this public key (DER).
    pub public_key: Option<Vec<u8>>,
    /// Exactly these values in these registers.
    pub pcrs: BTreeMap<u16, Pcr>,
    /// At most this old, and at most [`MAX_CLOCK_SKEW`] in the future.
    pub max_age: Option<Duration>,
    /// Whether an enclave in debug mode will do: its console is open, so it keeps no secret.
    pub allow_debug: bool,
}

/// A genuine document is not the one that was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExpectationError {
    /// The document is from an enclave in debug mode.
    #[error(
        "pcr0: expected the measurement of an image, found zero: the enclave runs in debug mode"
    )]
    Debug,
    /// A register has another value.
    #[error("pcr{index}: expected {expected}, found {found}")]
    Pcr {
        /// The register.
        index: u16,
        /// What was expected.
        expected: Pcr,
        /// What the document says.
        found: Pcr,
    },
    /// The document does not name a register.
    #[error("pcr{index}: expected {expected}, found no such register in the document")]
    PcrAbsent {
        /// The register.
        index: u16,
        /// What was expected.
        expected: Pcr,
    },
    /// The document is of another module.
    #[error("module_id: expected {expected}, found {found}")]
    ModuleId {
        /// What was expected, if printable.
        expected: String,
        /// What the document says, if printable.
        found: String,
    },
    /// A member is another, or absent.
    #[error("{field}: expected other bytes than the document has")]
    Member {
        /// `nonce`, `user_data` or `public_key`.
        field: &'static str,
    },
    /// The document is too old.
    #[error("timestamp: expected an age of at most {max_ms} ms, found {age_ms} ms")]
    TooOld {
        /// The most that is allowed, in milliseconds.
        max_ms: u128,
        /// Its age in milliseconds.
        age_ms: u128,
    },
    /// The document is from the future.
    #[error("timestamp: {ahead_ms} ms ahead of the verifier's clock")]
    FromTheFuture {
        /// By how much, in milliseconds.
        ahead_ms: u128,
    },
}

impl ExpectationError {
    /// The step that failed.
    pub fn step(&self) -> Step {
        match self {
            Self::Debug => Step::Debug,
            Self::Pcr { .. } | Self::PcrAbsent { .. } => Step::Pcrs,
            Self::ModuleId { .. } => Step::ModuleId,
            Self::Member { .. } => Step::Members,
            Self::TooOld { .. } | Self::FromTheFuture { .. } => Step::Freshness,
        }
    }
}

impl VerifiedDocument {
    /// Steps 11 to 15: checks the document against `expectations`, at the time `now` of the verifier.
    ///
    /// # Errors
    /// The first expectation that is not met: debug mode, registers in ascending order, module id,
    /// nonce, user data, public key, age.
    pub fn check(
        &self,
        expectations: &Expectations,
        now: UnixTime,
    ) -> Result<(), ExpectationError> {
        let Expectations { module_id, nonce, user_data, public_key, pcrs, max_age, allow_debug } =
            expectations;

        if self.is_debug() && !allow_debug {
            return Err(ExpectationError::Debug);
        }
        for (&index, &expected) in pcrs {
            match self.pcr(index) {
                Some(found) if found == expected => {}
                Some(found) => return Err(ExpectationError::Pcr { index, expected, found }),
                None => return Err(ExpectationError::PcrAbsent { index, expected }),
            }
        }
        match module_id {
            Some(expected) if expected != self.module_id() => {
                let (expected, found) = (printable(expected), printable(self.module_id()));
                return Err(ExpectationError::ModuleId { expected, found });
            }
            _ => {}
        }
        member("nonce", nonce, self.nonce())?;
        member("user_data", user_data, self.user_data())?;
        member("public_key", public_key, self.public_key())?;
        max_age.map_or(Ok(()), |max_age| check_age(self.timestamp_ms(), max_age, now))
    }
}

/// A module id, as long as a name is and of visible ASCII, or a word in its place: a terminal or a log
/// must not be steered by it.
fn printable(id: &str) -> String {
    if id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        id.to_owned()
    } else {
        "a name that is not printable".to_owned()
    }
}

fn member(
    field: &'static str,
    expected: &Option<Vec<u8>>,
    found: Option<&[u8]>,
) -> Result<(), ExpectationError> {
    match expected {
        Some(expected) if found != Some(expected) => Err(ExpectationError::Member { field }),
        _ => Ok(()),
    }
}

/// `now` counts whole seconds, so a document may seem up to one second ahead: the skew covers it.
fn check_age(timestamp_ms: u64, max_age: Duration, now: UnixTime) -> Result<(), ExpectationError> {
    let made = Duration::from_millis(timestamp_ms);
    let now = Duration::from_secs(now.as_secs());
    let ahead = made.saturating_sub(now);
    if ahead > MAX_CLOCK_SKEW {
        return Err(ExpectationError::FromTheFuture { ahead_ms: ahead.as_millis() });
    }
    let age = now.saturating_sub(made);
    if age > max_age {
        let (max_ms, age_ms) = (max_age.as_millis(), age.as_millis());
        return Err(ExpectationError::TooOld { max_ms, age_ms });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_id_is_shown_when_it_is_a_name() {
        assert_eq!(printable("i-0-enc1"), "i-0-enc1");
        for id in ["\u{1b}[2J", "i 0", "i-0\n", "\u{e9}", "x".repeat(129).as_str()] {
            assert_eq!(printable(id), "a name that is not printable", "{id:?}");
        }
    }

    #[test]
    fn age_has_two_ends() {
        let minute = Duration::from_secs(60);
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert_eq!(check_age(1_000_000, minute, at(1_060)), Ok(()));
        let too_old = ExpectationError::TooOld { max_ms: 60_000, age_ms: 61_000 };
        assert_eq!(check_age(1_000_000, minute, at(1_061)), Err(too_old));
        assert_eq!(check_age(1_000_000, minute, at(940)), Ok(()));
        let future = ExpectationError::FromTheFuture { ahead_ms: 61_000 };
        assert_eq!(check_age(1_000_000, minute, at(939)), Err(future));
    }
}
