//! To whom a request is.

use http::HeaderMap;

use super::{AuthenticationError, HOST, single};

/// Whether the host of a request, with a port or without, is one of these names. The signature covers it:
/// what is signed for another service is not for this one.
pub(in crate::kms) fn check_host(
    headers: &HeaderMap,
    names: &[String],
) -> Result<(), AuthenticationError> {
    let host = single(headers, HOST)?.unwrap_or_default();
    let port = |(_, port): &(&str, &str)| port.parse::<u16>().is_ok();
    let name = host.rsplit_once(':').filter(port).map_or(host, |(name, _)| name);
    if names.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(AuthenticationError::Scope("Host must be a name of this service."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_host_is_one_of_the_services_names() {
        let names = ["localhost".to_owned(), "kms.test".to_owned()];
        let check = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            check_host(&headers, &names)
        };
        for host in ["localhost", "localhost:8443", "kms.test", "KMS.test:443"] {
            assert!(check(host).is_ok(), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "localhost:",
            "localhost:99999",
            "localhost:x",
            "a.localhost",
            "kms.test.",
        ] {
            assert_eq!(check(host).unwrap_err().kind(), "InvalidSignatureException", "{host}");
        }
        assert!(check_host(&HeaderMap::new(), &names).is_err());
    }
}
