//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use crate::config::Overrides;

const EXAMPLES: &str = "\
Examples:
  A complete development environment on this machine, with a mock enclave:
    strongroom dev init /tmp/strongroom
    strongroom-proxy --config /tmp/strongroom/proxy.toml --mock-enclave

  In service, beside a running enclave:
    strongroom-proxy --config /etc/strongroom/proxy.toml

HTTP:
  POST /v1/sign                               an envelope with a signed intent -> signed transaction
  POST /v1/wallets                            an envelope with a wallet act    -> wallet
  GET  /v1/wallets
  GET  /v1/wallets/WALLET/addresses?path=m/44'/60'/0'/0/0    or ?first=0&count=100
  GET  /v1/attestation?nonce=HEX              16 to 512 bytes
  GET  /v1/policy
  GET  /healthz                               200 while the process is up
  GET  /metrics                               for Prometheus
  GET  /readyz                                200 while the enclave is ready, else why it is not

AWS credentials, which the enclave borrows to call KMS (credentials.source):
  \"imds\"                                      of the instance's role, by IMDSv2; in service
  \"file\"                                      a profile of a shared-credentials file, mode 0600
  \"environment\"                               AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where there
                                              is one, AWS_SESSION_TOKEN, read when the proxy starts

Environment:
  RUST_LOG                                    what is logged to stderr (default: info)

SIGTERM and SIGINT let requests under way finish, and end the mock enclave.";

/// The untrusted host daemon of Strongroom: HTTP, store, relay to the enclave, relay to KMS.
///
/// It keeps an enclave booted, hands it signed requests, and stores what it seals and what it
/// records. It holds no key, and cannot make one sign.
#[derive(Debug, Parser)]
#[command(name = "strongroom-proxy", version, after_help = EXAMPLES)]
pub struct Args {
    /// The configuration, read and checked as a whole before anything is opened.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// Listen here instead of at http.listen of the configuration.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Start a local KMS and a mock enclave as child processes, and start them again when they
    /// die. For development: needs the section mock in the configuration.
    #[arg(long)]
    pub mock_enclave: bool,
}

impl Args {
    /// What overrides the file.
    pub fn overrides(&self) -> Overrides {
        Overrides { listen: self.listen, mock_enclave: self.mock_enclave }
    }
}
