#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use super::*;

fn server(url: &str) -> Result<Client, Error> {
    let tls = Tls { ca: None, client_cert: None, client_key: None };
    Server { url: url.into(), tls }.client()
}

#[test]
fn plain_http_stays_on_this_machine() {
    for good in ["http://127.0.0.1:8480", "http://localhost:1/", "http://[::1]:8480"] {
        assert!(server(good).is_ok(), "{good}");
    }
    for wrong in ["http://10.0.0.1:8480", "http://127.0.0.1.example.org", "http://localhost.org"] {
        let error = server(wrong).err().unwrap();
        assert!(matches!(error, Error::Http(HttpError::PlainToAnother)), "{wrong}");
    }
    for wrong in ["ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://127.0.0.1/?a=b"] {
        assert!(matches!(server(wrong).err().unwrap(), Error::Http(HttpError::Url)), "{wrong}");
    }
    let error = server("https://strongroom.internal").err().unwrap();
    assert!(matches!(error, Error::Http(HttpError::NoRoots)));
}

#[test]
fn a_refusal_is_shown_without_control_characters() {
    let response = Response {
        status: 412,
        body: br#"{"code":"path_denied","detail":"no\u001b[2J","status":412}"#.to_vec(),
    };
    assert_eq!(response.refusal().to_string(), "path_denied: no[2J (http 412)");
    let response = Response { status: 502, body: b"<html>".to_vec() };
    assert!(response.refusal().to_string().contains("did not say why"));
}

#[test]
fn queries_are_escaped() {
    assert_eq!(query_value("m/44'/60'/0'/0/7"), "m%2F44%27%2F60%27%2F0%27%2F0%2F7");
}

#[test]
fn pem_without_certificates_is_refused() {
    let error = certificates(b"no", Path::new("ca.pem")).err().unwrap();
    assert_eq!(error.to_string(), "ca.pem: expected certificates in pem");
}

/// Answers one request with these bytes; gives the request line and the body that it got.
fn answering(answer: &'static str) -> (Client, thread::JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = server(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut request = String::new();
        reader.read_line(&mut request).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line).unwrap() > 2 {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        (&stream).write_all(answer.as_bytes()).unwrap();
        (request.trim_end().to_owned(), String::from_utf8(body).unwrap())
    });
    (client, thread)
}

#[test]
fn a_request_and_its_answer() {
    let (client, thread) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    assert_eq!(client.get_ok("/v1/wallets").unwrap(), b"{}");
    assert_eq!(thread.join().unwrap().0, "GET /v1/wallets HTTP/1.1");

    let (client, thread) = answering("HTTP/1.1 412 No\r\ncontent-length: 2\r\n\r\n{}");
    let response = client.post("/v1/sign", b"[1]").unwrap();
    assert_eq!((response.status, response.body.as_slice()), (412, &b"{}"[..]));
    let expected = ("POST /v1/sign HTTP/1.1".to_owned(), "[1]".to_owned());
    assert_eq!(thread.join().unwrap(), expected);
}

#[test]
fn what_is_no_answer_of_the_service_is_refused() {
    let (client, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>");
    assert!(matches!(client.get_ok("/"), Err(HttpError::NotJson)));
    // a redirect is not followed
    let (client, _) = answering(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    );
    assert!(matches!(client.get_ok("/"), Err(HttpError::Refused { status: 302, .. })));
    // more than any document has
    let (client, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}");
    assert!(matches!(client.get_ok("/"), Err(HttpError::Transport(_))));
    let (client, _) = answering("");
    assert!(matches!(client.get_ok("/"), Err(HttpError::Transport(_))));
}
