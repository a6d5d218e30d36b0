//! What monitoring reads: `GET /metrics`, in the OpenMetrics text format, which Prometheus takes.
//!
//! Labels hold what stands in the configuration or in this code: targets, route templates, status
//! and problem codes. Nothing that a caller put into a request becomes a label.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use strongroom_shared::problem::Code;

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the proxy. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Request, Counter>,
    enclave_ready: Gauge,
    boots: Counter,
    boots_failed: Family<Failure, Counter>,
    credentials: Family<Origin, Counter>,
    credentials_failed: Family<Origin, Counter>,
    relay: RelayFamilies,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Origin {
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct To {
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    target: String,
    direction: &'static str,
}

#[derive(Clone, Default)]
struct RelayFamilies {
    accepted: Family<To, Counter>,
    refused: Family<To, Counter>,
    failed: Family<To, Counter>,
    idle: Family<To, Counter>,
    active: Family<To, Gauge>,
    bytes: Family<Way, Counter>,
}

/// What is counted of one relay.
#[derive(Clone)]
pub struct RelayMetrics {
    /// Connections that the enclave made.
    pub accepted: Counter,
    /// Of these, closed at once: not the enclave's, or too many.
    pub refused: Counter,
    /// Of these, closed because the target could not be reached.
    pub failed: Counter,
    /// Of these, closed because they carried nothing for too long.
    pub idle: Counter,
    /// Connections that are open now.
    pub active: Gauge,
    /// Bytes from the enclave that the target took.
    pub from_enclave: Counter,
    /// Bytes from the target that the enclave took.
    pub to_enclave: Counter,
}

/// What is counted of one source of credentials.
#[derive(Clone)]
pub(crate) struct SourceMetrics {
    /// How often it was asked.
    pub(crate) fetches: Counter,
    /// How often it had none to give.
    pub(crate) failures: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            enclave_ready: Gauge::default(),
            boots: Counter::default(),
            boots_failed: Family::default(),
            credentials: Family::default(),
            credentials_failed: Family::default(),
            relay: RelayFamilies::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }
}

impl Metrics {
    fn register(&self) -> Registry {
        let Self {
            registry: _,
            requests,
            enclave_ready,
            boots,
            boots_failed,
            credentials,
            credentials_failed,
            relay,
        } = self;
        let RelayFamilies { accepted, refused, failed, idle, active, bytes } = relay;
        let mut all = Registry::with_prefix("strongroom_proxy");
        all.register("http_requests", "Requests answered", requests.clone());
        let ready = "Whether the enclave is booted and can be asked";
        all.register("enclave_ready", ready, enclave_ready.clone());
        all.register("boots_attempted", "Attempts to reach and boot the enclave", boots.clone());
        all.register("boots_failed", "Such attempts that failed", boots_failed.clone());
        let asked = "How often the source was asked for AWS credentials";
        all.register("credentials_fetches", asked, credentials.clone());
        let none = "How often the source had no usable AWS credentials";
        all.register("credentials_failures", none, credentials_failed.clone());
        let mut relay = |name, help, family: &Family<To, Counter>| {
            all.register(format!("relay_connections_{name}"), help, family.clone());
        };
        relay("accepted", "Connections of the enclave to the relay", accepted);
        relay(
            "refused",
            "Such connections closed at once: not the enclave's, or too many",
            refused,
        );
        relay("failed", "Such connections closed: the target was not reached", failed);
        relay("idle_closed", "Such connections closed: idle for too long", idle);
        all.register("relay_connections_active", "Such connections open now", active.clone());
        let forwarded = "Bytes forwarded between the enclave and the target";
        all.register_with_unit("relay_forwarded", forwarded, Unit::Bytes, bytes.clone());
        all
    }

    /// Everything, as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// What the relay to this target counts; there from now on, from zero.
    pub fn relay(&self, target: &str) -> RelayMetrics {
        let RelayFamilies { accepted, refused, failed, idle, active, bytes } = &self.relay;
        let to = To { target: target.to_owned() };
        let way = |direction| Way { target: target.to_owned(), direction };
        RelayMetrics {
            accepted: accepted.get_or_create_owned(&to),
            refused: refused.get_or_create_owned(&to),
            failed: failed.get_or_create_owned(&to),
            idle: idle.get_or_create_owned(&to),
            active: active.get_or_create_owned(&to),
            from_enclave: bytes.get_or_create_owned(&way("from_enclave")),
            to_enclave: bytes.get_or_create_owned(&way("to_enclave")),
        }
    }

    /// What this source of credentials counts; there from now on, from zero.
    pub(crate) fn credentials(&self, source: &'static str) -> SourceMetrics {
        let origin = Origin { source };
        SourceMetrics {
            fetches: self.credentials.get_or_create_owned(&origin),
            failures: self.credentials_failed.get_or_create_owned(&origin),
        }
    }

    /// A request was answered. `route` is the template, none where no route matched.
    pub(crate) fn answered(&self, method: &axum::http::Method, route: Option<&str>, status: u16) {
        // A method is any word that a caller likes.
        let method = match method.as_str() {
            "GET" => "GET",
            "POST" => "POST",
            _ => "other",
        };
        let route = route.unwrap_or("none").to_owned();
        let request = Request { method, route, status: status.into() };
        self.requests.get_or_create_owned(&request).inc();
    }

    /// An attempt to reach and boot the enclave begins.
    pub(crate) fn boot_attempted(&self) {
        self.boots.inc();
    }

    /// It failed.
    pub(crate) fn boot_failed(&self, code: Code) {
        self.boots_failed.get_or_create_owned(&Failure { code: code.as_str() }).inc();
    }

    /// The enclave is ready, or it is not any more.
    pub(crate) fn ready(&self, ready: bool) {
        self.enclave_ready.set(ready.into());
    }
}
