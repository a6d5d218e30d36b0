#![allow(clippy::unwrap_used)]
use http::{HeaderValue, Request};

use super::*;
use crate::kms::{
    client::Client,
    identity::{self, Validity},
};

const TEMPORARY: Validity = Validity::Temporary { expires_in: None };
const REGION: &str = "eu-central-1";
const BODY: &[u8] = br#"{"KeyId":"alias/none"}"#;
/// 2015-08-30T12:36:00Z, the time of AWS's examples.
const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_440_938_160));

/// A KMS with the role `engine`, whose credentials are temporary, besides the first two.
struct World {
    dir: tempfile::TempDir,
    enclave: String,
    engine: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [enclave, _] = identity::init(dir.path(), REGION, "111122223333").unwrap();
        let engine = identity::add_role(dir.path(), "engine", TEMPORARY).unwrap();
        Self { dir, enclave: enclave.arn, engine: engine.arn }
    }

    fn identities(&self) -> Identities {
        Identities::load(self.dir.path()).unwrap()
    }

    fn credentials(&self, role: &str) -> Credentials {
        self.identities().role(role).unwrap().credentials.clone()
    }

    fn request(&self, role: &str) -> Request<Vec<u8>> {
        let client = Client::new(self.dir.path(), role).unwrap();
        client.request("DescribeKey", BODY, NOW).unwrap()
    }

    fn verify_at(
        &self,
        request: Request<Vec<u8>>,
        now: UnixTime,
    ) -> Result<Caller, AuthenticationError> {
        let (parts, body) = request.into_parts();
        verify(&parts, &body, &self.identities(), now)
    }

    fn verify(&self, request: Request<Vec<u8>>) -> Result<Caller, AuthenticationError> {
        self.verify_at(request, NOW)
    }

    /// The refusal of the enclave's request after a change.
    fn refused(&self, change: impl FnOnce(&mut Request<Vec<u8>>)) -> AuthenticationError {
        let mut request = self.request(&self.enclave);
        change(&mut request);
        self.verify(request).unwrap_err()
    }

    /// The refusal after a change of the `Authorization` header.
    fn unauthorized(&self, from: &str, to: &str) -> AuthenticationError {
        self.refused(|request| {
            let value = request.headers()[header::AUTHORIZATION].to_str().unwrap();
            assert!(value.contains(from), "{from} is not in {value}");
            let value = value.replace(from, to).parse().unwrap();
            request.headers_mut().insert(header::AUTHORIZATION, value);
        })
    }
}

#[test]
fn the_request_of_another_signer_is_verified_and_names_its_role() {
    let world = World::new();
    for role in [&world.enclave, &world.engine] {
        assert_eq!(&world.verify(world.request(role)).unwrap().arn, role);
    }
}

#[test]
fn whatever_is_under_the_signature_cannot_be_changed() {
    let world = World::new();
    let names = ["host", "content-type", "x-amz-target"];
    for name in names {
        let changed = world.refused(|request| {
            request.headers_mut().insert(name, HeaderValue::from_static("other"));
        });
        assert_eq!(changed, AuthenticationError::Mismatch, "{name}");
    }
    let absent = world.refused(|request| drop(request.headers_mut().remove("content-type")));
    assert_eq!(absent, AuthenticationError::Mismatch);
    let twice = world.refused(|request| {
        request.headers_mut().append("content-type", HeaderValue::from_static("other"));
    });
    assert_eq!(twice, AuthenticationError::Mismatch);
    for index in 0..BODY.len() {
        let changed = world.refused(|request| *request.body_mut().get_mut(index).unwrap() ^= 1);
        assert_eq!(changed, AuthenticationError::Mismatch, "byte {index}");
    }
    let method = world.refused(|request| *request.method_mut() = http::Method::PUT);
    assert_eq!(method, AuthenticationError::Mismatch);
    // The hash of the body is our own, whatever the caller says that it is.
    let unsigned = world.refused(|request| {
        let value = HeaderValue::from_static("UNSIGNED-PAYLOAD");
        request.headers_mut().insert("x-amz-content-sha256", value);
    });
    assert!(matches!(unsigned, AuthenticationError::Scope(_)));
    let mut request = world.request(&world.enclave);
    for name in [header::AUTHORIZATION.as_str(), X_AMZ_DATE] {
        request.headers_mut().remove(name);
    }
    let value = HeaderValue::from_static("UNSIGNED-PAYLOAD");
    request.headers_mut().insert("x-amz-content-sha256", value);
    let client = Client::new(world.dir.path(), &world.enclave).unwrap();
    let mut request = client.sign(request, NOW).unwrap();
    assert!(request.headers()[header::AUTHORIZATION].to_str().unwrap().contains("x-amz-content"));
    request.body_mut().push(b' ');
    assert_eq!(world.verify(request).unwrap_err(), AuthenticationError::Mismatch);
}

#[test]
fn what_is_not_under_the_signature_may_come_and_go() {
    let world = World::new();
    let mut request = world.request(&world.enclave);
    request.headers_mut().insert("user-agent", HeaderValue::from_static("another"));
    assert!(world.verify(request).is_ok());
}

#[test]
fn spaces_in_headers_are_folded_as_the_signer_folds_them() {
    let world = World::new();
    let mut request = world.request(&world.enclave);
    let value = HeaderValue::from_static("  application/x-amz-json-1.1 ");
    request.headers_mut().insert("content-type", value);
    assert!(world.verify(request).is_ok());
}

#[test]
fn no_signature_and_another_kind_of_it_are_told_apart() {
    let world = World::new();
    let none = world.refused(|request| drop(request.headers_mut().remove("authorization")));
    assert_eq!(none, AuthenticationError::Missing);
    // A presigned URL carries all of this, and is not taken.
    let query = world.refused(|request| {
        request.headers_mut().remove("authorization");
        *request.uri_mut() = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256".parse().unwrap();
    });
    assert_eq!(query, AuthenticationError::Missing);
    for other in ["Bearer abc", "AWS4-ECDSA-P256-SHA256 Credential=a", "AWS4-HMAC-SHA256", ""] {
        let refused = world.refused(|request| {
            request.headers_mut().insert("authorization", other.parse().unwrap());
        });
        assert_eq!(refused.kind(), "IncompleteSignatureException", "{other}");
    }
}

#[test]
fn an_incomplete_signature_is_refused() {
    let world = World::new();
    for (from, to) in [
        ("Credential=", "Credentials="),
        ("SignedHeaders=", "Signedheaders="),
        ("Signature=", "signature="),
        ("Signature=", "Signature"),
        ("Signature=", "Signature=0"),
        ("Signature=", "Signature=0g"),
        ("Signature=", "Signature=0A"),
        (", SignedHeaders=", ", Credential=a, SignedHeaders="),
        ("/aws4_request", ""),
        ("/aws4_request", "/aws4_request/more"),
        ("SignedHeaders=content-type;", "SignedHeaders=content-type;content-type;"),
        ("SignedHeaders=content-type;", "SignedHeaders=Content-Type;"),
        ("SignedHeaders=content-type;host;", "SignedHeaders=host;content-type;"),
        ("SignedHeaders=content-type;", "SignedHeaders=;content-type;"),
    ] {
        let refused = world.unauthorized(from, to);
        assert_eq!(refused.kind(), "IncompleteSignatureException", "{from} {to}");
        assert!(!refused.to_string().contains("AKIA"), "no echo");
    }
    for name in ["authorization", "x-amz-date", "x-amz-target"] {
        let twice = world.refused(|request| {
            let value = request.headers()[name].clone();
            request.headers_mut().append(name, value);
        });
        assert_eq!(twice.kind(), "IncompleteSignatureException", "{name}");
    }
    let undated = world.refused(|request| drop(request.headers_mut().remove("x-amz-date")));
    assert_eq!(undated.kind(), "IncompleteSignatureException");
    for date in ["20150830", "20150830T126000Z", "2015-08-30T12:36:00Z", "20150830T123600+00:00"] {
        let refused = world.refused(|request| {
            request.headers_mut().insert("x-amz-date", date.parse().unwrap());
            let value = request.headers()["authorization"].to_str().unwrap();
            let day = date.get(..8).unwrap();
            let value = value.replace("20150830", day).parse().unwrap();
            request.headers_mut().insert("authorization", value);
        });
        assert_eq!(refused.kind(), "IncompleteSignatureException", "{date}");
    }
}

#[test]
fn headers_that_must_be_signed_are() {
    let world = World::new();
    for name in ["host;", ";x-amz-date", ";x-amz-target"] {
        let refused = world.unauthorized(name, "");
        assert!(matches!(refused, AuthenticationError::Scope(_)), "{name}");
        assert_eq!(refused.kind(), "InvalidSignatureException");
    }
    // The signer takes the token under its signature; afterwards it cannot be put beside it.
    let token = world.credentials(&world.engine).session_token.unwrap();
    let beside = world.refused(|request| {
        let value = token.expose().parse().unwrap();
        request.headers_mut().insert("x-amz-security-token", value);
    });
    assert!(matches!(beside, AuthenticationError::Scope(_)));
}

#[test]
fn a_signature_of_another_day_region_service_or_terminator_is_refused() {
    let world = World::new();
    for (from, to) in [
        ("/20150830/", "/20150831/"),
        ("/eu-central-1/", "/us-east-1/"),
        ("/kms/", "/s3/"),
        ("/aws4_request", "/aws5_request"),
    ] {
        let refused = world.unauthorized(from, to);
        assert!(matches!(refused, AuthenticationError::Scope(_)), "{to}");
    }
    // Not by its scope alone: what was signed for another region stays so.
    let client = Client::with_credentials("us-east-1", world.credentials(&world.enclave));
    let refused = world.verify(client.request("DescribeKey", BODY, NOW).unwrap()).unwrap_err();
    assert!(matches!(refused, AuthenticationError::Scope(_)));
}

#[test]
fn a_signature_is_good_for_five_minutes_either_way() {
    let world = World::new();
    let at = |seconds: u64| {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        world.verify_at(world.request(&world.enclave), now)
    };
    let signed = NOW.as_secs();
    assert!(at(signed + 300).is_ok() && at(signed - 300).is_ok());
    let late = at(signed + 301).unwrap_err();
    assert_eq!(late.kind(), "InvalidSignatureException");
    assert_eq!(
        late.to_string(),
        "Signature expired: its date is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)"
    );
    let early = at(signed - 301).unwrap_err();
    assert_eq!(
        early.to_string(),
        "Signature not yet current: its date is still later than 20150830T123559Z (20150830T123059Z + \
         5 min.)"
    );
}

/// The bytes are right and the text is not.
#[test]
fn a_signature_in_upper_case_is_refused() {
    let world = World::new();
    let refused = world.refused(|request| {
        let value = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        let (start, signature) = value.split_once("Signature=").unwrap();
        let value = format!("{start}Signature={}", signature.to_uppercase());
        request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap());
    });
    assert_eq!(refused.kind(), "IncompleteSignatureException");
}

#[test]
fn credentials_expire() {
    let world = World::new();
    let validity = Validity::Temporary { expires_in: Some(Duration::from_secs(900)) };
    let role = identity::add_role(world.dir.path(), "visitor", validity).unwrap();
    let expires_at = role.credentials.expires_at.unwrap();
    let at = |seconds| {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let client = Client::new(world.dir.path(), &role.arn).unwrap();
        let mut request = client.request("DescribeKey", BODY, now).unwrap();
        (world.verify_at(request.clone(), now), {
            request.body_mut().push(b' ');
            world.verify_at(request, now)
        })
    };
    assert_eq!(at(expires_at - 1).0.unwrap().arn, role.arn);
    let (expired, forged) = at(expires_at);
    let expired = expired.unwrap_err();
    assert_eq!(expired.kind(), "ExpiredTokenException");
    assert_eq!(expired.to_string(), "The security token included in the request is expired");
    assert_eq!(forged.unwrap_err(), AuthenticationError::Mismatch, "the signature comes first");
}

#[test]
fn credentials_that_nobody_has_are_refused() {
    let world = World::new();
    let ask = |credentials| {
        let client = Client::with_credentials(REGION, credentials);
        world.verify(client.request("DescribeKey", BODY, NOW).unwrap()).unwrap_err()
    };
    let enclave = world.credentials(&world.enclave);
    let engine = world.credentials(&world.engine);
    let unknown = AuthenticationError::UnrecognizedClient;

    let access_key_id = "AKIAIOSFODNN7EXAMPLE".to_owned();
    assert_eq!(ask(Credentials { access_key_id, ..enclave.clone() }), unknown);
    let secret_access_key = engine.secret_access_key.clone();
    let wrong_secret = Credentials { secret_access_key, ..enclave.clone() };
    assert_eq!(ask(wrong_secret), AuthenticationError::Mismatch);

    assert_eq!(ask(Credentials { session_token: None, ..engine.clone() }), unknown);
    let other = identity::add_role(world.dir.path(), "other", TEMPORARY).unwrap();
    let session_token = other.credentials.session_token.clone();
    assert_eq!(ask(Credentials { session_token, ..engine.clone() }), unknown);
    let session_token = engine.session_token.clone();
    assert_eq!(ask(Credentials { session_token, ..enclave }), unknown);
}
