//! The credentials that the host lends.

use strongroom_shared::problem::Code;
use strongroom_shared::wire::{Call, Credentials};
use strongroom_tests::lying_kms;
use strongroom_tests::world::{World, boot};

use crate::start;

type Change = fn(&mut Credentials);

/// KMS looks at the signature first: what a host without the role's credentials gets.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_nobody_are_refused() {
    let world = World::released().await;
    let (_running, mut host) = start(&world, world.kms_address()).await;
    let changes: [(Change, &str); 2] = [
        (|it| it.access_key_id = "AKIAIOSFODNN7EXAMPLE".into(), "UnrecognizedClientException"),
        (|it| it.secret_access_key = "not-the-secret".into(), "InvalidSignatureException"),
    ];
    for (change, code) in changes {
        let mut material = world.material(None);
        change(&mut material.credentials);
        let call = Call::Boot(Box::new(material));
        let problem = host.refused(call).await;
        assert_eq!(problem.code, Code::BootKmsRefused);
        assert!(problem.detail.contains(code), "{problem}");
    }
    boot(&mut host, world.material(None)).await;
}

/// Header values cannot have every character, and what signs with such would not return.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_fit_into_no_request_are_refused() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, |_| {}).await;
    let (_running, mut host) = start(&world, kms.address).await;
    let changes: [(Change, &str); 13] = [
        (|it| it.access_key_id = "A\nB".into(), "access_key_id"),
        (|it| it.access_key_id = String::new(), "access_key_id"),
        (|it| it.access_key_id = "A/B".into(), "access_key_id"),
        (|it| it.access_key_id = "A\u{e9}B".into(), "access_key_id"),
        (|it| it.access_key_id = "A".repeat(129), "access_key_id"),
        (|it| it.secret_access_key = String::new(), "secret_access_key"),
        (|it| it.secret_access_key = "a b".into(), "secret_access_key"),
        (|it| it.secret_access_key = "\u{e9}".into(), "secret_access_key"),
        (|it| it.secret_access_key = "a".repeat(257), "secret_access_key"),
        (|it| it.session_token = Some(String::new()), "session_token"),
        (|it| it.session_token = Some("a\r\nb: c".into()), "session_token"),
        (|it| it.session_token = Some("\u{7f}".into()), "session_token"),
        (|it| it.session_token = Some("a".repeat(16_385)), "session_token"),
    ];
    for (change, field) in changes {
        let mut material = world.material(None);
        change(&mut material.credentials);
        let problem = host.refused(Call::Boot(Box::new(material))).await;
        assert_eq!(problem.code, Code::MalformedRequest, "{problem}");
        let bounds = match field {
            "access_key_id" => "1 to 128 letters and digits of ASCII",
            "secret_access_key" => "1 to 256 visible characters of ASCII",
            _ => "1 to 16384 visible characters of ASCII",
        };
        assert_eq!(problem.detail, format!("boot: kms: credentials: {field}: expected {bounds}"));
    }
    assert_eq!(kms.operations(), Vec::<String>::new());
    boot(&mut host, world.material(None)).await;
}

/// What is as long as it may be reaches KMS, which knows nobody of that name.
#[tokio::test(flavor = "multi_thread")]
async fn the_longest_credentials_are_kms_s_to_refuse() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, |_| {}).await;
    let (_running, mut host) = start(&world, kms.address).await;
    let mut material = world.material(None);
    material.credentials = Credentials {
        access_key_id: "A".repeat(128),
        secret_access_key: "!".repeat(256),
        session_token: Some("~".repeat(16_384)),
    };
    let problem = host.refused(Call::Boot(Box::new(material))).await;
    assert_eq!(problem.code, Code::BootKmsRefused, "{problem}");
    assert_eq!(kms.operations(), ["DescribeKey"]);
    boot(&mut host, world.material(None)).await;
}
