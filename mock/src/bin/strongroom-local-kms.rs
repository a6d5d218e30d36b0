//! `strongroom-local-kms`: the local stand-in for AWS KMS, as a program.

use std::{
    io::{self, IsTerminal as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use serde_json::json;
use strongroom_attestation::verify::{TrustAnchor, TrustAnchorError};
use strongroom_mock::kms::{
    self, KmsError, LocalKms,
    identity::{self, Identity, Validity},
    server::Server,
};
use strongroom_mock::stop::Stop;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

/// A local AWS KMS for development and tests. Not for secrets of value.
///
/// It speaks the protocol of the real one (AWS JSON 1.1 over TLS) to stock AWS clients, verifies the
/// AWS Signature Version 4 of each request, verifies attestation documents of a mock NSM, evaluates
/// key policies with their principals and attestation conditions, and answers attested requests with
/// CiphertextForRecipient only.
///
/// A first time:
///
///   strongroom-local-kms init --dir kms --mock-nsm-root nsm/root.pem
///
///   strongroom-local-kms set-policy --dir kms --key-policy policy.json
///
///   strongroom-local-kms serve --dir kms --mock-nsm-root nsm/root.pem --listen 127.0.0.1:8443
///
/// Point a client at https://localhost:8443, let it trust kms/ca.pem, and give it the credentials of a
/// role that init or add-role made, and the region of the key:
///
///   export AWS_CA_BUNDLE=kms/ca.pem AWS_DEFAULT_REGION=eu-central-1
///   export AWS_SHARED_CREDENTIALS_FILE=kms/strongroom-key-admin.credentials
///   aws kms describe-key --key-id ARN --endpoint-url https://localhost:8443
///
/// Logs go to stderr; RUST_LOG sets the level, for example RUST_LOG=debug.
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make what is absent: a key, two roles, a CA, a server certificate. Prints one line of JSON.
    ///
    /// Its members are key_arn, ca, enclave_role, admin_role, enclave_credentials, admin_credentials.
    /// The roles are ARNs; the credentials are files (mode 0600) in the format that AWS clients share.
    /// The key's first policy lets everybody look at it and nobody use it: see set-policy. What is
    /// there already stays; a server certificate that lacks the DNS name is issued anew.
    Init(Init),
    /// Replace the policy of a key. A running server uses it from the next request on.
    ///
    /// A policy that lets one role use the key from one image, and nobody without it:
    ///
    ///   {"Version": "2012-10-17", "Statement": [{
    ///     "Effect": "Allow", "Principal": {"AWS": "ARN of the role"}, "Resource": "*",
    ///     "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
    ///     "Condition": {"StringEqualsIgnoreCase": {
    ///       "kms:RecipientAttestation:ImageSha384": "PCR0 in hex",
    ///       "kms:RecipientAttestation:PCR16": "PCR16 in hex",
    ///       "kms:RecipientAttestation:PCR17": "PCR17 in hex"}}}]}
    #[command(verbatim_doc_comment)]
    SetPolicy(SetPolicy),
    /// Add a role with credentials of its own. A running server knows it from the next request on.
    ///
    /// Prints one line of JSON: arn, access_key_id, secret_access_key, with --temporary session_token, and
    /// with --expires-in expires_at (Unix seconds). With --again they are further credentials of a role
    /// that exists, such as strongroom-enclave; those that it has stay good.
    ///
    /// As a credentials file, for AWS clients and for [credentials] in proxy.toml (source = "file"):
    ///
    ///   umask 077
    ///   strongroom-local-kms add-role --dir kms --name strongroom-enclave --again --temporary |
    ///     jq -r '"[default]\naws_access_key_id = \(.access_key_id)",
    ///       "aws_secret_access_key = \(.secret_access_key)",
    ///       "aws_session_token = \(.session_token)"' > fresh.credentials
    #[command(verbatim_doc_comment)]
    AddRole(AddRole),
    /// Serve over HTTPS until SIGTERM or SIGINT. Says on stderr where, when it is ready.
    Serve(Serve),
}

#[derive(Args)]
struct Init {
    /// Folder for state.json, identities.json, the two roles' .credentials files, ca.pem, ca.key,
    /// server.pem and server.key; made when absent.
    #[arg(long)]
    dir: PathBuf,
    /// Root certificate (PEM) of the mock NSM; looked at now, so that `serve` does not fail later.
    #[arg(long, value_name = "PEM")]
    mock_nsm_root: Option<PathBuf>,
    /// Region in the ARN of the key.
    #[arg(long, default_value = "eu-central-1")]
    region: String,
    /// A DNS name for the server certificate, besides localhost.
    #[arg(long, value_name = "NAME")]
    dns_name: Option<String>,
}

#[derive(Args)]
struct SetPolicy {
    /// Folder that `init` made.
    #[arg(long)]
    dir: PathBuf,
    /// The key policy, JSON in the shape of AWS.
    #[arg(long, value_name = "FILE")]
    key_policy: PathBuf,
    /// The key, by its ARN or key id; without it the one that `init` made.
    #[arg(long, value_name = "ARN")]
    key_id: Option<String>,
}

#[derive(Args)]
struct AddRole {
    /// Folder that `init` made.
    #[arg(long)]
    dir: PathBuf,
    /// The last part of the role's ARN.
    #[arg(long)]
    name: String,
    /// The role exists: give it further credentials.
    #[arg(long)]
    again: bool,
    /// Credentials with a session token. They do not expire, but for --expires-in.
    #[arg(long)]
    temporary: bool,
    /// When they expire, from now on: a number with s, m or h, such as 15m.
    #[arg(long, requires = "temporary", value_name = "TIME", value_parser = duration)]
    expires_in: Option<Duration>,
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let seconds = [('s', 1), ('m', 60), ('h', 3_600)].into_iter().find_map(|(unit, seconds)| {
        text.strip_suffix(unit)?.parse::<u32>().ok().map(|count| u64::from(count) * seconds)
    });
    seconds.map(Duration::from_secs).ok_or("expected a number with s, m or h")
}

#[derive(Args)]
struct Serve {
    /// Folder that `init` made.
    #[arg(long)]
    dir: PathBuf,
    /// Root certificate (PEM) under which attestation documents must verify.
    #[arg(long, value_name = "PEM")]
    mock_nsm_root: PathBuf,
    /// Address and port; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Stop when stdin reaches its end, as it does when the parent process dies.
    #[arg(long)]
    exit_with_stdin: bool,
}

#[derive(Debug, Error)]
enum CliError {
    #[error(transparent)]
    Kms(#[from] KmsError),
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Root { path: PathBuf, source: TrustAnchorError },
    #[error("{0}")]
    System(#[from] io::Error),
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(ansi)
        .with_writer(io::stderr)
        // A log that nobody reads any more is no reason to panic in a request.
        .log_internal_errors(false)
        .init();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strongroom-local-kms: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Init(Init { dir, mock_nsm_root, region, dns_name }) => {
            if let Some(path) = mock_nsm_root {
                trust_anchor(&path)?;
            }
            let made = kms::init(&dir, &region, dns_name.as_deref())?;
            let line = json!({
                "key_arn": made.key_arn,
                "ca": made.ca,
                "enclave_role": made.enclave_role,
                "admin_role": made.admin_role,
                "enclave_credentials": made.enclave_credentials,
                "admin_credentials": made.admin_credentials,
            });
            writeln!(io::stdout(), "{line}")?;
            Ok(())
        }
        Command::SetPolicy(SetPolicy { dir, key_policy, key_id }) => {
            let policy = read(&key_policy)?;
            match key_id {
                Some(id) => kms::set_policy_of(&dir, &id, &policy)?,
                None => kms::set_policy(&dir, &policy)?,
            };
            Ok(())
        }
        Command::AddRole(AddRole { dir, name, again, temporary, expires_in }) => {
            let validity = match temporary {
                true => Validity::Temporary { expires_in },
                false => Validity::Permanent,
            };
            let add = if again { identity::add_credentials } else { identity::add_role };
            let Identity { arn, credentials } = add(&dir, &name, validity)?;
            let mut line = json!({
                "arn": arn,
                "access_key_id": credentials.access_key_id,
                "secret_access_key": credentials.secret_access_key.expose(),
            });
            if let (Some(token), Some(line)) = (&credentials.session_token, line.as_object_mut()) {
                line.insert("session_token".to_owned(), token.expose().into());
                line.extend(credentials.expires_at.map(|at| ("expires_at".to_owned(), at.into())));
            }
            writeln!(io::stdout(), "{line}")?;
            Ok(())
        }
        Command::Serve(arguments) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(serve(arguments))
        }
    }
}

async fn serve(arguments: Serve) -> Result<(), CliError> {
    let Serve { dir, mock_nsm_root, listen, exit_with_stdin } = arguments;
    // Before anything is said to be ready: a signal from now on is not lost.
    let stop = Stop::watch(exit_with_stdin)?;

    let kms = LocalKms::open(&dir, trust_anchor(&mock_nsm_root)?)?;
    let server = Server::bind(&dir, kms, listen).await?;
    // Nobody may be left who reads this, and that is no reason not to serve.
    let _ =
        writeln!(io::stderr(), "strongroom-local-kms: listening on https://{}", server.address()?);

    server.run(stop.wait()).await;
    Ok(())
}

fn trust_anchor(path: &Path) -> Result<TrustAnchor, CliError> {
    let root = TrustAnchor::from_pem(&read(path)?);
    root.map_err(|source| CliError::Root { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<String, CliError> {
    let text = std::fs::read_to_string(path);
    text.map_err(|source| CliError::Read { path: path.to_owned(), source })
}
