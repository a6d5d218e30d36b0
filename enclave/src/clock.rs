//! Trusted time: the timestamp of the NSM's own document, carried on by the monotonic clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use strongroom_shared::time::UtcSeconds;

/// The time since the NSM was last asked. Never the host's.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    anchor: Duration,
    at: Instant,
}

impl Clock {
    /// A clock that says `timestamp_ms` (milliseconds since the Unix epoch) now.
    pub fn at_timestamp(timestamp_ms: u64) -> Self {
        Self { anchor: Duration::from_millis(timestamp_ms), at: Instant::now() }
    }

    /// The time now.
    pub fn now(&self) -> UtcSeconds {
        UtcSeconds::new(self.since_epoch().as_secs())
    }

    /// The time now, for libraries that want it so.
    pub fn system_time(&self) -> SystemTime {
        UNIX_EPOCH.checked_add(self.since_epoch()).unwrap_or(UNIX_EPOCH)
    }

    fn since_epoch(&self) -> Duration {
        self.anchor.saturating_add(self.at.elapsed())
    }
}

impl aws_smithy_async::time::TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.system_time()
    }
}

impl rustls::time_provider::TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls_pki_types::UnixTime> {
        Some(rustls_pki_types::UnixTime::since_unix_epoch(self.since_epoch()))
    }
}
