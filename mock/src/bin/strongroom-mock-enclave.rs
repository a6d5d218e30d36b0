//! The same enclave on a mock NSM and Unix sockets. It protects nothing: whoever can read this
//! process has its keys.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use strongroom_enclave::boot::Measured;
use strongroom_enclave::server::Server;
use strongroom_mock::nsm::{MockNsm, image_measurements};
use strongroom_mock::pki::MockPki;
use strongroom_mock::stop::Stop;
use strongroom_mock::transport::UnixTransport;
use strongroom_shared::endpoint::Endpoint;

/// The Strongroom enclave on a mock NSM, for development and tests.
///
/// It runs the code of the enclave unchanged. Only the NSM (which signs its documents with a PKI of
/// its own) and the vsock (Unix sockets) are stand-ins. `strongroom-proxy --mock-enclave` starts it.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the mock NSM's PKI, if it is not there, and prints its root and the image's PCRs.
    Init {
        /// Where the PKI is kept.
        #[arg(long)]
        dir: PathBuf,
        /// What stands for the image: PCR0 to PCR2 are measured from this label.
        #[arg(long)]
        image: String,
    },
    /// Serves until it is told to stop.
    Serve {
        /// Where `init` made the PKI.
        #[arg(long)]
        dir: PathBuf,
        /// What stands for the image.
        #[arg(long)]
        image: String,
        /// The measured configuration, `enclave.toml`.
        #[arg(long)]
        config: PathBuf,
        /// Where the host's proxy connects to: `unix:///…`.
        #[arg(long)]
        listen: Endpoint,
        /// Where the host's relay in front of KMS listens: `unix:///…`.
        #[arg(long)]
        relay: Endpoint,
        /// Stop when standard input ends, as it does when the parent dies.
        #[arg(long)]
        exit_with_stdin: bool,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Init { dir, image } => init(&dir, &image),
        Command::Serve { dir, image, config, listen, relay, exit_with_stdin } => {
            tokio_main(serve(&dir, &image, &config, &listen, &relay, exit_with_stdin))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strongroom-mock-enclave: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tokio_main(
    main: impl Future<Output = Result<(), Box<dyn Error>>>,
) -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(main)
}

fn init(dir: &Path, image: &str) -> Result<(), Box<dyn Error>> {
    MockPki::init(dir)?;
    let [pcr0, pcr1, pcr2] = image_measurements(image);
    let root = dir.join("root.pem");
    let line = serde_json::json!({ "root": root, "pcr0": pcr0, "pcr1": pcr1, "pcr2": pcr2 });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

async fn serve(
    dir: &Path,
    image: &str,
    config: &Path,
    listen: &Endpoint,
    relay: &Endpoint,
    exit_with_stdin: bool,
) -> Result<(), Box<dyn Error>> {
    let (Endpoint::Unix(listen), Endpoint::Unix(relay)) = (listen, relay) else {
        return Err("--listen and --relay: expected unix:///… (the mock has no vsock)".into());
    };
    let stop = Stop::watch(exit_with_stdin)?;
    let configuration = std::fs::read(config)?;
    let nsm = Arc::new(MockNsm::new(MockPki::load(dir)?, image)?);
    let measured = Measured::measure(nsm, &configuration)?;
    let transport = UnixTransport::bind(listen, relay.clone())?;
    let server = Server::new(Arc::new(transport), measured);
    // Nobody may be left who reads this, and that is no reason not to serve.
    let _ = writeln!(std::io::stderr(), "strongroom-mock-enclave: measured, waiting for its host");
    tokio::select! {
        error = server.serve() => Err(error.into()),
        () = stop.wait() => Ok(()),
    }
}
