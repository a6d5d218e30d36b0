#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue, Request};

use super::*;

/// "Derive a signing key" of the AWS General Reference, with the day, region and service of its example.
#[test]
fn the_signing_key_is_that_of_the_aws_example() {
    let secret = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let key = |elements: &[&str]| hex::encode(signing_key(secret, elements).unwrap());
    assert_eq!(
        key(&["20120215", "us-east-1", "iam", "aws4_request"]),
        "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
    );
    assert_eq!(
        key(&["20150830", "us-east-1", "iam", "aws4_request"]),
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    );
}

/// Requests to `/` of the AWS signing test suite for Signature Version 4, by the names of its folders.
#[test]
fn signatures_of_the_aws_test_suite_are_found() {
    let header1 = |values: &[&'static str]| -> Vec<(&'static str, &'static str)> {
        values.iter().map(|value| ("my-header1", *value)).collect()
    };
    let cases = [
        (
            "get-vanilla",
            "GET",
            vec![],
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "post-vanilla",
            "POST",
            vec![],
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-header-key-sort",
            "POST",
            header1(&["value1"]),
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "post-header-value-case",
            "POST",
            header1(&["VALUE1"]),
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        (
            "get-header-key-duplicate",
            "GET",
            header1(&["value2", "value2", "value1"]),
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "get-header-value-order",
            "GET",
            header1(&["value4", "value1", "value3", "value2"]),
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        ),
        (
            "get-header-value-trim",
            "GET",
            vec![("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "get-vanilla-with-session-token",
            "GET",
            vec![(
                "x-amz-security-token",
                "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
            )],
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        ),
    ];
    for (name, method, headers, signature) in cases {
        let mut request = Request::builder().method(method).uri("/");
        request = request.header("host", "example.amazonaws.com");
        for (header, value) in &headers {
            request = request.header(*header, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let (parts, ()) =
            request.header("x-amz-date", "20150830T123600Z").body(()).unwrap().into_parts();
        let names: BTreeSet<_> = parts.headers.keys().map(HeaderName::as_str).collect();
        let names: Vec<_> = names.into_iter().collect();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        let authorization = Authorization::parse(&authorization).unwrap();
        let secret = |text: &str| serde_json::from_value(serde_json::json!(text)).unwrap();
        let signed =
            |text| signed_by(&secret(text), &authorization, "20150830T123600Z", &parts, b"");
        assert!(signed("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "{name}");
        assert!(!signed("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEX"), "{name}");
    }
}

#[test]
fn values_are_folded_and_joined_and_a_header_that_is_not_there_is_not_signed() {
    let mut headers = HeaderMap::new();
    headers.append("a", HeaderValue::from_static("  one   two "));
    headers.append("a", HeaderValue::from_static(""));
    let request = canonical_request("POST", &headers, &["a"], b"").unwrap();
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("POST\n/\n\na:one two,\n\na\ne3b0c442"), "{request}");
    assert!(canonical_request("POST", &headers, &["b"], b"").is_none());
}
