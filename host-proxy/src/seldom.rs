//! Warnings about what may happen very often.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two warnings of a kind.
const EVERY: Duration = Duration::from_secs(60);

/// Warnings of one kind: the first one is told, and then at most one a minute, with how many there
/// were. The others are told to who listens at the level `debug`.
#[derive(Default)]
pub(crate) struct Seldom(Mutex<Told>);

#[derive(Default)]
struct Told {
    last: Option<Instant>,
    untold: u64,
}

impl Seldom {
    /// One more.
    pub(crate) fn warn(&self, what: impl Display) {
        match self.told() {
            Some(1) => tracing::warn!("{what}"),
            Some(times) => tracing::warn!("{what}; {times} times since this was told last"),
            None => tracing::debug!("{what}"),
        }
    }

    /// How many there are to tell of, with this one, when it is time to.
    fn told(&self) -> Option<u64> {
        let now = Instant::now();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.untold = told.untold.saturating_add(1);
        if told.last.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_and_then_one_a_minute_with_the_count() {
        let seldom = Seldom::default();
        assert_eq!(seldom.told(), Some(1));
        for _ in 0..1000 {
            assert_eq!(seldom.told(), None);
        }
        tokio::time::advance(EVERY - Duration::from_millis(1)).await;
        assert_eq!(seldom.told(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(seldom.told(), Some(1002));
        assert_eq!(seldom.told(), None);
        tokio::time::advance(EVERY * 60).await;
        assert_eq!(seldom.told(), Some(2));
    }
}
