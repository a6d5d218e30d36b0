//! `--url`, against a host that answers with a document of its own choosing.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread;

use serde_json::json;
use strongroom_shared::encoding::Base64;

use crate::support::{NONCE, Run, vectors, verify};
use crate::{STRUCTURE, VALIDITY, refused};

/// Answers one request with `body`; gives how the tool ended, and the request line.
fn ask(status: &str, body: &str) -> (Run, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let request = lines.next().unwrap();
        lines.find(String::is_empty).unwrap();
        (&stream).write_all(answer.as_bytes()).unwrap();
        request
    });
    let run = verify(&["--url", &url, "--json"]);
    (run, server.join().unwrap())
}

#[test]
fn an_old_document_is_not_valid_now() {
    let Some(folder) = vectors() else { return };
    let document = Base64(fs::read(folder.join(NONCE)).unwrap());
    let body = json!({"document": document, "binding": Base64(b"{}".to_vec())}).to_string();
    let (run, request) = ask("200 OK", &body);
    refused(&run, Some(VALIDITY));

    // Each time it asks with 32 random bytes.
    let (_, again) = ask("200 OK", &body);
    assert_ne!(request, again);
    let nonce = request.strip_prefix("GET /v1/attestation?nonce=").unwrap();
    let nonce = nonce.strip_suffix(" HTTP/1.1").unwrap();
    assert_eq!(hex::decode(nonce).unwrap().len(), 32);
}

#[test]
fn what_is_no_document_is_not_valid() {
    let body = json!({"document": "AQI=", "binding": "AQI="}).to_string();
    refused(&ask("200 OK", &body).0, Some(STRUCTURE));
}

#[test]
fn no_answer_is_no_verdict() {
    let body = json!({"code": "enclave_unavailable", "detail": "not ready"}).to_string();
    for (status, body) in [("503 No", body.as_str()), ("200 OK", "{}"), ("200 OK", "<html>")] {
        let (run, _) = ask(status, body);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    }
}
