//! How long to wait before the next attempt.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles with each attempt, up to a bound, with up to a half of jitter taken off: several
/// proxies that lost one thing at once do not come back at once.
pub(crate) struct Backoff {
    wait: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { wait: FIRST }
    }
}

impl Backoff {
    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = wait.saturating_mul(2).min(LONGEST);
        // The standard library's own seed is random enough to spread attempts.
        let random = RandomState::new().hash_one(0);
        let half = wait / 2;
        let jitter = u64::try_from(half.as_millis()).unwrap_or(0).saturating_add(1);
        half + Duration::from_millis(random.checked_rem(jitter).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..12).map(|_| backoff.next()).collect();
        assert!(waits.iter().all(|wait| (FIRST / 2..=LONGEST).contains(wait)));
        assert!(waits.first().is_some_and(|wait| *wait <= FIRST));
        assert!(waits.last().is_some_and(|wait| *wait >= LONGEST / 2));
    }
}
