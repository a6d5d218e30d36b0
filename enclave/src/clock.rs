//! Trusted time: the timestamp of the NSM's own document, carried on by the monotonic clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use strongroom_attestation::document::{ParseError, UnverifiedDocument};
use strongroom_attestation::nsm::{AttestRequest, Nsm, NsmClient, NsmError};
use strongroom_shared::time::UtcSeconds;

/// The NSM's last word, carried on. Never the host's, and never backwards.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    anchor: Duration,
    at: Instant,
    /// When the NSM was last asked, with or without an answer.
    asked: Instant,
    /// What was said before the last anchor: a clock that ran fast stands still until the NSM's time
    /// has caught up with it.
    floor: Duration,
}

/// Why the NSM did not say what time it is.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// It made no document.
    #[error("time: {0}")]
    Nsm(#[from] NsmError),
    /// Its own document is none.
    #[error("time: {0}")]
    Document(#[from] ParseError),
}

impl Clock {
    /// Asks the NSM what time it is. The document comes straight from the device, so that its
    /// signature need not be verified to believe its timestamp.
    pub fn ask(nsm: &dyn Nsm) -> Result<Self, ClockError> {
        let document = NsmClient::new(nsm).attest(AttestRequest::default())?;
        let timestamp_ms = UnverifiedDocument::parse(&document)?.claimed_timestamp_ms();
        let (anchor, at) = (Duration::from_millis(timestamp_ms), Instant::now());
        Ok(Self { anchor, at, asked: at, floor: Duration::ZERO })
    }

    /// The time now.
    pub fn now(&self) -> UtcSeconds {
        UtcSeconds::new(self.since_epoch().as_secs())
    }

    /// How long ago the NSM was asked.
    pub fn age(&self) -> Duration {
        self.asked.elapsed()
    }

    /// Asks the NSM again, and goes on from its word. One that does not answer is left alone for a
    /// while, and the clock goes on as it is.
    pub fn ask_again(&mut self, nsm: &dyn Nsm) {
        match Self::ask(nsm) {
            Ok(fresh) => *self = self.corrected_by(fresh),
            Err(_) => self.asked = Instant::now(),
        }
    }

    /// The fresh clock, which says nothing earlier than this one has said.
    fn corrected_by(&self, fresh: Self) -> Self {
        Self { floor: self.since_epoch(), ..fresh }
    }

    fn since_epoch(&self) -> Duration {
        self.anchor.saturating_add(self.at.elapsed()).max(self.floor)
    }
}

impl aws_smithy_async::time::TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.since_epoch()).unwrap_or(UNIX_EPOCH)
    }
}

impl rustls::time_provider::TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
        Some(rustls_pki_types::UnixTime::since_unix_epoch(self.since_epoch()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that says `seconds` now, and one that said so `ago` seconds ago.
    fn clock(seconds: u64, ago: u64) -> Clock {
        let at =
            Instant::now().checked_sub(Duration::from_secs(ago)).expect("a machine that is up");
        let anchor = Duration::from_secs(seconds);
        Clock { anchor, at, asked: at, floor: Duration::ZERO }
    }

    #[test]
    fn a_slow_clock_is_set_forward() {
        assert_eq!(clock(1_000, 0).corrected_by(clock(2_000, 0)).now().seconds(), 2_000);
    }

    #[test]
    fn a_fast_clock_stands_still_until_it_is_right() {
        let fast = clock(1_010, 0);
        assert_eq!(fast.corrected_by(clock(1_000, 0)).now().seconds(), 1_010);
        assert_eq!(fast.corrected_by(clock(1_000, 5)).now().seconds(), 1_010, "5 s later");
        assert_eq!(fast.corrected_by(clock(1_000, 12)).now().seconds(), 1_012, "12 s later");
    }
}
