//! The real binaries, in a development environment of their own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long the binaries may take to be ready; a debug build on a busy machine needs seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// `strongroom dev init`, and the proxy with its children.
pub struct Environment {
    temporary: TempDir,
    url: String,
    proxy: Option<Child>,
}

/// An HTTP answer.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Value,
}

impl Environment {
    /// A new environment that is ready.
    pub fn start() -> Self {
        let mut environment = Self::init();
        environment.run();
        environment
    }

    /// A new environment, in which nothing runs yet.
    pub fn init() -> Self {
        let temporary = TempDir::new().unwrap();
        // The port is free now; that somebody takes it meanwhile is unlikely, and would be seen.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let environment = Self { temporary, url: format!("http://{address}"), proxy: None };
        let dir = environment.dir();
        let output =
            environment.tool(&["dev", "init", dir.to_str().unwrap(), "--listen", &address]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        environment
    }

    /// Starts the proxy, and waits until it is ready.
    pub fn run(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let proxy = Command::new(binary("strongroom-proxy"))
            .arg("--config")
            .arg(self.dir().join("proxy.toml"))
            .arg("--mock-enclave")
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.proxy = Some(proxy);
        self.until_ready();
    }

    /// Waits until `/readyz` says 200.
    pub fn until_ready(&self) {
        let start = Instant::now();
        while self.status_of("/readyz") != Some(200) {
            assert!(
                start.elapsed() < PATIENCE,
                "not ready in {PATIENCE:?}; the log ends with:\n{}",
                tail(&self.log())
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the proxy as a supervisor does, and waits for it.
    pub fn stop(&mut self) {
        if let Some(mut proxy) = self.proxy.take() {
            signal("-TERM", proxy.id());
            let start = Instant::now();
            while proxy.try_wait().unwrap().is_none() {
                if start.elapsed() > PATIENCE {
                    proxy.kill().unwrap();
                    panic!("the proxy did not stop in {PATIENCE:?}");
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Kills a child of the proxy by the name of its executable, without warning.
    pub fn kill_child(&self, name: &str) {
        let proxy = self.proxy.as_ref().unwrap().id().to_string();
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            // proc(5): the parent is the second field behind the name in brackets.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.to_owned();
            Some((pid, command, parent))
        });
        let mut children = processes.filter(|(_, _, parent)| *parent == proxy);
        let (pid, ..) = children.find(|(_, command, _)| command.contains(name)).expect(name);
        signal("-KILL", pid);
    }

    /// The environment's folder.
    pub fn dir(&self) -> PathBuf {
        self.temporary.path().join("env")
    }

    /// What the proxy and its children wrote.
    pub fn log(&self) -> PathBuf {
        self.temporary.path().join("proxy.log")
    }

    /// The file of a principal's private key.
    pub fn key(&self, principal: &str) -> String {
        self.dir().join("keys").join(format!("{principal}.pem")).to_str().unwrap().to_owned()
    }

    /// The trust anchor of the mock NSM.
    pub fn root(&self) -> String {
        self.dir().join("mock/nsm/root.pem").to_str().unwrap().to_owned()
    }

    /// Where the proxy serves.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs `strongroom` with these arguments.
    pub fn tool(&self, arguments: &[&str]) -> Output {
        Command::new(binary("strongroom"))
            .args(arguments)
            .current_dir(self.temporary.path())
            .output()
            .unwrap()
    }

    /// Runs `strongroom`, and expects it to succeed; gives what it printed.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.tool(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "strongroom {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Writes a file beside the environment, and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.temporary.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Creates both wallets.
    pub fn create_wallets(&self) {
        let (first, third) = (self.key("policy-admin-1"), self.key("policy-admin-3"));
        for wallet in ["hot-eth", "deposits-eth"] {
            self.succeed(&[
                "wallet", "create", "--url", &self.url, "--wallet", wallet, "--key", &first,
                "--key", &third,
            ]);
        }
    }

    /// `GET` of a path.
    pub fn get(&self, path: &str) -> Answer {
        answer(agent().get(format!("{}{path}", self.url)).call().unwrap())
    }

    /// `POST` of a JSON document.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        let request = agent().post(format!("{}{path}", self.url));
        answer(request.content_type("application/json").send(body).unwrap())
    }

    fn status_of(&self, path: &str) -> Option<u16> {
        let response = agent().get(format!("{}{path}", self.url)).call().ok()?;
        Some(response.status().as_u16())
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        if let Some(proxy) = &mut self.proxy {
            signal("-TERM", proxy.id());
            let _ = proxy.wait();
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let content_type = response.headers().get("content-type");
    Answer {
        status: response.status().as_u16(),
        content_type: content_type.map_or("", |value| value.to_str().unwrap()).to_owned(),
        body: serde_json::from_str(&response.body_mut().read_to_string().unwrap())
            .unwrap_or(Value::Null),
    }
}

fn signal(signal: &str, pid: u32) {
    let kill = ["-c", "kill \"$0\" \"$1\"", signal, &pid.to_string()];
    let status = Command::new("sh").args(kill).status().unwrap();
    assert!(status.success(), "kill {signal} {pid}");
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// A binary of the workspace: beside the folder of the test's own executable.
fn binary(name: &str) -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let path = executable.parent().unwrap().parent().unwrap().join(name);
    assert!(path.exists(), "{name} is not built: run `cargo build --workspace`, or scripts/test");
    path
}
