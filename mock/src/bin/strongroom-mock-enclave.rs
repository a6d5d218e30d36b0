//! The same enclave on a mock NSM and Unix sockets. It protects nothing: whoever can read this
//! process has its keys.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Parser, Subcommand};
use strongroom_attestation::measure::measurement;
use strongroom_attestation::nsm::{AttestRequest, NsmClient};
use strongroom_enclave::boot::{CONFIGURATION_PCR, Measured, POLICY_PCR};
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
    /// Prints the base64 of a fresh attestation document: for trying key policies with any AWS client.
    Attest {
        /// Where `init` made the PKI.
        #[arg(long)]
        dir: PathBuf,
        /// What stands for the image.
        #[arg(long)]
        image: String,
        /// Measured into PCR16, as an enclave measures its configuration. Without it, the document
        /// does not name PCR16.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Measured into PCR17, as an enclave measures its policy (the payload of the envelope).
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// The public key (DER, SubjectPublicKeyInfo) to which KMS shall encrypt; RSA for KMS.
        #[arg(long, value_name = "DER_FILE")]
        public_key: PathBuf,
        /// At most 512 bytes, in hexadecimal digits.
        #[arg(long, value_name = "HEX", value_parser = hex_bytes)]
        nonce: Option<Hex>,
        /// At most 512 bytes, in hexadecimal digits.
        #[arg(long, value_name = "HEX", value_parser = hex_bytes)]
        user_data: Option<Hex>,
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
        Command::Attest { dir, image, config, policy, public_key, nonce, user_data } => {
            let measured = [(CONFIGURATION_PCR, config), (POLICY_PCR, policy)];
            let members = (nonce.map(|Hex(nonce)| nonce), user_data.map(|Hex(data)| data));
            attest(&dir, &image, &measured, &public_key, members)
        }
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

/// A document of an enclave that has measured these files, if they are given.
fn attest(
    dir: &Path,
    image: &str,
    measured: &[(u16, Option<PathBuf>)],
    public_key: &Path,
    (nonce, user_data): (Option<Vec<u8>>, Option<Vec<u8>>),
) -> Result<(), Box<dyn Error>> {
    let device = MockNsm::new(MockPki::load(dir)?, image)?;
    let nsm = NsmClient::new(&device);
    for (index, file) in measured {
        if let Some(file) = file {
            nsm.extend_and_lock(*index, &measurement(&read(file)?))?;
        }
    }
    let public_key = Some(read(public_key)?);
    let document = nsm.attest(AttestRequest { user_data, nonce, public_key })?;
    writeln!(std::io::stdout(), "{}", STANDARD.encode(document))?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Bytes, in hexadecimal digits on the command line.
#[derive(Clone)]
struct Hex(Vec<u8>);

fn hex_bytes(text: &str) -> Result<Hex, &'static str> {
    hex::decode(text).map(Hex).map_err(|_| "expected an even number of hexadecimal digits")
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
