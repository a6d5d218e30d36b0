//! Points in time. Where they come from is the caller's business: nothing here reads a clock.

use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

const FORMAT: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Seconds since the Unix epoch, UTC; written `2026-11-21T10:00:00Z` (RFC 3339, to the second).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcSeconds(u64);

impl UtcSeconds {
    /// The last second that the text form can write: the end of the year 9999.
    const MAX: u64 = 253_402_300_799;

    /// Seconds since the Unix epoch; later than the year 9999 becomes its last second.
    pub const fn new(seconds: u64) -> Self {
        Self(if seconds > Self::MAX { Self::MAX } else { seconds })
    }

    /// Seconds since the Unix epoch.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// So many seconds later.
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self::new(self.0.saturating_add(seconds))
    }

    /// Reads the one spelling that this type writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 20 {
            return None;
        }
        let time = time::PrimitiveDateTime::parse(text, FORMAT).ok()?.assume_utc();
        Some(Self(u64::try_from(time.unix_timestamp()).ok()?))
    }
}

impl std::fmt::Display for UtcSeconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = i64::try_from(self.0).map_err(|_| std::fmt::Error)?;
        let time = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| std::fmt::Error)?;
        f.write_str(&time.format(FORMAT).map_err(|_| std::fmt::Error)?)
    }
}

impl std::fmt::Debug for UtcSeconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

crate::serde_as_text!(UtcSeconds, "a UTC time to the second, such as 2026-11-21T10:00:00Z");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let time = UtcSeconds::parse("2026-11-21T10:00:00Z").unwrap();
        assert_eq!(time.seconds(), 1_795_255_200);
        assert_eq!(time.to_string(), "2026-11-21T10:00:00Z");
        for wrong in [
            "2026-11-21T10:00:00+00:00",
            "2026-11-21T10:00:00.0Z",
            "2026-11-21 10:00:00Z",
            "2026-02-30T10:00:00Z",
            "2026-11-21T10:00:60Z",
            "1969-12-31T23:59:59Z",
            "+026-11-21T10:00:00Z",
        ] {
            assert_eq!(UtcSeconds::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_value_can_be_written() {
        assert_eq!(UtcSeconds::new(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }
}
