//! AWS Signature Version 4 of a request, verified as the real KMS verifies it.
//!
//! The steps are those of "Create a signed AWS API request" (AWS IAM User Guide), from the side of the
//! service. Only the `Authorization` header of `POST /` is taken: a signature in the query string
//! (a presigned URL) is none. The body that is hashed is the one that arrived, whatever
//! `x-amz-content-sha256` says. The types and messages of refusals are those of AWS, without the parts in
//! which AWS repeats what the caller sent.

mod authorization;
mod canonical;
mod host;

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{HeaderMap, HeaderName, header, request::Parts};
use rustls_pki_types::UnixTime;
use thiserror::Error;
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem,
    macros::format_description,
};

use super::identity::{Caller, Credentials, Identities, Identity};
use authorization::Authorization;
use canonical::signed_by;
pub(super) use host::check_host;

const SERVICE: &str = "kms";
const TERMINATOR: &str = "aws4_request";
/// How far the clock of a caller may be off, either way. It is five minutes at the real KMS, although
/// other services of AWS grant fifteen.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// ISO 8601, basic format, UTC.
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

const HOST: &str = "host";
const X_AMZ_DATE: &str = "x-amz-date";
const X_AMZ_SECURITY_TOKEN: &str = "x-amz-security-token";
/// Names the operation.
pub(super) const X_AMZ_TARGET: &str = "x-amz-target";
/// All headers that begin so must be under the signature, besides the host.
const X_AMZ: &str = "x-amz-";
/// Headers that may be there once.
const ONCE: [&str; 4] = [HOST, X_AMZ_DATE, X_AMZ_SECURITY_TOKEN, X_AMZ_TARGET];

/// A request is not shown to be that of a known role.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum AuthenticationError {
    #[error("Request is missing Authentication Token")]
    Missing,
    /// The header, or one that it needs, is not there or cannot be read.
    #[error("{0}")]
    Incomplete(&'static str),
    /// The access key is unknown, or the session token is not that of its role.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// Signed for another day, region, service or host, or not over a header that must be signed.
    #[error("{0}")]
    Scope(&'static str),
    #[error("Signature expired: its date is now earlier than {earliest} ({now} - 5 min.)")]
    Expired { earliest: Date, now: Date },
    #[error("Signature not yet current: its date is still later than {latest} ({now} + 5 min.)")]
    NotYetCurrent { latest: Date, now: Date },
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl AuthenticationError {
    /// The type that the SDKs match on.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
            Self::Scope(_) | Self::Expired { .. } | Self::NotYetCurrent { .. } | Self::Mismatch => {
                "InvalidSignatureException"
            }
        }
    }
}

/// A time as requests write it, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date(u64);

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = i64::try_from(self.0).ok();
        let time = time.and_then(|time| OffsetDateTime::from_unix_timestamp(time).ok());
        let text = time.and_then(|time| time.format(DATE).ok());
        f.write_str(&text.ok_or(std::fmt::Error)?)
    }
}

/// The role that signed the request, of which `body` is the body as it arrived; `now` is the time of
/// the service.
pub(super) fn verify(
    parts: &Parts,
    body: &[u8],
    identities: &Identities,
    now: UnixTime,
) -> Result<Caller, AuthenticationError> {
    let authorization = single(&parts.headers, header::AUTHORIZATION.as_str())?;
    let authorization = Authorization::parse(authorization.ok_or(AuthenticationError::Missing)?)?;
    let date = single(&parts.headers, X_AMZ_DATE)?.ok_or(AuthenticationError::Incomplete(
        "Authorization header requires existence of a 'X-Amz-Date' header.",
    ))?;
    let token = single(&parts.headers, X_AMZ_SECURITY_TOKEN)?;
    check_signed_headers(&parts.headers, &authorization)?;
    check_scope(&authorization, date, &identities.region)?;
    check_window(date, now)?;

    let identity = identities.by_access_key(authorization.access_key_id);
    let identity = identity.filter(|identity| has_token(&identity.credentials, token));
    let Identity { arn, credentials } = identity.ok_or(AuthenticationError::UnrecognizedClient)?;
    if !signed_by(&credentials.secret_access_key, &authorization, date, parts, body) {
        return Err(AuthenticationError::Mismatch);
    }
    if credentials.expires_at.is_some_and(|at| at <= now.as_secs()) {
        return Err(AuthenticationError::ExpiredToken);
    }
    Ok(Caller { arn: arn.clone() })
}

/// The value of a header that may be there once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AuthenticationError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(value), None) => Ok(Some(value)),
        _ => Err(AuthenticationError::Incomplete(
            "A header of the signature must be there once, in ASCII.",
        )),
    }
}

fn check_signed_headers(
    headers: &HeaderMap,
    authorization: &Authorization<'_>,
) -> Result<(), AuthenticationError> {
    for name in ONCE {
        single(headers, name)?;
    }
    // Each request has a host, so that a signature that does not cover it is over no request.
    let names = headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with(X_AMZ));
    if names.chain([HOST]).all(|name| authorization.signed_headers.contains(&name)) {
        return Ok(());
    }
    Err(AuthenticationError::Scope(
        "'Host' and each 'X-Amz-' header must be a 'SignedHeader' in the AWS Authorization.",
    ))
}

fn check_scope(
    authorization: &Authorization<'_>,
    date: &str,
    region: &str,
) -> Result<(), AuthenticationError> {
    let Authorization { date: day, region: signed_region, service, terminator, .. } = authorization;
    let wrong = if date.get(..8) != Some(day) {
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."
    } else if *signed_region != region {
        "Credential should be scoped to a valid region."
    } else if *service != SERVICE {
        "Credential should be scoped to correct service: 'kms'."
    } else if *terminator != TERMINATOR {
        "Credential should be scoped with a valid terminator: 'aws4_request'."
    } else {
        return Ok(());
    };
    Err(AuthenticationError::Scope(wrong))
}

fn check_window(date: &str, now: UnixTime) -> Result<(), AuthenticationError> {
    // Of this length only, because a year may be parsed with a sign.
    let date = Some(date).filter(|date| date.len() == "YYYYMMDDTHHMMSSZ".len());
    let date = date.and_then(|date| PrimitiveDateTime::parse(date, DATE).ok());
    let date = date.and_then(|date| u64::try_from(date.assume_utc().unix_timestamp()).ok());
    let date = date.ok_or(AuthenticationError::Incomplete(
        "Date must be in ISO-8601 'basic format', as in 20150830T123600Z.",
    ))?;
    let now = now.as_secs();
    let earliest = now.saturating_sub(WINDOW.as_secs());
    let latest = now.saturating_add(WINDOW.as_secs());
    if date < earliest {
        Err(AuthenticationError::Expired { earliest: Date(earliest), now: Date(now) })
    } else if date > latest {
        Err(AuthenticationError::NotYetCurrent { latest: Date(latest), now: Date(now) })
    } else {
        Ok(())
    }
}

/// Whether the token is that of these credentials: none where they have none.
fn has_token(credentials: &Credentials, token: Option<&str>) -> bool {
    match (&credentials.session_token, token) {
        (None, None) => true,
        (Some(expected), Some(found)) => {
            verify_slices_are_equal(expected.expose().as_bytes(), found.as_bytes()).is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
