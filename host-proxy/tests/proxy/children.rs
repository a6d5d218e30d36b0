//! Children that die, and children that are told to.

use std::path::Path;
use std::time::Duration;

use strongroom_host_proxy::children::{Children, Program, mock_programs};
use strongroom_host_proxy::config::{Config, Overrides};

#[test]
fn a_stand_in_that_is_not_beside_the_proxy_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = crate::daemon::development(dir.path());
    let overrides = Overrides { listen: None, mock_enclave: true };
    let config = Config::read(&config, overrides).unwrap();
    let mock = config.mock.as_ref().unwrap();
    std::fs::write(dir.path().join("strongroom-local-kms"), "").unwrap();
    let missing = mock_programs(dir.path(), &config, mock).unwrap_err().to_string();
    assert!(missing.ends_with("/strongroom-mock-enclave"), "{missing}");
    std::fs::write(dir.path().join("strongroom-mock-enclave"), "").unwrap();
    let [kms, enclave] = mock_programs(dir.path(), &config, mock).unwrap();
    let under = |name: &str| dir.path().join(name).into_os_string();
    let expected = [
        "serve".into(),
        "--dir".into(),
        under("mock/kms"),
        "--mock-nsm-root".into(),
        under("mock/nsm/root.pem"),
        "--listen".into(),
        "127.0.0.1:8443".into(),
        "--exit-with-stdin".into(),
    ];
    assert_eq!(kms.arguments, expected);
    assert!(enclave.arguments.contains(&under("enclave.toml")));
    assert!(enclave.arguments.contains(&config.enclave.to_string().into()));
    assert!(enclave.arguments.contains(&config.relays.first().listen.to_string().into()));
}

fn shell(script: String) -> Program {
    Program {
        name: "test child",
        path: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
    }
}

async fn lines(path: &Path, at_least: usize) -> Vec<String> {
    for _ in 0..200 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= at_least {
            return text.lines().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("fewer than {at_least} lines");
}

#[tokio::test]
async fn a_child_that_dies_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let children = Children::start([shell(format!("echo began >> {}; exit 3", log.display()))]);
    lines(&log, 3).await;
    children.stop().await;
    let after = lines(&log, 3).await.len();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(lines(&log, 3).await.len(), after, "stopped is stopped");
}

#[tokio::test]
async fn a_child_that_cannot_live_is_started_ever_more_slowly() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let children = Children::start([shell(format!("echo began >> {}; exit 1", log.display()))]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    children.stop().await;
    // At most after 0.05, 0.1, 0.2, 0.4 and 0.8 seconds.
    let starts = lines(&log, 2).await.len();
    assert!(starts <= 6, "{starts}");
}

#[tokio::test]
async fn standard_input_is_open_until_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let script = format!("echo began >> {0}; cat; echo ended >> {0}", log.display());
    let children = Children::start([shell(script)]);
    lines(&log, 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(lines(&log, 1).await, ["began"]);
    children.stop().await;
    assert_eq!(lines(&log, 2).await, ["began", "ended"], "it ended by itself, and in order");
}
