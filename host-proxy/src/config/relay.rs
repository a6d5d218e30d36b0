//! The ways out of the enclave, as they are configured.

use serde::Deserialize;
use strongroom_shared::endpoint::Endpoint;

/// One way out: a listener that forwards to its one target, and nowhere else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Where it listens for the enclave: `unix://` or `vsock://`.
    pub listen: Endpoint,
    /// The only address it forwards to.
    pub target: Target,
}

impl RelayConfig {
    /// Whether both cannot listen at once. A host has one CID, under several names.
    fn collides(&self, other: &Self) -> bool {
        match (&self.listen, &other.listen) {
            (Endpoint::Vsock { port, .. }, Endpoint::Vsock { port: other, .. }) => port == other,
            (one, other) => one == other,
        }
    }
}

/// Every way out: one at least, each with a listener of its own.
#[derive(Debug)]
pub struct Relays {
    first: RelayConfig,
    others: Vec<RelayConfig>,
}

impl Relays {
    /// Checks the rules, for an enclave that listens at `enclave`; says which is broken.
    pub fn new(relays: Vec<RelayConfig>, enclave: &Endpoint) -> Result<Self, &'static str> {
        if relays.iter().any(|relay| matches!(relay.listen, Endpoint::HybridVsock { .. })) {
            return Err("relay.listen: expected unix:// or vsock://");
        }
        // Whoever connects to a vsock is told from the enclave by its CID, which only this URL has.
        let knows_cid = matches!(enclave, Endpoint::Vsock { .. });
        if !knows_cid && relays.iter().any(|it| matches!(it.listen, Endpoint::Vsock { .. })) {
            return Err("relay.listen: expected unix://, because enclave.endpoint is not vsock://");
        }
        let collides = |(index, relay): (usize, &RelayConfig)| {
            relays.iter().take(index).any(|earlier| relay.collides(earlier))
        };
        if relays.iter().enumerate().any(collides) {
            return Err("relay.listen: expected another one for each relay");
        }
        let mut relays = relays.into_iter();
        let first = relays.next().ok_or("relay: expected one at least")?;
        Ok(Self { first, others: relays.collect() })
    }

    /// The one to KMS.
    pub fn first(&self) -> &RelayConfig {
        &self.first
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &RelayConfig> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// Reads a host name, an IPv4 address or an IPv6 address in brackets; a colon; and a port.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        let sound = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(named),
        };
        (sound && port != 0).then(|| Self(text.to_owned()))
    }

    /// `host:port`, as [`tokio::net::TcpStream::connect`] takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

strongroom_shared::serde_as_text!(Target, "HOST:PORT");
