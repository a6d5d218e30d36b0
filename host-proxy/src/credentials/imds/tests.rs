#![allow(clippy::unwrap_used)]
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::{CredentialsError, Lender, Source};
use super::*;
use crate::metrics::Metrics;

const NOW: UtcSeconds = UtcSeconds::new(1_795_255_200);
const LIMIT: Duration = Duration::from_millis(500);

/// What the service says next.
#[derive(Clone)]
struct Answers {
    token: (u16, String),
    role: (u16, String),
    document: (u16, String),
    /// The step that is never answered.
    silent: Option<Step>,
}

fn document(key: &str, expires: UtcSeconds) -> String {
    format!(
        r#"{{"Code":"Success","LastUpdated":"2026-11-21T09:00:00Z","Type":"AWS-HMAC",
        "AccessKeyId":"{key}","SecretAccessKey":"SECRET/+","Token":"TOKEN==","Expiration":"{expires}"}}"#
    )
}

impl Answers {
    fn good(key: &str, seconds: u64) -> Self {
        Self {
            token: (200, "AQAEA-token==".into()),
            role: (200, "strongroom-enclave".into()),
            document: (200, document(key, NOW.plus_seconds(seconds))),
            silent: None,
        }
    }
}

/// A metadata service that takes nothing but the second version.
struct Fake {
    address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<String>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Fake {
    async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answers, asked) = (Arc::new(Mutex::new(answers)), Arc::new(Mutex::new(Vec::new())));
        let (say, heard) = (Arc::clone(&answers), Arc::clone(&asked));
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let request = String::from_utf8(request).unwrap();
                heard.lock().unwrap().push(request.lines().next().unwrap().to_owned());
                let answers = say.lock().unwrap().clone();
                let Some((status, body)) = answer(&answers, &request) else {
                    tokio::spawn(async move { (tokio::time::sleep(LIMIT * 4).await, stream) });
                    continue;
                };
                let length = body.len();
                let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {length}\r\n\r\n");
                // A client that has had enough may be gone.
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { address, answers, asked, server }
    }

    fn say(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// How many requests came since this was asked last.
    fn asked(&self) -> usize {
        self.asked.lock().unwrap().drain(..).count()
    }

    fn lender(&self) -> Lender {
        let imds = Imds::at(self.address, LIMIT);
        Lender::new(Source::Imds(imds), &Metrics::default())
    }
}

fn answer(answers: &Answers, request: &str) -> Option<(u16, String)> {
    let (first, headers) = request.split_once("\r\n").unwrap();
    let has = |name: &str, value: &str| headers.contains(&format!("{name}: {value}\r\n"));
    assert!(has("host", "127.0.0.1"), "{headers}");
    let (step, answer) = match first.strip_suffix(" HTTP/1.1").unwrap() {
        "PUT /latest/api/token" if has("x-aws-ec2-metadata-token-ttl-seconds", "60") => {
            (Step::Token, &answers.token)
        }
        get if get.starts_with("GET") && !has("x-aws-ec2-metadata-token", &answers.token.1) => {
            return Some((401, String::new()));
        }
        "GET /latest/meta-data/iam/security-credentials/" => (Step::Role, &answers.role),
        "GET /latest/meta-data/iam/security-credentials/strongroom-enclave" => {
            (Step::Credentials, &answers.document)
        }
        _ => return Some((404, String::new())),
    };
    (answers.silent != Some(step)).then(|| answer.clone())
}

#[tokio::test]
async fn three_requests_give_credentials_and_each_boot_asks_anew() {
    let fake = Fake::start(Answers::good("ASIAFIRST", 3600)).await;
    let lender = fake.lender();
    let lent = lender.lend(NOW).await.unwrap();
    assert_eq!(lent.access_key_id, "ASIAFIRST");
    assert_eq!(lent.secret_access_key, "SECRET/+");
    assert_eq!(lent.session_token.as_deref(), Some("TOKEN=="));
    assert_eq!(fake.asked(), 3);

    fake.say(Answers::good("ASIASECOND", 7200));
    let lent = lender.lend(NOW).await.unwrap();
    assert_eq!((lent.access_key_id.as_str(), fake.asked()), ("ASIASECOND", 3));
    fake.say(Answers::good("ASIATHIRD", 10_800));
    let stepped_back = UtcSeconds::new(0);
    let lent = lender.lend(stepped_back).await.unwrap();
    assert_eq!((lent.access_key_id.as_str(), fake.asked()), ("ASIATHIRD", 3));
    assert_eq!((lender.metrics.fetches.get(), lender.metrics.failures.get()), (3, 0));
}

#[tokio::test]
async fn the_cached_ones_serve_to_their_end_while_the_service_fails() {
    let fake = Fake::start(Answers::good("ASIAFIRST", 3600)).await;
    let lender = fake.lender();
    lender.lend(NOW).await.unwrap();
    fake.say(Answers { token: (500, String::new()), ..Answers::good("", 0) });
    let lent = lender.lend(NOW.plus_seconds(3599)).await.unwrap();
    assert_eq!(lent.access_key_id, "ASIAFIRST");
    let ended = lender.lend(NOW.plus_seconds(3600)).await.unwrap_err().to_string();
    assert_eq!(ended, "IMDS: token: expected status 200, found 500");
    assert!(lender.cached.lock().await.is_none(), "wiped");
    assert_eq!((lender.metrics.fetches.get(), lender.metrics.failures.get()), (3, 2));
}

#[test]
fn strings_with_escapes_are_strings() {
    let text = document("AS\\u0049A", NOW).replace("SECRET/+", "SECRET\\/+");
    let text = text.replace("Success", "Succ\\u0065ss");
    let read = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(read.credentials.access_key_id, "ASIA");
    assert_eq!(read.credentials.secret_access_key, "SECRET/+");
    assert_eq!(read.expires, NOW);
    let escaped_away = text.replace("TOKEN==", "TOKEN\\n");
    assert!(matches!(parse(escaped_away.as_bytes()), Err(ImdsError::Unusable(_))));
}

#[tokio::test]
async fn every_refusal_says_which_step_and_does_not_echo() {
    let good = || Answers::good("ASIAFIRST", 3600);
    let document = |from: &str, to: &str| {
        let (status, text) = good().document;
        assert!(text.contains(from));
        Answers { document: (status, text.replacen(from, to, 1)), ..good() }
    };
    let whole = |text: &str| Answers { document: (200, text.into()), ..good() };
    for (answers, expected) in [
        (
            Answers { token: (403, String::new()), ..good() },
            "token: expected status 200, found 403",
        ),
        (Answers { token: (200, "SECRET\u{1}".into()), ..good() }, "token: expected what a header"),
        (Answers { role: (404, "SECRET".into()), ..good() }, "expected a role that is attached"),
        (Answers { role: (200, String::new()), ..good() }, "expected a role that is attached"),
        (
            Answers { role: (200, "SECRET/../..".into()), ..good() },
            "name of the role: expected one",
        ),
        (Answers { role: (200, "one\ntwo".into()), ..good() }, "name of the role: expected one"),
        (Answers { role: (302, String::new()), ..good() }, "name of the role: expected status 200"),
        (
            Answers { document: (404, "SECRET".into()), ..good() },
            "credentials of the role: expected",
        ),
        (whole("SECRET"), "credentials of the role: expected the document of a role"),
        (whole(&"[".repeat(MAX_ANSWER + 1)), "credentials of the role: expected at most 16 KiB"),
        (whole(r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"SECRET"}"#), "code Success"),
        (document("AccessKeyId", "Other"), "credentials of the role: expected AccessKeyId"),
        (document("SecretAccessKey", "Other"), "expected SecretAccessKey"),
        (document("Token", "Other"), "expected Token"),
        (document("Expiration", "Other"), "expected Expiration"),
        (document("SECRET/+", "SECRET SECRET"), "secret access key: expected 1 to"),
        (document("Z\"}", "\"}"), "expected the document of a role"),
    ] {
        let fake = Fake::start(answers).await;
        let refused = fake.lender().lend(NOW).await.unwrap_err();
        assert!(matches!(refused, CredentialsError::Imds(_)));
        let message = refused.to_string();
        assert!(message.starts_with("IMDS: ") && message.contains(expected), "{message}");
        assert!(!message.contains("SECRET") && !message.contains("ASIA"), "{message}");
    }
}

#[tokio::test]
async fn a_service_that_is_slow_or_away_or_speaks_something_else_is_refused_in_time() {
    for step in [Step::Token, Step::Role, Step::Credentials] {
        let fake = Fake::start(Answers { silent: Some(step), ..Answers::good("A", 3600) }).await;
        let message = fake.lender().lend(NOW).await.unwrap_err().to_string();
        assert_eq!(message, "IMDS: expected an answer within 500 ms");
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let imds = Imds::at(listener.local_addr().unwrap(), LIMIT);
    let garbage = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-SECRET\r\n").await.unwrap();
        stream
    };
    let (refused, _) = tokio::join!(imds.fetch(), garbage);
    let message = refused.err().unwrap().to_string();
    assert!(message.starts_with("token: ") && !message.contains("SECRET"), "{message}");

    drop(listener);
    let away = imds.fetch().await.err().unwrap();
    assert!(matches!(away, ImdsError::Connect(_)), "{away}");
}
