//! The instance's metadata service, in its second version only: each request carries a token that a
//! PUT has fetched, so that a server that can be made to GET an address cannot fetch credentials.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use strongroom_shared::time::UtcSeconds;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Temporary, Unusable, nothing, usable};

/// Where every instance finds it.
const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);

/// How long a fetch may take as a whole.
const LIMIT: Duration = Duration::from_secs(5);

/// The longest answer, in bytes.
const MAX_ANSWER: usize = 16 << 10;

/// For how many seconds a token is asked for: longer than a fetch may take.
const TOKEN_SECONDS: HeaderValue = HeaderValue::from_static("60");

const TOKEN: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The metadata service.
#[derive(Clone, Copy, Debug)]
pub struct Imds {
    address: SocketAddr,
    limit: Duration,
}

impl Default for Imds {
    fn default() -> Self {
        Self { address: ADDRESS, limit: LIMIT }
    }
}

/// The three requests of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The token.
    Token,
    /// The name of the instance's role.
    Role,
    /// Its credentials.
    Credentials,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Role => "name of the role",
            Self::Credentials => "credentials of the role",
        })
    }
}

/// Why the metadata service gives no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ImdsError {
    /// Too slow.
    #[error("expected an answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// Not there.
    #[error("connecting: {0}")]
    Connect(#[source] std::io::Error),
    /// What came is not HTTP, or broke off.
    #[error("{0}: {1}")]
    Http(Step, #[source] hyper::Error),
    /// Another status than 200.
    #[error("{0}: expected status 200, found {1}")]
    Status(Step, u16),
    /// No role is attached to the instance.
    #[error("expected a role that is attached to this instance, found none")]
    NoRole,
    /// Something that cannot be it.
    #[error("{0}: expected {1}")]
    Answer(Step, &'static str),
    /// The document has a member that cannot be one.
    #[error("credentials of the role: {0}")]
    Unusable(#[from] Unusable),
}

/// What it answers for a role. Other members are not needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: String,
    access_key_id: Option<Secret>,
    secret_access_key: Option<Secret>,
    token: Option<Secret>,
    expiration: Option<UtcSeconds>,
}

/// A text that is wiped on drop, wherever reading the document ends. (Of a text with JSON escapes the
/// parser holds one more copy for a moment, which is not ours to wipe.)
struct Secret(Zeroizing<String>);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl Imds {
    /// A metadata service elsewhere: for tests.
    pub const fn at(address: SocketAddr, limit: Duration) -> Self {
        Self { address, limit }
    }

    /// Fetches the credentials of the instance's role.
    pub(super) async fn fetch(&self) -> Result<Temporary, ImdsError> {
        timeout(self.limit, self.steps()).await.unwrap_or(Err(ImdsError::Late(self.limit)))
    }

    async fn steps(&self) -> Result<Temporary, ImdsError> {
        let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
        let token = self.ask(Step::Token, Method::PUT, TOKEN, ttl).await?;
        let mut token = HeaderValue::from_bytes(&token)
            .map_err(|_| ImdsError::Answer(Step::Token, "what a header can hold"))?;
        token.set_sensitive(true);
        let token = ("x-aws-ec2-metadata-token", token);
        let role = match self.ask(Step::Role, Method::GET, ROLES, token.clone()).await {
            Err(ImdsError::Status(_, 404)) => return Err(ImdsError::NoRole),
            role => role?,
        };
        let path = format!("{ROLES}{}", role_name(&role)?);
        parse(&self.ask(Step::Credentials, Method::GET, &path, token).await?)
    }

    /// One request on a connection of its own. Redirections are not followed.
    async fn ask(
        &self,
        step: Step,
        method: Method,
        path: &str,
        (name, value): (&'static str, HeaderValue),
    ) -> Result<Zeroizing<Vec<u8>>, ImdsError> {
        let http = |error| ImdsError::Http(step, error);
        let stream = TcpStream::connect(self.address).await.map_err(ImdsError::Connect)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
        // Ends with this scope.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.ip().to_string())
            .header(name, value)
            .body(Empty::<Bytes>::new())
            .map_err(|_| ImdsError::Answer(step, "what an address can hold"))?;
        let response = sender.send_request(request).await.map_err(http)?;
        if response.status() != StatusCode::OK {
            return Err(ImdsError::Status(step, response.status().as_u16()));
        }
        let mut body = response.into_body();
        // It never grows, and so leaves no copies behind.
        let mut answer = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        while let Some(frame) = body.frame().await.transpose().map_err(http)? {
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > MAX_ANSWER.saturating_sub(answer.len()) {
                return Err(ImdsError::Answer(step, "at most 16 KiB"));
            }
            answer.extend_from_slice(&data);
        }
        Ok(answer)
    }
}

/// The characters of a role's name (IAM: "IAM and AWS STS quotas"): it becomes part of an address.
fn role_name(answer: &[u8]) -> Result<&str, ImdsError> {
    let name = std::str::from_utf8(answer).unwrap_or_default().trim();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    let wrong = ImdsError::Answer(Step::Role, "one name of a role");
    match name.len() {
        0 if answer.is_empty() => Err(ImdsError::NoRole),
        1..=64 if name.bytes().all(allowed) => Ok(name),
        _ => Err(wrong),
    }
}

fn parse(answer: &[u8]) -> Result<Temporary, ImdsError> {
    let wrong = |expected| ImdsError::Answer(Step::Credentials, expected);
    let document: Document =
        serde_json::from_slice(answer).map_err(|_| wrong("the document of a role"))?;
    if document.code != "Success" {
        return Err(wrong("code Success: may the instance's service assume the role?"));
    }
    let taken = |member: Option<Secret>, expected| {
        let taken = member.map(|Secret(mut text)| std::mem::take(&mut *text));
        taken.ok_or_else(|| wrong(expected))
    };
    // Each goes from what wipes itself to what wipes itself: the next one may be missing.
    let mut credentials = nothing();
    credentials.access_key_id = taken(document.access_key_id, "AccessKeyId")?;
    credentials.secret_access_key = taken(document.secret_access_key, "SecretAccessKey")?;
    credentials.session_token = Some(taken(document.token, "Token")?);
    let expires = document.expiration.ok_or_else(|| wrong("Expiration"))?;
    Ok(Temporary { credentials: usable(credentials)?, expires })
}

#[cfg(test)]
mod tests;
