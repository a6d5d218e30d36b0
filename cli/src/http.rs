//! The HTTP client: bounded in time and size, plain only to this machine, no redirects, no proxy.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use strongroom_shared::json;
use ureq::http::Uri;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::error::Error;
use crate::files::{self, MAX_DOCUMENT_BYTES};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Where the service is.
#[derive(Args, Clone)]
pub(crate) struct Server {
    /// The service, such as http://127.0.0.1:8480 or https://strongroom.internal.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    tls: Tls,
}

/// The same, for commands that can do without.
#[derive(Args, Clone)]
pub(crate) struct OptionalServer {
    /// The service, such as http://127.0.0.1:8480 or https://strongroom.internal.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    tls: Tls,
}

#[derive(Args, Clone)]
struct Tls {
    /// The certificates under which an https service is trusted, in PEM.
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
    /// The certificate to show to an https service, in PEM.
    #[arg(long, value_name = "PEM", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The private key of --client-cert, in PEM.
    #[arg(long, value_name = "PEM", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl OptionalServer {
    /// The service, if --url was given.
    pub(crate) fn server(&self) -> Option<Server> {
        Some(Server { url: self.url.clone()?, tls: self.tls.clone() })
    }
}

/// Why there is no answer, or no good one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Not a URL of the service.
    #[error("--url: expected http:// or https://, a host and nothing after it but a path")]
    Url,
    /// Plain HTTP over a network.
    #[error("--url: plain http is for this machine only, and the host is another")]
    PlainToAnother,
    /// There is nothing to trust the service by.
    #[error("--url: https needs --ca PEM, the certificates under which the service is trusted")]
    NoRoots,
    /// A PEM file has not what is wanted of it.
    #[error("{}: expected {expected} in pem", .file.display())]
    Pem { file: PathBuf, expected: &'static str },
    /// The service could not be reached, or broke off.
    #[error("the service does not answer: {0}")]
    Transport(String),
    /// Something else than the service answered.
    #[error("the service answered with something that is not json")]
    NotJson,
    /// The service refused.
    #[error("{code}: {detail} (http {status})")]
    Refused { status: u16, code: String, detail: String },
}

impl HttpError {
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Transport(_) => Some(
                "is it running (strongroom-proxy --config DIR/proxy.toml), and is --ca the right one?",
            ),
            _ => None,
        }
    }

    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Url | Self::PlainToAnother | Self::NoRoots)
    }
}

/// An answer, of any status.
pub(crate) struct Response {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, at most [`MAX_DOCUMENT_BYTES`].
    pub(crate) body: Vec<u8>,
}

/// `application/problem+json` as far as it is told to a user; the rest is the service's business.
#[derive(Deserialize)]
struct Refusal {
    code: String,
    detail: String,
}

impl Response {
    /// Whether the body is JSON, in which control characters are escaped.
    pub(crate) fn is_json(&self) -> bool {
        serde_json::from_slice::<IgnoredAny>(&self.body).is_ok()
    }

    /// The refusal that this is.
    pub(crate) fn refusal(&self) -> HttpError {
        let refusal: Option<Refusal> = serde_json::from_slice(&self.body).ok();
        let (code, detail) = match refusal {
            Some(Refusal { code, detail }) => (printable(&code), printable(&detail)),
            None => ("no_code".into(), "the service refused, and did not say why".into()),
        };
        HttpError::Refused { status: self.status, code, detail }
    }
}

/// What the host says may be anything: a terminal is shown printable text only, and not too much.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(512).collect()
}

/// A client of one service.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Server {
    /// A client of this service.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        let base = self.url.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|_| HttpError::Url)?;
        let host = uri.host().filter(|_| uri.query().is_none()).ok_or(HttpError::Url)?;
        let plain = match uri.scheme_str() {
            Some("http") if is_loopback(host) => true,
            Some("http") => return Err(HttpError::PlainToAnother.into()),
            Some("https") => false,
            _ => return Err(HttpError::Url.into()),
        };
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .https_only(!plain)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(TIMEOUT));
        if !plain {
            config = config.tls_config(self.tls.config()?);
        }
        Ok(Client { agent: config.build().new_agent(), base: base.to_owned() })
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Tls {
    fn config(&self) -> Result<TlsConfig, Error> {
        let ca = self.ca.as_deref().ok_or(HttpError::NoRoots)?;
        let roots = certificates(&files::read(ca)?, ca)?;
        let client = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => {
                let chain = certificates(&files::read(certificate)?, certificate)?;
                let missing = || HttpError::Pem { file: key.clone(), expected: "a private key" };
                let key = PrivateKey::from_pem(&files::read_secret(key)?).map_err(|_| missing())?;
                Some(ClientCert::new_with_certs(&chain, key))
            }
            _ => None,
        };
        Ok(TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(
                rustls::crypto::aws_lc_rs::default_provider(),
            ))
            .root_certs(RootCerts::from(roots))
            .client_cert(client)
            .build())
    }
}

fn certificates(text: &[u8], file: &Path) -> Result<Vec<Certificate<'static>>, HttpError> {
    let certificates: Vec<_> = parse_pem(text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(HttpError::Pem { file: file.to_owned(), expected: "certificates" });
    }
    Ok(certificates)
}

impl Client {
    /// `GET`; any status is an answer.
    pub(crate) fn get(&self, path: &str) -> Result<Response, HttpError> {
        let request = self.agent.get(format!("{}{path}", self.base));
        answer(request.header("accept", "application/json").call())
    }

    /// `GET` of JSON; anything but 200 is an error.
    pub(crate) fn get_ok(&self, path: &str) -> Result<Vec<u8>, HttpError> {
        let response = self.get(path)?;
        match response.status {
            200 if response.is_json() => Ok(response.body),
            200 => Err(HttpError::NotJson),
            _ => Err(response.refusal()),
        }
    }

    /// `GET` of a document that is named `document` in errors.
    pub(crate) fn get_json<T: DeserializeOwned>(
        &self,
        document: &'static str,
        path: &str,
    ) -> Result<T, Error> {
        Ok(json::parse(document, &self.get_ok(path)?)?)
    }

    /// `POST` of JSON; any status is an answer.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Response, HttpError> {
        let request = self.agent.post(format!("{}{path}", self.base));
        answer(request.content_type("application/json").send(body))
    }
}

fn answer(
    result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Response, HttpError> {
    let failed = |error: ureq::Error| HttpError::Transport(printable(&error.to_string()));
    let mut response = result.map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MAX_DOCUMENT_BYTES);
    Ok(Response { status, body: body.read_to_vec().map_err(failed)? })
}

/// A query value: everything but the unreserved characters (RFC 3986, section 2.3) is escaped.
pub(crate) fn query_value(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
        escaped
    })
}

#[cfg(test)]
mod tests;
