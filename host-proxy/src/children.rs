//! The stand-ins that `--mock-enclave` runs: the local KMS and the mock enclave, each a process of
//! its own, started again when it dies.
//!
//! A child's standard input is held open and nothing is written to it: it ends with its parent,
//! even if the parent is killed.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::backoff::Backoff;
use crate::config::{Config, MockConfig};

/// A child that lived for less does not work here, and is started again ever more slowly.
const SOUND: Duration = Duration::from_secs(1);

/// How long a child may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(3);

/// A program to keep running.
#[derive(Debug)]
pub struct Program {
    /// What the log calls it.
    pub name: &'static str,
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// An executable that is not where it should be.
#[derive(Debug, thiserror::Error)]
#[error("--mock-enclave: expected the executable {}", path.display())]
pub struct MissingProgram {
    path: PathBuf,
}

/// The two programs, with their arguments, found in `folder`: beside the proxy's own executable.
pub fn mock_programs(
    folder: &Path,
    config: &Config,
    mock: &MockConfig,
) -> Result<[Program; 2], MissingProgram> {
    let program = |name: &'static str, arguments: Vec<OsString>| {
        let path = folder.join(name);
        if path.is_file() {
            Ok(Program { name, path, arguments })
        } else {
            Err(MissingProgram { path })
        }
    };
    // The first relay is the way to KMS.
    let relay = config.relays.first();
    let kms = vec![
        "serve".into(),
        "--dir".into(),
        mock.kms.clone().into(),
        "--mock-nsm-root".into(),
        mock.nsm.join("root.pem").into(),
        "--listen".into(),
        relay.target.to_string().into(),
        "--exit-with-stdin".into(),
    ];
    let enclave = vec![
        "serve".into(),
        "--dir".into(),
        mock.nsm.clone().into(),
        "--image".into(),
        mock.image.clone().into(),
        "--config".into(),
        mock.enclave_config.clone().into(),
        "--listen".into(),
        config.enclave.to_string().into(),
        "--relay".into(),
        relay.listen.to_string().into(),
        "--exit-with-stdin".into(),
    ];
    Ok([program("strongroom-local-kms", kms)?, program("strongroom-mock-enclave", enclave)?])
}

/// Children that run until they are stopped, or this is dropped.
pub struct Children {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Children {
    /// Starts every program.
    pub fn start(programs: impl IntoIterator<Item = Program>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tasks = programs
            .into_iter()
            .map(|program| tokio::spawn(keep_running(program, stopped.clone())))
            .collect();
        Self { stop, tasks }
    }

    /// Ends every child, and returns when all are gone.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!("a child's task: {error}");
            }
        }
    }
}

async fn keep_running(program: Program, mut stopped: watch::Receiver<bool>) {
    let name = program.name;
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        match spawn(&program) {
            Ok(mut child) => {
                // Taken out, because waiting for a child closes the standard input that it holds.
                let stdin = child.stdin.take();
                tracing::info!("{name} started, process {}", child.id().unwrap_or_default());
                let ended = tokio::select! {
                    ended = child.wait() => Some(ended),
                    () = told_to_stop(&mut stopped) => None,
                };
                match ended {
                    Some(Ok(status)) => {
                        tracing::error!("{name} ended: {status}; starting it again")
                    }
                    Some(Err(error)) => tracing::error!("{name}: {error}; starting it again"),
                    None => {
                        drop(stdin);
                        return end(name, child).await;
                    }
                }
            }
            Err(error) => tracing::error!("{name} does not start: {error}; trying again"),
        }
        if began.elapsed() >= SOUND {
            backoff = Backoff::default();
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = told_to_stop(&mut stopped) => return,
        }
    }
}

/// Resolves when the children are to end, or nobody is there any more who could say so.
async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn spawn(program: &Program) -> io::Result<Child> {
    Command::new(&program.path)
        .args(&program.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        // Ctrl-C is for the proxy, which then ends its children in order.
        .process_group(0)
        .spawn()
}

async fn end(name: &str, mut child: Child) {
    if timeout(PATIENCE, child.wait()).await.is_err() {
        tracing::warn!("{name} did not end by itself, and is killed");
        let _ = child.kill().await;
    }
}
