//! The program `strongroom-local-kms`, over TLS.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use serde_json::{Value, json};
use strongroom_mock::{kms::client::Client, pki::MockPki};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_strongroom-local-kms"))
}

fn init(dir: &Path, dns_name: &str) -> Value {
    MockPki::init(&dir.join("nsm")).unwrap();
    let output = program()
        .args(["init", "--dir"])
        .arg(dir.join("kms"))
        .arg("--mock-nsm-root")
        .arg(dir.join("nsm/root.pem"))
        .args(["--dns-name", dns_name])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn client(dir: &Path, role: &Value) -> Client {
    Client::new(&dir.join("kms"), role.as_str().unwrap()).unwrap()
}

/// Kills the server when a test fails.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let mut child = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--exit-with-stdin", "--dir"])
            .arg(dir.join("kms"))
            .arg("--mock-nsm-root")
            .arg(dir.join("nsm/root.pem"))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        // Someone must read what is logged later.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
        Self { child, port }
    }

    fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not stop");
    }

    /// Sends an operation that `client` signs to the server as `name`; gives status line and headers, and
    /// the body.
    fn post(
        &self,
        ca: &Path,
        name: &str,
        client: &Client,
        operation: &str,
        body: &str,
    ) -> std::io::Result<(String, Value)> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = UnixTime::since_unix_epoch(now);
        let request = client.request(operation, body.as_bytes(), now).unwrap();
        let mut head = String::from("POST / HTTP/1.1\r\n");
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        self.send(ca, name, &head, body)
    }

    /// Sends a request with this head, to which length and end are added.
    fn send(
        &self,
        ca: &Path,
        name: &str,
        head: &str,
        body: &str,
    ) -> std::io::Result<(String, Value)> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream =
            StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", self.port))?);
        let length = body.len();
        write!(stream, "{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply)?;
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        Ok((head.to_owned(), serde_json::from_str(body).unwrap()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_initializes_once_serves_over_tls_and_stops_with_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), "kms.test");
    let again = init(dir.path(), "kms.test");
    assert_eq!(made, again);
    let server_pem = dir.path().join("kms/server.pem");
    let before = std::fs::read(&server_pem).unwrap();
    init(dir.path(), "other.test");
    assert_ne!(std::fs::read(&server_pem).unwrap(), before, "a new name, a new certificate");
    init(dir.path(), "kms.test");

    let ca = dir.path().join("kms/ca.pem");
    assert_eq!(made["ca"].as_str().unwrap(), ca.to_str().unwrap());
    for role in ["enclave", "admin"] {
        let file = made[format!("{role}_credentials")].as_str().unwrap();
        assert!(std::fs::read_to_string(file).unwrap().starts_with("[default]\n"));
    }
    let request = json!({"KeyId": made["key_arn"]}).to_string();

    let mut server = Server::start(dir.path());
    let caller = client(dir.path(), &made["enclave_role"]);
    for name in ["localhost", "kms.test"] {
        let (head, body) = server.post(&ca, name, &caller, "DescribeKey", &request).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        assert!(head.contains("application/x-amz-json-1.1"), "{head}");
        assert_eq!(body.pointer("/KeyMetadata/Arn"), made.get("key_arn"));
    }
    assert!(server.post(&ca, "elsewhere.test", &caller, "DescribeKey", &request).is_err());
    let foreign = dir.path().join("nsm/root.pem");
    assert!(server.post(&foreign, "localhost", &caller, "DescribeKey", &request).is_err());

    let (head, body) = server.post(&ca, "localhost", &caller, "Decrypt", "{}").unwrap();
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert_eq!(body["__type"], "ValidationException");

    drop(server.child.stdin.take());
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn what_no_role_signed_is_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), "localhost");
    let ca = dir.path().join("kms/ca.pem");
    let server = Server::start(dir.path());
    let unsigned = |line: &str| {
        let head =
            format!("{line} HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: TrentService.Encrypt\r\n");
        server.send(&ca, "localhost", &head, "not json").unwrap()
    };
    let (head, body) = unsigned("POST /");
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert_eq!(
        body,
        json!({
            "__type": "MissingAuthenticationTokenException",
            "message": "Request is missing Authentication Token",
        })
    );
    for line in ["GET /", "POST /keys", "POST /?Action=Decrypt", "POST /?X-Amz-Signature=00"] {
        let (head, body) = unsigned(line);
        assert!(head.starts_with("HTTP/1.1 404"), "{line}: {head}");
        assert_eq!(body["__type"], "UnknownOperationException", "{line}");
    }

    // Of another KMS: the same ARN, another secret.
    let other = tempfile::tempdir().unwrap();
    let stranger = client(other.path(), &init(other.path(), "localhost")["enclave_role"]);
    let request = json!({"KeyId": made["key_arn"]}).to_string();
    let (head, body) = server.post(&ca, "localhost", &stranger, "DescribeKey", &request).unwrap();
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert_eq!(body["__type"], "UnrecognizedClientException");
}

#[test]
fn a_role_that_is_added_while_it_runs_may_call() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), "localhost");
    let ca = dir.path().join("kms/ca.pem");
    let server = Server::start(dir.path());
    let add = |arguments: &[&str]| {
        let mut command = program();
        command.arg("add-role").args(arguments).arg("--dir").arg(dir.path().join("kms"));
        command.output().unwrap()
    };
    let output = add(&["--name", "engine", "--temporary"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let role: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(role["arn"], "arn:aws:iam::111122223333:role/engine");
    assert_eq!(role["access_key_id"].as_str().unwrap().len(), 20);
    assert_eq!(role["secret_access_key"].as_str().unwrap().len(), 40);
    assert!(role["session_token"].is_string());
    let engine_key = role["access_key_id"].clone();

    let request = json!({"KeyId": made["key_arn"]}).to_string();
    let engine = client(dir.path(), &role["arn"]);
    let (head, _) = server.post(&ca, "localhost", &engine, "DescribeKey", &request).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");

    let output = add(&["--name", "visitor", "--temporary", "--expires-in", "15m"]);
    let role: Value = serde_json::from_slice(&output.stdout).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 890..=now + 900).contains(&role["expires_at"].as_u64().unwrap()));
    let output = add(&["--name", "late", "--temporary", "--expires-in", "0s"]);
    let role: Value = serde_json::from_slice(&output.stdout).unwrap();
    let late = client(dir.path(), &role["arn"]);
    let (head, body) = server.post(&ca, "localhost", &late, "DescribeKey", &request).unwrap();
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert_eq!(
        body,
        json!({
            "__type": "ExpiredTokenException",
            "message": "The security token included in the request is expired",
        })
    );
    for time in ["15", "m", "-1m", "1.5h", "1d"] {
        let time = format!("--expires-in={time}");
        assert!(!add(&["--name", "other", "--temporary", &time]).status.success(), "{time}");
    }
    assert!(!add(&["--name", "other", "--expires-in", "15m"]).status.success(), "not temporary");

    let output = add(&["--name", "permanent"]);
    let role: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(role.get("session_token"), None);
    assert!(!add(&["--name", "engine"]).status.success(), "a name is given once");
    assert!(!add(&["--name", "no/name"]).status.success());

    let output = add(&["--name", "engine", "--again", "--temporary"]);
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(again["arn"], "arn:aws:iam::111122223333:role/engine");
    assert_ne!(again["access_key_id"], engine_key, "further credentials of the same role");
    let output = add(&["--name", "nobody", "--again"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("expected one that this kms knows"),
        "{said}"
    );
}

#[test]
fn a_policy_that_is_set_while_it_runs_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let made = init(dir.path(), "localhost");
    let ca = dir.path().join("kms/ca.pem");
    let server = Server::start(dir.path());
    let caller = client(dir.path(), &made["enclave_role"]);
    let request = json!({"KeyId": made["key_arn"], "NumberOfBytes": 16}).to_string();
    let generate = || server.post(&ca, "localhost", &caller, "GenerateDataKey", &request).unwrap();
    assert_eq!(generate().1["__type"], "AccessDeniedException");

    let policy = dir.path().join("policy.json");
    let statement =
        json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"});
    std::fs::write(&policy, json!({"Statement": statement}).to_string()).unwrap();
    let set = |file: &Path| {
        let mut command = program();
        command.args(["set-policy", "--dir"]).arg(dir.path().join("kms"));
        command.arg("--key-policy").arg(file).status().unwrap()
    };
    assert!(set(&policy).success());
    assert!(generate().0.starts_with("HTTP/1.1 200"));
    assert!(!set(&dir.path().join("nsm/root.pem")).success());

    let set_of = |key_id: &str| {
        let mut command = program();
        command.args(["set-policy", "--key-id", key_id, "--dir"]).arg(dir.path().join("kms"));
        command.arg("--key-policy").arg(&policy).output().unwrap()
    };
    assert!(set_of(made["key_arn"].as_str().unwrap()).status.success());
    let unknown = set_of("arn:aws:kms:eu-central-1:111122223333:key/other");
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success() && said.contains("key id: expected that of a key"), "{said}");
}
