//! The binary itself.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use strongroom_shared::dsse::PayloadType;

/// Writes a development configuration, and gives its path.
pub(crate) fn development(dir: &Path) -> PathBuf {
    let policy = crate::samples::envelope(PayloadType::Policy, "{}");
    std::fs::write(dir.join("policy.dsse.json"), policy).unwrap();
    let at = dir.display();
    let text = format!(
        r#"
development = true
[http]
listen = "127.0.0.1:0"
[store]
database = "strongroom.sqlite"
[enclave]
endpoint = "unix://{at}/enclave.sock"
policy = "policy.dsse.json"
[[relay]]
listen = "unix://{at}/kms-relay.sock"
target = "127.0.0.1:8443"
[credentials]
source = "file"
path = "credentials"
[mock]
nsm = "mock/nsm"
image = "strongroom-dev"
enclave_config = "enclave.toml"
kms = "mock/kms"
"#
    );
    let path = dir.join("proxy.toml");
    std::fs::write(&path, text).unwrap();
    path
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn proxy(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom-proxy"));
    command.arg("--config").arg(config).env_remove("RUST_LOG").stderr(Stdio::piped());
    command
}

fn get(address: &str, path: &str) -> String {
    send(address, "GET", path, "application/json", 0)
}

/// Sends a body of `length` spaces whole before it reads anything, as simple clients do.
fn send(address: &str, method: &str, path: &str, kind: &str, length: usize) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(&vec![b' '; length]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_without_an_enclave_says_so_and_ends_on_sigterm() {
    let dir = crate::samples::private_dir();
    let mut daemon = Daemon(proxy(&development(dir.path())).spawn().unwrap());
    let mut log = BufReader::new(daemon.0.stderr.take().unwrap()).lines();
    let address = loop {
        let line = log.next().unwrap().unwrap();
        if let Some((_, address)) = line.split_once("listening on http://") {
            break address.to_owned();
        }
    };
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    let not_ready = get(&address, "/readyz");
    assert!(not_ready.starts_with("HTTP/1.1 503"), "{not_ready}");
    assert!(not_ready.contains("\"code\":\"enclave_"), "{not_ready}");

    let metrics = get(&address, "/metrics");
    assert!(metrics.contains("\r\ncontent-type: application/openmetrics-text; version=1.0.0;"));
    assert!(metrics.contains("strongroom_proxy_enclave_ready 0\n"), "{metrics}");

    let long = 16 << 20;
    let too_large = send(&address, "POST", "/v1/sign", "application/json", long);
    assert!(too_large.starts_with("HTTP/1.1 413"), "{too_large}");
    let other = send(&address, "POST", "/v1/sign", "text/plain", long);
    assert!(other.starts_with("HTTP/1.1 415"), "{other}");

    let id = daemon.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(daemon.0.wait().unwrap().success());
    let rest: Vec<_> = log.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.ends_with("stopped")), "{rest:?}");
}

#[test]
fn it_serves_on_when_nobody_reads_its_log() {
    let dir = crate::samples::private_dir();
    let mut daemon = Daemon(proxy(&development(dir.path())).spawn().unwrap());
    let mut log = BufReader::new(daemon.0.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let (_, address) = line.trim().split_once("listening on http://").unwrap();
    drop(log);
    let answer = send(address, "POST", "/v1/sign", "application/json", 0);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn a_wrong_configuration_opens_nothing() {
    let dir = crate::samples::private_dir();
    let config = development(dir.path());
    let output = proxy(&config).args(["--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("http.listen: expected a loopback address"), "{log}");
    assert!(!dir.path().join("strongroom.sqlite").exists());
    assert!(!dir.path().join("kms-relay.sock").exists());
}

#[test]
fn help_teaches() {
    let output = proxy(Path::new("-")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for taught in ["strongroom dev init", "--mock-enclave", "POST /v1/sign", "RUST_LOG"] {
        assert!(help.contains(taught), "{taught}");
    }
}
