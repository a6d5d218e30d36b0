//! Asks the local KMS without a server between: signed requests, by the signer of the AWS SDKs.
//!
//! For tests and tools that play somebody with AWS credentials. The signer is the crate `aws-sigv4`, which
//! shares no code with what verifies.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningParams, SigningSettings, sign},
    sign::v4,
};
use http::{Request, header};
use rustls_pki_types::UnixTime;
use serde_json::Value;

use super::{
    KmsError, LocalKms, Reply,
    identity::{Credentials, Identities},
};

/// A caller: a role with its credentials.
pub struct Client {
    region: String,
    credentials: Credentials,
}

impl Client {
    /// The role with this ARN at the KMS in `dir`.
    ///
    /// # Errors
    /// When files cannot be read, or hold no such role.
    pub fn new(dir: &Path, role_arn: &str) -> Result<Self, KmsError> {
        let identities = Identities::load(dir)?;
        let identity = identities.role(role_arn).ok_or(KmsError::NoRole)?;
        let credentials = identity.credentials.clone();
        Ok(Self { region: identities.region, credentials })
    }

    /// Whoever has these credentials, for a region.
    pub fn with_credentials(region: &str, credentials: Credentials) -> Self {
        Self { region: region.to_owned(), credentials }
    }

    /// The request for an operation such as `Decrypt`, to the host `localhost`, signed at the time `now`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn request(
        &self,
        operation: &str,
        body: &[u8],
        now: UnixTime,
    ) -> Result<Request<Vec<u8>>, KmsError> {
        let request = Request::post("https://localhost/")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, super::CONTENT_TYPE)
            .header(super::sigv4::X_AMZ_TARGET, format!("TrentService.{operation}"))
            .body(body.to_vec())
            .map_err(|_| KmsError::Sign)?;
        self.sign(request, now)
    }

    /// Signs any request, with all of its headers.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(
        &self,
        mut request: Request<Vec<u8>>,
        now: UnixTime,
    ) -> Result<Request<Vec<u8>>, KmsError> {
        let Credentials { access_key_id, secret_access_key, session_token, .. } = &self.credentials;
        let identity = aws_credential_types::Credentials::new(
            access_key_id,
            secret_access_key.expose(),
            session_token.as_ref().map(|token| token.expose().to_owned()),
            None,
            "local kms",
        )
        .into();
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(now.as_secs()));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("kms")
            .time(time.ok_or(KmsError::Sign)?)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| KmsError::Sign)?;
        let uri = request.uri().to_string();
        let headers = request.headers().iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(request.body());
        let method = request.method().as_str();
        let signable = SignableRequest::new(method, uri, headers, body);
        let signable = signable.map_err(|_| KmsError::Sign)?;
        let signed = sign(signable, &SigningParams::V4(params)).map_err(|_| KmsError::Sign)?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    /// Asks `kms` for an operation such as `Decrypt`.
    ///
    /// # Errors
    /// When the request cannot be signed. What the KMS refuses is a reply.
    pub fn ask(
        &self,
        kms: &LocalKms,
        operation: &str,
        body: &Value,
        now: UnixTime,
    ) -> Result<Reply, KmsError> {
        let request = self.request(operation, body.to_string().as_bytes(), now)?;
        let (parts, body) = request.into_parts();
        Ok(kms.handle(&parts, &body, now))
    }
}
