//! How the enclave asks KMS: TLS, retries, refusals, and replies that are not what was asked for.

use std::collections::BTreeSet;

use rustls::NamedGroup;
use rustls::server::Acceptor;
use serde_json::{Value, json};
use strongroom_shared::encoding::Base64;
use strongroom_shared::problem::Code;
use strongroom_tests::lying_kms::{self, Exchange};
use strongroom_tests::world::{World, boot};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::{nothing_was_released, refused, start};

/// What stands in a ClientHello that no handshake follows.
struct Offered {
    groups: Vec<NamedGroup>,
    /// Of the extension `supported_versions` (RFC 8446, section 4.2.1).
    versions: Vec<[u8; 2]>,
    server_name: Option<String>,
}

/// Accepts one connection, reads its ClientHello, and closes.
async fn client_hello(listener: TcpListener) -> Offered {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        stream.read_buf(&mut bytes).await.unwrap();
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut bytes.as_slice()).unwrap();
        let Some(accepted) = acceptor.accept().map_err(|(error, _)| error).unwrap() else {
            continue;
        };
        let hello = accepted.client_hello();
        return Offered {
            groups: hello.named_groups().unwrap().to_vec(),
            versions: supported_versions(&bytes),
            server_name: hello.server_name().map(str::to_owned),
        };
    }
}

/// Type 43, length, and a list after its own length in one byte.
fn supported_versions(hello: &[u8]) -> Vec<[u8; 2]> {
    let found = hello.windows(5).position(|it| {
        it[..3] == [0, 43, 0] && it[3].checked_sub(1) == Some(it[4]) && it[4] % 2 == 0 && it[4] < 9
    });
    let start = found.unwrap() + 5;
    let length = usize::from(hello[start - 1]);
    hello[start..start + length].chunks(2).map(|version| [version[0], version[1]]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_at_least_and_a_hybrid_key_exchange_first() {
    let world = World::released().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let offered = tokio::spawn(client_hello(listener));
    let (_running, mut host) = start(&world, address).await;
    refused(&world, &mut host, None, Code::BootKmsUnreachable).await;
    let offered = offered.await.unwrap();
    assert_eq!(offered.groups[0], NamedGroup::X25519MLKEM768);
    assert!(offered.groups.contains(&NamedGroup::X25519), "for a KMS that does not know it");
    assert_eq!(offered.versions, [[3, 4], [3, 3]], "TLS 1.3 and 1.2");
    assert_eq!(offered.server_name.unwrap(), "localhost");
}

/// Throttles the first `times` calls of every operation.
fn throttle(times: usize) -> impl Fn(&mut Exchange<'_>) + Send + Sync {
    move |exchange| {
        if exchange.times <= times {
            exchange.refuse("ThrottlingException", "message");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_call_is_made_again_with_another_document() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, throttle(2)).await;
    let (_running, mut host) = start(&world, kms.address).await;
    let booted = boot(&mut host, world.material(None)).await;
    for operation in ["DescribeKey", "GetKeyPolicy", "ListGrants", "GenerateDataKey"] {
        assert_eq!(kms.asked(operation).len(), 3, "{operation}");
    }
    let stored = booted.encrypted_dek.unwrap().into_vec();
    let again = lying_kms::start(&world, throttle(2)).await;
    let (_running, mut host) = start(&world, again.address).await;
    boot(&mut host, world.material(Some(stored))).await;
    for requests in [kms.asked("GenerateDataKey"), again.asked("Decrypt")] {
        let document = |request: &Value| request["Recipient"]["AttestationDocument"].to_string();
        let documents: BTreeSet<String> = requests.iter().map(document).collect();
        assert_eq!((requests.len(), documents.len()), (3, 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_for_ever_is_a_refusal() {
    let world = World::released().await;
    let kms = lying_kms::start(&world, throttle(usize::MAX)).await;
    let (_running, mut host) = start(&world, kms.address).await;
    let problem = refused(&world, &mut host, None, Code::BootKmsRefused).await;
    assert!(problem.detail.contains("DescribeKey: refused with ThrottlingException"), "{problem}");
    assert_eq!(kms.operations(), ["DescribeKey"; 4]);
}

/// KMS spells the member in two ways; both are told. And no refusal but throttling is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_in_kms_s_own_words() {
    let world = World::released().await;
    for (code, member) in [
        ("AccessDeniedException", "Message"),
        ("AccessDeniedException", "message"),
        ("NotFoundException", "message"),
        ("UnrecognizedClientException", "message"),
        ("InvalidSignatureException", "message"),
        ("KMSInternalException", "message"),
        ("SomethingNewException", "Message"),
    ] {
        let change = move |exchange: &mut Exchange<'_>| exchange.refuse(code, member);
        let kms = lying_kms::start(&world, change).await;
        let (_running, mut host) = start(&world, kms.address).await;
        let problem = refused(&world, &mut host, None, Code::BootKmsRefused).await;
        let expected = format!("boot: kms DescribeKey: refused with {code}: in KMS's own words");
        assert_eq!(problem.detail, expected, "{member}");
        assert_eq!(kms.operations(), ["DescribeKey"]);
    }
}

/// TLS says that it is KMS; the enclave still looks at what KMS says.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_not_what_was_asked_for_is_refused() {
    let world = World::released().await;
    let other = world.key_arn().replace("eu-central-1", "eu-west-1");
    let blob = |bytes: &[u8]| json!(Base64(bytes.to_vec()));
    for (operation, what, value) in [
        ("GenerateDataKey", "KeyId", json!(other)),
        ("GenerateDataKey", "KeyId", json!(null)),
        ("GenerateDataKey", "CiphertextForRecipient", json!(null)),
        ("GenerateDataKey", "CiphertextForRecipient", blob(&[0x30, 0x80, 0, 0])),
        ("GenerateDataKey", "CiphertextBlob", json!(null)),
        ("GetKeyPolicy", "Policy", json!(null)),
    ] {
        let change = move |exchange: &mut Exchange<'_>| {
            if exchange.operation == operation {
                exchange.reply[what] = value.clone();
            }
        };
        let kms = lying_kms::start(&world, change).await;
        let (_running, mut host) = start(&world, kms.address).await;
        let problem = refused(&world, &mut host, None, Code::BootKmsReplyRefused).await;
        assert!(problem.detail.contains(what), "{what}: {problem}");
    }
    // The same detour without a change boots: it is the changes that were refused.
    let kms = lying_kms::start(&world, |_| {}).await;
    let (_running, mut host) = start(&world, kms.address).await;
    boot(&mut host, world.material(None)).await;
}

/// An attested reply has no plaintext; KMS may say so in any way that JSON has.
#[tokio::test(flavor = "multi_thread")]
async fn a_plaintext_is_refused_and_its_absence_taken_in_each_form() {
    let world = World::released().await;
    let attested = |plaintext: Option<Value>| {
        move |exchange: &mut Exchange<'_>| {
            if ["GenerateDataKey", "Decrypt"].contains(&exchange.operation) {
                let reply = exchange.reply.as_object_mut().unwrap();
                reply.remove("Plaintext");
                reply.extend(plaintext.clone().map(|it| ("Plaintext".to_owned(), it)));
            }
        }
    };
    let mut stored = Vec::new();
    for form in [None, Some(json!(null)), Some(json!(""))] {
        let kms = lying_kms::start(&world, attested(form)).await;
        let (_running, mut host) = start(&world, kms.address).await;
        let booted = boot(&mut host, world.material(None)).await;
        stored = booted.encrypted_dek.unwrap().into_vec();
        let (_running, mut host) = start(&world, kms.address).await;
        boot(&mut host, world.material(Some(stored.clone()))).await;
    }
    let plaintext = json!(Base64(vec![0x66; 32]));
    let kms = lying_kms::start(&world, attested(Some(plaintext))).await;
    let (_running, mut host) = start(&world, kms.address).await;
    for (stored, operation) in [(None, "GenerateDataKey"), (Some(&stored[..]), "Decrypt")] {
        let problem = refused(&world, &mut host, stored, Code::BootKmsReplyRefused).await;
        let expected = format!("kms {operation}: reply: expected no Plaintext");
        assert!(problem.detail.contains(&expected), "{problem}");
    }
}

/// What is said of another key says nothing of ours.
#[tokio::test(flavor = "multi_thread")]
async fn the_description_of_another_key_is_refused() {
    let world = World::released().await;
    let other = world.key_arn().replace("eu-central-1", "eu-west-1");
    for arn in [json!(other), json!(null)] {
        let change = move |exchange: &mut Exchange<'_>| {
            if exchange.operation == "DescribeKey" {
                exchange.reply["KeyMetadata"]["Arn"] = arn.clone();
            }
        };
        let kms = lying_kms::start(&world, change).await;
        let (_running, mut host) = start(&world, kms.address).await;
        let problem = refused(&world, &mut host, None, Code::BootKmsReplyRefused).await;
        assert!(problem.detail.contains("DescribeKey: reply: expected the KeyId"), "{problem}");
        nothing_was_released(&kms);
    }
}

/// A reply is read to a bound, and as what it should be.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_too_long_or_no_reply_is_refused() {
    let world = World::released().await;
    for (reply, code, expected) in [
        (json!([]), Code::BootKmsReplyRefused, "expected the JSON of this operation"),
        (json!({}), Code::BootKmsReplyRefused, "expected a KeyMetadata"),
        (json!({"A": "a".repeat(300_000)}), Code::BootKmsUnreachable, "length limit exceeded"),
    ] {
        let change = move |exchange: &mut Exchange<'_>| exchange.reply = reply.clone();
        let kms = lying_kms::start(&world, change).await;
        let (_running, mut host) = start(&world, kms.address).await;
        let problem = refused(&world, &mut host, None, code).await;
        assert!(problem.detail.contains(expected), "{problem}");
    }
}

/// A KMS, or a relay, that takes the connection and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn silence_is_not_waited_for() {
    let world = World::released().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_running, mut host) = start(&world, silent.local_addr().unwrap()).await;
    let problem = refused(&world, &mut host, None, Code::BootKmsUnreachable).await;
    assert!(problem.detail.contains("timeout"), "{problem}");
}
