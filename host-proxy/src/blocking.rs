//! Work that blocks its thread and cannot be called off.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// Runs a future to its end on a runtime of its own, and leaves [`Blocking`] work where it is then:
/// a runtime that is dropped would wait for it, for as long as it hangs.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Runtime::new()?;
    let done = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(done)
}

/// Runs such work on the threads that are for it, a few at a time.
///
/// Who waits for it may give up. Its place is free only when the work itself has ended, so work that
/// hangs holds no more threads than there are places, however often it is asked for.
#[derive(Clone)]
pub(crate) struct Blocking(Arc<Semaphore>);

impl Blocking {
    /// So many at once.
    pub(crate) fn at_once(places: usize) -> Self {
        Self(Arc::new(Semaphore::new(places)))
    }

    /// Runs it when a place is free. An error when it panicked, or the runtime ends.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(io::Error::other)?;
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        task.await.map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_place_is_held_until_the_work_ends_though_nobody_waits() {
        const SHORT: Duration = Duration::from_millis(50);
        let blocking = Blocking::at_once(1);
        let (end, ended) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let first = blocking.run(move || {
            began.send(()).unwrap();
            ended.recv().unwrap_err();
        });
        assert!(timeout(SHORT, first).await.is_err(), "given up");
        begun.recv().unwrap();
        let second = blocking.run(|| unreachable!("no place is free"));
        assert!(timeout(SHORT, second).await.is_err());
        drop(end);
        assert_eq!(blocking.run(|| 7).await.unwrap(), 7);
    }

    #[test]
    fn the_end_does_not_wait_for_work_that_hangs() {
        let (end, ended) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            let hanging = async move {
                let work = move || (began.send(()), ended.recv());
                tokio::spawn(async { Blocking::at_once(1).run(work).await.is_err() });
                tokio::task::block_in_place(|| begun.recv()).unwrap();
            };
            done.send(block_on(hanging).is_ok()).unwrap();
        });
        assert_eq!(is_done.recv_timeout(Duration::from_secs(10)), Ok(true));
        assert!(end.send(()).is_ok(), "the work hangs still");
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_leaves_its_place() {
        let blocking = Blocking::at_once(1);
        assert!(blocking.run(|| panic!("as it should")).await.is_err());
        blocking.run(|| ()).await.unwrap();
    }
}
