//! How the AWS SDK reaches KMS: a stream through the host's relay, TLS that ends here, HTTP/1.1.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::clock::Clock;
use crate::config::KmsConfig;
use crate::platform::Transport;

/// The longest reply that is read, in bytes. A data key's is under 3 KiB; a key policy has at most
/// 32 KiB, each byte of which takes at most 6 in JSON.
const MAX_REPLY: usize = 256 << 10;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One TLS connection for each call: there are a handful, at the boot.
pub(super) struct KmsConnector<T> {
    transport: Arc<T>,
    tls: TlsConnector,
    host: ServerName<'static>,
}

impl<T> KmsConnector<T> {
    /// Trusts the measured roots and nothing else, at the NSM's time.
    pub(super) fn new(
        config: &KmsConfig,
        clock: Clock,
        transport: Arc<T>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_details(provider, Arc::new(clock))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&config.tls_roots))
            .with_no_client_auth();
        Ok(Self { transport, tls: TlsConnector::from(Arc::new(tls)), host: config.host.clone() })
    }
}

impl<T> Clone for KmsConnector<T> {
    fn clone(&self) -> Self {
        let Self { transport, tls, host } = self;
        Self { transport: Arc::clone(transport), tls: tls.clone(), host: host.clone() }
    }
}

impl<T> std::fmt::Debug for KmsConnector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KmsConnector")
    }
}

impl<T: Transport> HttpClient for KmsConnector<T> {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl<T: Transport> HttpConnector for KmsConnector<T> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { transport, tls, host } = self.clone();
        HttpConnectorFuture::new(async move {
            let exchange = async {
                let stream = transport.dial_kms().await?;
                let stream = tls.connect(host, stream).await?;
                exchange(stream, request).await
            };
            exchange.await.map_err(|error: BoxError| ConnectorError::io(error))
        })
    }
}

/// One request and its reply; the body is bounded.
async fn exchange<S>(stream: S, request: HttpRequest) -> Result<HttpResponse, BoxError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = request.try_into_http1x()?;
    let (mut parts, body) = request.into_parts();
    let body = body.bytes().map(Bytes::copy_from_slice).ok_or("the request's body is a stream")?;
    // HTTP/1.1 to an origin server has the path in its first line, and the host in a header (RFC
    // 9112, section 3.2.1).
    if let Some(authority) = parts.uri.authority() {
        let host = http::HeaderValue::from_str(authority.as_str())?;
        parts.headers.entry(http::header::HOST).or_insert(host);
    }
    parts.uri = parts.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
    let request = http::Request::from_parts(parts, Full::new(body));

    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let (reply, _) = tokio::join!(
        async {
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, MAX_REPLY).collect().await?.to_bytes();
            drop(sender); // lets the connection end
            Ok::<_, BoxError>(http::Response::from_parts(parts, SdkBody::from(body)))
        },
        connection
    );
    Ok(reply?.try_into()?)
}
