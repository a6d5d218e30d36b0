//! One connection, many requests.

use std::time::Duration;

use strongroom_host_proxy::relay::{Connection, MAX_WAITING, RelayError};
use strongroom_host_proxy::transport::connect;
use strongroom_shared::endpoint::Endpoint;
use strongroom_shared::frame::MAX_FRAME;
use strongroom_shared::problem::{Code, Problem};
use strongroom_shared::wire::{Call, EnclaveMessage, Phase, Reply};

use crate::fake_enclave::{Door, Host, bytes};

const USEFUL: Duration = Duration::from_secs(5);

async fn pair() -> (tempfile::TempDir, Connection, Host) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("enclave.sock");
    let door = Door::open(&path);
    let opening = tokio::spawn(async move {
        Connection::open(connect(&Endpoint::Unix(path)).await.unwrap()).await
    });
    let host = door.greeted(Phase::Ready).await;
    let (connection, phase) = opening.await.unwrap().unwrap();
    assert_eq!(phase, Phase::Ready);
    (dir, connection, host)
}

/// What a refusal names shows which call it answers.
fn answer_to(call: &Call) -> Reply {
    match call {
        Call::Sign(body) => {
            Reply::Refused(Problem::new(Code::NotFound, String::from_utf8_lossy(body)))
        }
        other => panic!("{other:?}"),
    }
}

async fn ask(connection: &Connection, text: &str) -> Result<String, RelayError> {
    match connection.call(Call::Sign(bytes(text)), USEFUL).await? {
        Reply::Refused(problem) => Ok(problem.detail),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn replies_come_in_any_order_and_ids_rise() {
    let (_dir, connection, mut host) = pair().await;
    let enclave = tokio::spawn(async move {
        let mut requests = Vec::new();
        while requests.len() < 3 {
            requests.push(host.request().await.unwrap());
        }
        assert!(requests.is_sorted_by(|a, b| a.id < b.id));
        assert!(requests.iter().all(|request| (4_000..=5_000).contains(&request.deadline_ms)));
        for request in requests.iter().rev() {
            host.reply(request.id, answer_to(&request.call)).await;
        }
        host
    });
    let (a, b, c) =
        tokio::join!(ask(&connection, "a"), ask(&connection, "b"), ask(&connection, "c"));
    assert_eq!([a.unwrap(), b.unwrap(), c.unwrap()], ["a", "b", "c"]);
    enclave.await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_is_told_to_everyone_who_waits() {
    let (_dir, connection, mut host) = pair().await;
    let enclave = tokio::spawn(async move {
        host.request().await.unwrap();
        host.request().await.unwrap();
    });
    let (a, b) = tokio::join!(ask(&connection, "a"), ask(&connection, "b"));
    assert!(matches!(a, Err(RelayError::Lost)));
    assert!(matches!(b, Err(RelayError::Lost)));
    enclave.await.unwrap();
    connection.closed().await;
    assert!(matches!(ask(&connection, "later").await, Err(RelayError::Lost)));
}

#[tokio::test]
async fn what_waited_too_long_is_not_sent() {
    let (_dir, connection, mut host) = pair().await;
    let late = connection.call(Call::Wallets, Duration::ZERO).await;
    assert!(matches!(late, Err(RelayError::Expired)));
    let enclave = tokio::spawn(async move {
        let request = host.request().await.unwrap();
        host.reply(request.id, answer_to(&request.call)).await;
        host
    });
    assert_eq!(ask(&connection, "next").await.unwrap(), "next");
    enclave.await.unwrap();
}

#[tokio::test]
async fn the_number_that_waits_is_bounded() {
    let (_dir, connection, mut host) = pair().await;
    let waiting: Vec<_> = (0..MAX_WAITING)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { ask(&connection, "x").await })
        })
        .collect();
    let mut first = host.request().await.unwrap();
    for _ in 1..MAX_WAITING {
        first = host.request().await.unwrap();
    }
    assert!(matches!(ask(&connection, "one more").await, Err(RelayError::Overloaded)));
    host.reply(first.id, answer_to(&first.call)).await;
    drop(host);
    let mut answered = 0;
    for task in waiting {
        answered += usize::from(task.await.unwrap().is_ok());
    }
    assert_eq!(answered, 1);
}

#[tokio::test]
async fn too_large_for_a_frame_is_refused_and_the_connection_stays() {
    let (_dir, connection, mut host) = pair().await;
    let large = "x".repeat(MAX_FRAME);
    assert!(matches!(ask(&connection, &large).await, Err(RelayError::TooLarge)));
    let enclave = tokio::spawn(async move {
        let request = host.request().await.unwrap();
        host.reply(request.id, answer_to(&request.call)).await;
        host
    });
    let nearly = "x".repeat(MAX_FRAME / 2);
    assert_eq!(ask(&connection, &nearly).await.unwrap(), nearly);
    enclave.await.unwrap();
}

#[tokio::test]
async fn nonsense_ends_the_connection() {
    let frames: [&[u8]; 3] = [&[0xff; 4], &[0, 0, 0, 1, 0xff], &[0, 0, 0, 2, 0x81, 0x81]];
    for nonsense in frames {
        let (_dir, connection, mut host) = pair().await;
        host.write(nonsense).await;
        connection.closed().await;
    }
    let (_dir, connection, mut host) = pair().await;
    host.reply(7, Reply::Wallets(Vec::new())).await;
    connection.closed().await;
    let (_dir, connection, mut host) = pair().await;
    host.send(&EnclaveMessage::Refused(Problem::new(Code::FrameMalformed, "x"))).await;
    connection.closed().await;
}

#[tokio::test(start_paused = true)]
async fn an_enclave_that_never_answers_is_given_up() {
    let (_dir, connection, host) = pair().await;
    assert!(matches!(ask(&connection, "x").await, Err(RelayError::Lost)));
    drop(host);
}

#[tokio::test]
async fn a_hello_of_another_version_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("enclave.sock");
    let door = Door::open(&path);
    let refused = EnclaveMessage::Refused(Problem::new(Code::ProtocolVersion, "expected 2"));
    let other = EnclaveMessage::Hello { version: 2, phase: Phase::Ready };
    for (answer, code) in [(refused, Code::ProtocolVersion), (other, Code::EnclaveUnavailable)] {
        let endpoint = Endpoint::Unix(path.clone());
        let opening =
            tokio::spawn(async move { Connection::open(connect(&endpoint).await.unwrap()).await });
        let mut host = door.connection().await;
        host.receive().await.unwrap();
        host.send(&answer).await;
        let error = opening.await.unwrap().err().unwrap();
        assert_eq!(Problem::from(error).code, code);
    }
}

#[test]
fn every_failure_has_its_code() {
    for (error, code) in [
        (RelayError::Lost, Code::EnclaveUnavailable),
        (RelayError::Overloaded, Code::Overloaded),
        (RelayError::Expired, Code::DeadlineExceeded),
        (RelayError::TooLarge, Code::BodyTooLarge),
    ] {
        assert_eq!(Problem::from(error).code, code);
    }
}
