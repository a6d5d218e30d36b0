//! Trusted time: the timestamp of the NSM's own document, carried on by the monotonic clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use strongroom_attestation::document::{ParseError, UnverifiedDocument};
use strongroom_attestation::nsm::{AttestRequest, Nsm, NsmClient, NsmError};
use strongroom_shared::time::UtcSeconds;

/// The time since the NSM was last asked. Never the host's.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    anchor: Duration,
    at: Instant,
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
        let timestamp_ms = UnverifiedDocument::parse(&document)?.own_timestamp_ms();
        Ok(Self { anchor: Duration::from_millis(timestamp_ms), at: Instant::now() })
    }

    /// The time now.
    pub fn now(&self) -> UtcSeconds {
        UtcSeconds::new(self.since_epoch().as_secs())
    }

    /// How long ago the NSM was asked.
    pub fn age(&self) -> Duration {
        self.at.elapsed()
    }

    /// A clock that goes on from the later of both.
    pub fn later_of(self, other: Self) -> Self {
        let anchor = self.since_epoch().max(other.since_epoch());
        Self { anchor, at: Instant::now() }
    }

    fn since_epoch(&self) -> Duration {
        self.anchor.saturating_add(self.at.elapsed())
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

    #[test]
    fn time_does_not_run_backwards() {
        let at = Instant::now();
        let clock = |seconds| Clock { anchor: Duration::from_secs(seconds), at };
        assert_eq!(clock(2_000).later_of(clock(1_000)).now().seconds(), 2_000);
        assert_eq!(clock(1_000).later_of(clock(2_000)).now().seconds(), 2_000);
    }
}
