//! One connection: both directions to their ends.

use std::io;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use strongroom_shared::frame::MAX_WRITE;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::metrics::RelayMetrics;
use crate::transport::Stream;

/// How a connection ended.
pub(super) enum End {
    /// Both sides have said all.
    Closed,
    /// One side broke it.
    Broken(io::Error),
    /// Nothing moved for too long.
    Idle,
}

/// Forwards until both directions have ended, one side breaks the connection, or it is idle.
pub(super) async fn forward(
    enclave: Stream,
    target: TcpStream,
    idle_limit: Duration,
    metrics: &RelayMetrics,
) -> End {
    let (from_enclave, to_enclave) = tokio::io::split(enclave);
    let (from_target, to_target) = target.into_split();
    let (moved, movement) = watch::channel(Instant::now());
    let both = async {
        tokio::try_join!(
            copy(from_enclave, to_target, &moved, &metrics.from_enclave),
            copy(from_target, to_enclave, &moved, &metrics.to_enclave),
        )
    };
    tokio::select! {
        ended = both => match ended {
            Ok(_) => End::Closed,
            Err(error) => End::Broken(error),
        },
        () = idle(movement, idle_limit) => End::Idle,
    }
}

/// Copies one direction to its end, then closes that direction only: the other may go on.
///
/// At most [`MAX_WRITE`] bytes are held, and nothing is read until they are written: a sink that
/// takes nothing stops its source. That is also the most that a vsock takes in one write on every
/// host.
///
/// An error is the source's, which then is gone in both directions. A sink that takes no more may
/// still have an answer under way, so it ends this direction alone.
async fn copy(
    mut source: impl AsyncRead + Unpin,
    mut sink: impl AsyncWrite + Unpin,
    moved: &watch::Sender<Instant>,
    forwarded: &Counter,
) -> io::Result<()> {
    let mut piece = vec![0; MAX_WRITE];
    loop {
        let read = source.read(&mut piece).await?;
        let bytes = piece.get(..read).unwrap_or_default();
        let done = if bytes.is_empty() {
            sink.shutdown().await
        } else {
            write(&mut sink, bytes, moved, forwarded).await
        };
        if let Err(error) = done {
            tracing::debug!("relay: one side takes no more: {error}");
            return Ok(());
        }
        if bytes.is_empty() {
            return Ok(());
        }
    }
}

/// Counts what the sink takes as it takes it: a slow one is not idle.
async fn write(
    sink: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    moved: &watch::Sender<Instant>,
    forwarded: &Counter,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = sink.write(bytes).await?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(taken..).unwrap_or_default();
        forwarded.inc_by(u64::try_from(taken).unwrap_or_default());
        moved.send_replace(Instant::now());
    }
    sink.flush().await
}

/// Resolves when nothing has moved for `limit`.
async fn idle(movement: watch::Receiver<Instant>, limit: Duration) {
    loop {
        let until = *movement.borrow() + limit;
        if Instant::now() >= until {
            return;
        }
        sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use tokio::io::{ReadBuf, duplex};

    use super::*;

    /// As many bytes as anyone takes; counts them.
    struct Endless(Arc<AtomicUsize>);

    impl AsyncRead for Endless {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.0.fetch_add(into.remaining(), Ordering::Relaxed);
            let all = into.remaining();
            into.put_slice(&vec![7; all]);
            Poll::Ready(Ok(()))
        }
    }

    /// A sink that keeps the length of the longest write, and breaks after some.
    struct Short {
        longest: Arc<AtomicUsize>,
        left: usize,
    }

    impl AsyncWrite for Short {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.longest.fetch_max(bytes.len(), Ordering::Relaxed);
            self.left = self.left.saturating_sub(1);
            match self.left {
                0 => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                _ => Poll::Ready(Ok(bytes.len())),
            }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_stops_the_reading_of_the_other_side() {
        let read = Arc::new(AtomicUsize::new(0));
        let (sink, mut reader) = duplex(1024);
        let (moved, _) = watch::channel(Instant::now());
        let forwarded = Counter::default();
        let copying = copy(Endless(Arc::clone(&read)), sink, &moved, &forwarded);
        tokio::pin!(copying);
        let wait = Duration::from_secs(60);
        assert!(tokio::time::timeout(wait, &mut copying).await.is_err());
        assert_eq!(read.load(Ordering::Relaxed), MAX_WRITE, "one buffer, and no more");

        let mut taken = vec![0; MAX_WRITE];
        let reading = reader.read_exact(&mut taken);
        tokio::select! {
            _ = &mut copying => panic!("ended"),
            done = reading => done.unwrap(),
        };
        assert!(tokio::time::timeout(wait, &mut copying).await.is_err());
        assert_eq!(read.load(Ordering::Relaxed), 2 * MAX_WRITE, "as much again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_takes_bytes_slowly_is_not_idle_and_one_that_stops_is() {
        const LIMIT: Duration = Duration::from_secs(120);
        let (sink, mut reader) = duplex(1);
        let (moved, movement) = watch::channel(Instant::now());
        let forwarded = Counter::default();
        let began = Instant::now();
        let copying = copy(Endless(Arc::default()), sink, &moved, &forwarded);
        let reading = async {
            for _ in 0..10 {
                tokio::time::sleep(LIMIT * 3 / 4).await;
                reader.read_u8().await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = copying => panic!("ended"),
            () = reading => panic!("ended"),
            () = idle(movement, LIMIT) => {}
        }
        assert!(began.elapsed() >= LIMIT * 10 * 3 / 4 + LIMIT, "{:?}", began.elapsed());
        assert_eq!(forwarded.get(), 11, "far from a whole piece");
    }

    #[tokio::test]
    async fn writes_are_short_and_a_sink_that_breaks_is_no_error() {
        let longest = Arc::new(AtomicUsize::new(0));
        let sink = Short { longest: Arc::clone(&longest), left: 5 };
        let (moved, _) = watch::channel(Instant::now());
        let forwarded = Counter::default();
        copy(Endless(Arc::default()), sink, &moved, &forwarded).await.unwrap();
        assert_eq!(longest.load(Ordering::Relaxed), MAX_WRITE);
        assert_eq!(usize::try_from(forwarded.get()).unwrap(), 4 * MAX_WRITE);
    }
}
