//! The daemon: what is opened in which order, and closed in the other.

use std::io;
use std::net::SocketAddr;

use strongroom_shared::endpoint::Endpoint;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::args::Args;
use crate::blocking::block_on;
use crate::children::{Children, MissingProgram, mock_programs};
use crate::config::{Config, ConfigError};
use crate::credentials::Lender;
use crate::egress::{Egress, Limits};
use crate::http::{DEADLINE, router};
use crate::metrics::Metrics;
use crate::record::Recorder;
use crate::server::{Server, TlsError, acceptor};
use crate::store::{Store, StoreError};
use crate::supervisor::Supervisor;

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store.
    #[error("store.database: {0}")]
    Store(#[from] StoreError),
    /// A relay's socket.
    #[error("relay.listen: {0}: {1}")]
    Relay(Endpoint, #[source] io::Error),
    /// The HTTP socket.
    #[error("http.listen: {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// A stand-in is not there.
    #[error(transparent)]
    Program(#[from] MissingProgram),
    /// The operating system.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// Runs until SIGTERM or SIGINT, and then ends whatever hangs by then: the lookup of a relay's target,
/// or a file of credentials on a file system that is away.
pub fn run(args: Args) -> Result<(), StartError> {
    block_on(serve(args))?
}

async fn serve(args: Args) -> Result<(), StartError> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let config = Config::read(&args.config, args.overrides())?;
    let tls = config.tls.as_ref().map(acceptor).transpose()?;
    let programs = match &config.mock {
        None => None,
        Some(mock) => Some(mock_programs(&own_folder()?, &config, mock)?),
    };

    let store = Store::open(&config.database).await?;
    let metrics = Metrics::default();
    let mut relays = Vec::new();
    for relay in config.relays.iter() {
        let bound = Egress::bind(relay, &config.enclave, Limits::default(), &metrics).await;
        relays.push(bound.map_err(|error| StartError::Relay(relay.listen.clone(), error))?);
    }
    let server = Server::bind(config.listen, tls)
        .await
        .map_err(|error| StartError::Listen(config.listen, error))?;
    tracing::info!("listening on {}", server.url()?);

    let children = programs.map(Children::start);
    let (end, ended) = watch::channel(false);
    let relays: Vec<_> = relays
        .into_iter()
        .map(|relay| tokio::spawn(relay.serve(told_to_end(ended.clone()))))
        .collect();
    let recorder = Recorder::new(store.clone());
    let (supervisor, status) = Supervisor::new(
        config.enclave,
        config.policy,
        Lender::new(config.credentials, &metrics),
        recorder.clone(),
        metrics.clone(),
    );
    let supervisor = tokio::spawn(supervisor.run());

    let stop = stopped(&mut terminate, &mut interrupt);
    server.serve(router(status, recorder, metrics, DEADLINE), stop).await;

    supervisor.abort();
    if let Some(children) = children {
        children.stop().await;
    }
    end.send_replace(true);
    for relay in relays {
        if let Err(error) = relay.await {
            tracing::error!("a relay's task: {error}");
        }
    }
    store.close().await;
    tracing::info!("stopped");
    Ok(())
}

async fn stopped(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
}

async fn told_to_end(mut ended: watch::Receiver<bool>) {
    let _ = ended.wait_for(|end| *end).await;
}

fn own_folder() -> io::Result<std::path::PathBuf> {
    let executable = std::env::current_exe()?;
    let folder = executable.parent().ok_or(io::ErrorKind::NotFound)?;
    Ok(folder.to_owned())
}
