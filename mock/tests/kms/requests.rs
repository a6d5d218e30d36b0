//! What a request is made of: JSON objects, members, headers.

use std::time::Duration;

use http::{HeaderValue, Request, header};
use serde_json::{Value, json};
use strongroom_attestation::UnixTime;

use crate::world::{Answer, World, allow, answer, kind, now, recipient};

fn at() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(now()))
}

/// Asks with this body.
fn send(world: &World, operation: &str, body: &str) -> Answer {
    let request = world.admin.client.request(operation, body.as_bytes(), at()).unwrap();
    let (parts, body) = request.into_parts();
    answer(&world.kms.handle(&parts, &body, at()))
}

/// Describes the key with a request that is changed before it is signed.
fn changed(world: &World, change: impl FnOnce(&mut Request<Vec<u8>>)) -> Answer {
    let body = json!({"KeyId": world.arn}).to_string();
    let client = &world.admin.client;
    let mut request = client.request("DescribeKey", body.as_bytes(), at()).unwrap();
    for name in [header::AUTHORIZATION.as_str(), "x-amz-date"] {
        request.headers_mut().remove(name);
    }
    change(&mut request);
    let (parts, body) = client.sign(request, at()).unwrap().into_parts();
    answer(&world.kms.handle(&parts, &body, at()))
}

#[test]
fn a_body_is_an_object() {
    let world = World::new();
    let object = json!({"KeyId": world.arn}).to_string();
    assert!(send(&world, "DescribeKey", &format!(" \n{object} ")).is_ok());
    for body in [
        "".to_owned(),
        "null".to_owned(),
        json!([world.arn]).to_string(),
        json!(world.arn).to_string(),
        format!("{object} {object}"),
        format!("[{object}]"),
    ] {
        assert_eq!(kind(send(&world, "DescribeKey", &body)), "SerializationException", "{body}");
    }
    for operation in ["CreateKey", "GenerateRandom", "ListGrants", "Decrypt"] {
        assert_eq!(kind(send(&world, operation, "[]")), "SerializationException", "{operation}");
    }
}

#[test]
fn what_is_in_a_body_is_an_object_too() {
    let world = World::new();
    let document = recipient(&world.document(&world.nsm));
    let members: Vec<_> =
        ["KeyEncryptionAlgorithm", "AttestationDocument"].map(|of| document.get(of)).into();
    let request = json!({"KeyId": world.arn, "KeySpec": "AES_256", "Recipient": members});
    let answer = world.ask(&world.enclave, "GenerateDataKey", &request);
    assert_eq!(kind(answer), "SerializationException");
    world.add_to_policy(&[allow(&world.admin.arn, &["kms:CreateGrant"])]);
    let grant = |constraints: Value| {
        let request = json!({
            "KeyId": world.arn, "GranteePrincipal": world.enclave.arn, "Operations": ["Decrypt"],
            "Constraints": constraints
        });
        world.ask(&world.admin, "CreateGrant", &request)
    };
    assert_eq!(kind(grant(json!([{"a": "1"}, {"a": "1"}]))), "SerializationException");
    assert!(grant(json!({"EncryptionContextEquals": {"a": "1"}})).is_ok());
}

#[test]
fn members_that_must_be_there_are() {
    let world = World::new();
    let arn = &world.arn;
    for (operation, request) in [
        ("Decrypt", json!({})),
        ("Decrypt", json!({"CiphertextBlob": null})),
        ("Encrypt", json!({"Plaintext": "AA=="})),
        ("Encrypt", json!({"KeyId": arn})),
        ("ReEncrypt", json!({"CiphertextBlob": "AA=="})),
        ("GenerateDataKey", json!({"KeyId": null, "KeySpec": "AES_256"})),
        ("GenerateRandom", json!({})),
        ("PutKeyPolicy", json!({"KeyId": arn})),
        ("CreateGrant", json!({"KeyId": arn, "GranteePrincipal": world.enclave.arn})),
        ("RevokeGrant", json!({"KeyId": arn})),
        ("ListKeyRotations", json!({})),
        ("DescribeKey", json!({})),
    ] {
        let answer = world.ask(&world.admin, operation, &request);
        assert_eq!(kind(answer), "ValidationException", "{operation} {request}");
    }
}

#[test]
fn null_is_as_good_as_nothing() {
    let world = World::new();
    world.add_to_policy(&[allow(&world.admin.arn, &["kms:*"])]);
    let arn = &world.arn;
    let encrypt = json!({
        "KeyId": arn, "Plaintext": "AA==", "EncryptionContext": null, "EncryptionAlgorithm": null,
        "DryRun": null
    });
    let sealed = world.ask(&world.admin, "Encrypt", &encrypt).unwrap();
    let blob = sealed.get("CiphertextBlob").unwrap();
    let policy = json!({"Statement": allow("*", &["kms:*"])}).to_string();
    for (operation, request) in [
        (
            "Decrypt",
            json!({
                "CiphertextBlob": blob, "KeyId": null, "EncryptionContext": null, "Recipient": null,
                "DryRun": null
            }),
        ),
        (
            "ReEncrypt",
            json!({
                "CiphertextBlob": blob, "SourceKeyId": null, "SourceEncryptionContext": null,
                "DestinationKeyId": arn, "DestinationEncryptionContext": null, "DryRun": null
            }),
        ),
        (
            "GenerateDataKey",
            json!({
                "KeyId": arn, "KeySpec": "AES_256", "NumberOfBytes": null, "EncryptionContext": null,
                "Recipient": null, "DryRun": null
            }),
        ),
        (
            "CreateGrant",
            json!({
                "KeyId": arn, "GranteePrincipal": world.enclave.arn, "Operations": ["Decrypt"],
                "Name": null, "RetiringPrincipal": null, "Constraints": null, "DryRun": null
            }),
        ),
        (
            "ListGrants",
            json!({
                "KeyId": arn, "Limit": null, "Marker": null, "GrantId": null, "GranteePrincipal": null
            }),
        ),
        (
            "CreateKey",
            json!({
                "Policy": null, "BypassPolicyLockoutSafetyCheck": null, "Description": null,
                "KeySpec": null, "MultiRegion": null, "Tags": null
            }),
        ),
        (
            "PutKeyPolicy",
            json!({
                "KeyId": arn, "PolicyName": null, "Policy": policy,
                "BypassPolicyLockoutSafetyCheck": null
            }),
        ),
    ] {
        let answer = world.ask(&world.admin, operation, &request);
        assert!(answer.is_ok(), "{operation}: {answer:?}");
    }
}

#[test]
fn a_request_says_what_its_body_is() {
    let world = World::new();
    assert!(changed(&world, |_| {}).is_ok());
    for other in ["application/json", "application/x-amz-json-1.0", "text/plain", ""] {
        let refused = changed(&world, |request| {
            request.headers_mut().insert(header::CONTENT_TYPE, other.parse().unwrap());
        });
        assert_eq!(kind(refused), "UnknownOperationException", "{other}");
    }
    let none = changed(&world, |request| drop(request.headers_mut().remove(header::CONTENT_TYPE)));
    assert_eq!(kind(none), "UnknownOperationException");
}

#[test]
fn a_request_is_to_a_name_of_the_certificate() {
    let world = World::new();
    let to = |host: &'static str| {
        changed(&world, |request| {
            let authority = format!("https://{host}/").parse().unwrap();
            *request.uri_mut() = authority;
            request.headers_mut().insert(header::HOST, HeaderValue::from_static(host));
        })
    };
    assert!(to("localhost:8443").is_ok());
    for host in ["kms.eu-central-1.amazonaws.com", "127.0.0.1:8443", "kms.test"] {
        assert_eq!(kind(to(host)), "InvalidSignatureException", "{host}");
    }
    strongroom_mock::kms::init(world.dir.path(), "eu-central-1", Some("kms.test")).unwrap();
    let anchor = world.pki.trust_anchor().unwrap();
    let kms = strongroom_mock::kms::LocalKms::open(world.dir.path(), anchor).unwrap();
    let World { dir, pki, arn, nsm, key, enclave, admin, attacker, .. } = world;
    let world = World { dir, pki, kms, arn, nsm, key, enclave, admin, attacker };
    let named = changed(&world, |request| {
        *request.uri_mut() = "https://kms.test/".parse().unwrap();
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("kms.test"));
    });
    assert!(named.is_ok());
}

#[test]
fn each_header_of_aws_is_under_the_signature() {
    let world = World::new();
    let request = json!({"KeyId": world.arn}).to_string();
    let client = &world.admin.client;
    let mut request = client.request("DescribeKey", request.as_bytes(), at()).unwrap();
    request.headers_mut().insert("x-amz-user-agent", HeaderValue::from_static("another"));
    let (parts, body) = request.into_parts();
    let beside = answer(&world.kms.handle(&parts, &body, at()));
    assert_eq!(kind(beside), "InvalidSignatureException");
    let under = changed(&world, |request| {
        request.headers_mut().insert("x-amz-user-agent", HeaderValue::from_static("another"));
    });
    assert!(under.is_ok());
}
