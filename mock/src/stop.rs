//! When a stand-in stops: it is told to, or whoever started it is gone.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGTERM, SIGINT, or the end of standard input.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
    with_stdin: bool,
}

impl Stop {
    /// From now on no signal is lost. `with_stdin`: a parent that dies closes standard input.
    ///
    /// # Errors
    /// When the signals cannot be watched.
    pub fn watch(with_stdin: bool) -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt, with_stdin })
    }

    /// Ready when it is time to stop.
    pub async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = stdin_closed(), if self.with_stdin => {}
        }
    }
}

/// Ready when stdin ends. A thread reads it, because a read cannot be cancelled; it is left behind when
/// the process exits for another reason.
async fn stdin_closed() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An error is an end too, and a receiver that is gone needs no word.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = closed.send(());
    });
    let _ = wait.await;
}
