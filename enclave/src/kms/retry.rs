//! A call is made again when KMS is busy, and for no other reason.
//!
//! The SDK could do that, but would send the same attestation document again. What fails otherwise is
//! told to the host, which boots the enclave again in its own time.

use std::future::Future;
use std::time::{Duration, Instant};

use super::error::{KmsError, Operation, Refusal};

/// How often a call is made at most.
const MAX_ATTEMPTS: u32 = 4;
/// The longest wait after the first attempt; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait of all.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// For how long attempts are begun; the host waits for a minute.
const PATIENCE: Duration = Duration::from_secs(40);

/// The attempts of all calls of one boot.
pub(super) struct Attempts {
    began: Instant,
}

impl Attempts {
    /// From now on.
    pub(super) fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// Makes a call, and again while KMS says that there are too many. Where the time of the boot is
    /// over meanwhile, that is the error.
    pub(super) async fn run<T, F>(
        &self,
        operation: Operation,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, KmsError>
    where
        F: Future<Output = Result<T, KmsError>>,
    {
        let mut left = MAX_ATTEMPTS;
        let mut longest = FIRST_WAIT;
        let cause = "no time is left for this boot".to_owned();
        let mut last = KmsError::Unreachable { operation, cause };
        loop {
            if self.began.elapsed() >= PATIENCE {
                return Err(last);
            }
            let result = attempt().await;
            left = left.saturating_sub(1);
            match result {
                Err(error) if error.refusal() == Some(Refusal::Throttled) && left > 0 => {
                    last = error;
                }
                result => return result,
            }
            tokio::time::sleep(up_to(longest)).await;
            longest = longest.saturating_mul(2).min(LONGEST_WAIT);
        }
    }
}

/// Full jitter: any time from none at all to `longest`, so that enclaves that were refused together
/// do not come back together. Nothing depends on the quality of the randomness.
fn up_to(longest: Duration) -> Duration {
    let most = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    let mut random = [0xff; 8];
    let _ = getrandom::fill(&mut random); // without it, the wait is merely not random
    let micros = u64::from_le_bytes(random).checked_rem(most.saturating_add(1));
    Duration::from_micros(micros.unwrap_or(most))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use super::*;

    fn refused(refusal: Refusal) -> KmsError {
        let (code, message) = (String::new(), String::new());
        KmsError::Refused { operation: Operation::Decrypt, refusal, code, message }
    }

    fn run(
        attempts: &Attempts,
        answer: impl Fn(u32) -> Result<(), KmsError>,
    ) -> (u32, Result<(), KmsError>) {
        let made = Cell::new(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let result = runtime.block_on(attempts.run(Operation::Decrypt, || {
            made.set(made.get() + 1);
            std::future::ready(answer(made.get()))
        }));
        (made.get(), result)
    }

    #[test]
    fn throttling_is_waited_out_and_not_for_ever() {
        let attempts = Attempts::begin();
        let busy = |n| if n < 3 { Err(refused(Refusal::Throttled)) } else { Ok(()) };
        assert!(matches!(run(&attempts, busy), (3, Ok(()))));
        let (made, result) = run(&attempts, |_| Err(refused(Refusal::Throttled)));
        assert_eq!((made, result.unwrap_err().refusal()), (4, Some(Refusal::Throttled)));
        assert!(attempts.began.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn nothing_else_is_tried_again() {
        for refusal in [Refusal::AccessDenied, Refusal::Internal, Refusal::QuotaExceeded] {
            let (made, result) = run(&Attempts::begin(), |_| Err(refused(refusal)));
            assert_eq!((made, result.unwrap_err().refusal()), (1, Some(refusal)));
        }
    }

    #[test]
    fn when_the_time_is_over_nothing_is_begun() {
        let began = Instant::now().checked_sub(PATIENCE).unwrap();
        let (made, result) = run(&Attempts { began }, |_| Ok(()));
        assert_eq!(made, 0);
        assert!(matches!(result, Err(KmsError::Unreachable { .. })));
    }

    #[test]
    fn when_the_time_is_over_after_throttling_that_is_told() {
        let rest = Duration::from_millis(500);
        let began = Instant::now().checked_sub(PATIENCE - rest).unwrap();
        let (made, result) = run(&Attempts { began }, |_| {
            std::thread::sleep(rest);
            Err(refused(Refusal::Throttled))
        });
        assert_eq!((made, result.unwrap_err().refusal()), (1, Some(Refusal::Throttled)));
    }

    #[test]
    fn a_wait_is_anything_up_to_the_longest() {
        let longest = Duration::from_millis(200);
        let waits: Vec<_> = (0..1_000).map(|_| up_to(longest)).collect();
        assert!(waits.iter().all(|wait| *wait <= longest));
        assert!(waits.iter().any(|wait| *wait < longest / 4));
        assert!(waits.iter().any(|wait| *wait > longest / 4 * 3));
    }
}
