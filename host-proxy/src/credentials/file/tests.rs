#![allow(clippy::unwrap_used)]
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::super::{Lender, Source};
use super::*;
use crate::credentials::now;
use crate::metrics::Metrics;

const FILE: &str = "\
# made by hand
[other]
aws_access_key_id = AKIAOTHER
aws_secret_access_key = OTHER
s3 =
  max_concurrent_requests = 20

[default]   ; ours
aws_access_key_id=AKIADEFAULT
aws_secret_access_key =\tSECRET/with+=#chars  # rotated in spring
region = eu-central-1

[temporary]\r
AWS_Access_Key_Id = ASIATEMPORARY\r
aws_secret_access_key = SECRET\r
aws_session_token = TOKEN==\r
";

fn profile(name: &str) -> Profile {
    Profile::parse(name).unwrap()
}

#[test]
fn each_profile_is_read() {
    let default = parse(FILE, &Profile::default()).unwrap();
    assert_eq!(default.access_key_id, "AKIADEFAULT");
    assert_eq!(default.secret_access_key, "SECRET/with+=#chars");
    assert_eq!(default.session_token, None);
    let temporary = parse(FILE, &profile("temporary")).unwrap();
    assert_eq!(temporary.access_key_id, "ASIATEMPORARY");
    assert_eq!(temporary.secret_access_key, "SECRET");
    assert_eq!(temporary.session_token.as_deref(), Some("TOKEN=="));
    assert_eq!(parse(FILE, &profile("other")).unwrap().access_key_id, "AKIAOTHER");
}

#[test]
fn an_empty_session_token_is_none() {
    for empty in ["aws_session_token =", "aws_session_token =   # ended"] {
        let text = FILE.replacen("region = eu-central-1", empty, 1);
        assert_ne!(text, FILE);
        let lent = parse(&text, &Profile::default()).unwrap();
        assert_eq!((lent.access_key_id.as_str(), &lent.session_token), ("AKIADEFAULT", &None));
    }
}

#[test]
fn refusals_name_the_line_or_the_setting_and_never_echo() {
    for (from, to, expected) in [
        ("[default]", "[another]", "expected a profile [default]"),
        ("[default]", "[default", "line 8: expected [PROFILE]"),
        ("[default]   ;", "[default] SECRET", "line 8: expected nothing behind [PROFILE]"),
        ("aws_access_key_id=", "access_key=", "profile [default]: expected aws_access_key_id"),
        ("aws_secret_access_key =\t", "secret =", "[default]: expected aws_secret_access_key"),
        ("=AKIADEFAULT", "=", "profile [default]: expected aws_access_key_id"),
        ("=AKIADEFAULT", " SECRET", "line 9: expected NAME = VALUE"),
        ("=AKIADEFAULT", "=SECRET SECRET", "profile [default]: access key id: expected 1 to"),
        ("region =", "aws_access_key_id =", "line 11: expected each setting once"),
        ("region = eu", "  aws_session_token = SECRET", "line 11: expected no indentation"),
        ("region =", "aws_session_token = SECRET", "[default]: session token: expected 1 to"),
        ("=AKIADEFAULT", "=SECRET/", "[default]: access key id: expected 1 to 128 letters"),
    ] {
        let text = FILE.replacen(from, to, 1);
        assert_ne!(text, FILE, "{from}");
        let message = parse(&text, &Profile::default()).unwrap_err().to_string();
        assert!(message.contains(expected), "{to}: {message}");
        assert!(!message.contains("SECRET") && !message.contains("AKIA"), "{message}");
    }
    assert!(matches!(parse("", &Profile::default()), Err(FileError::Profile(_))));
    assert!(parse("no section = at all", &Profile::default()).is_err());
}

#[test]
fn names_of_profiles() {
    for wrong in ["", "a]", "[a", "two words", "line\n", &"x".repeat(65)] {
        assert_eq!(Profile::parse(wrong), None, "{wrong}");
    }
}

fn write(path: &Path, content: impl AsRef<[u8]>, mode: u32) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn lender(path: PathBuf) -> Lender {
    Lender::new(Source::File { path, profile: Profile::default() }, &Metrics::default())
}

#[tokio::test]
async fn a_file_that_was_replaced_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials");
    let lender = lender(path.clone());
    let missing = lender.lend(now()).await.unwrap_err().to_string();
    assert!(missing.contains("credentials: No such file"), "{missing}");
    write(&path, FILE, 0o600);
    assert_eq!(lender.lend(now()).await.unwrap().access_key_id, "AKIADEFAULT");
    write(&path, FILE.replace("AKIADEFAULT", "AKIAROTATED"), 0o400);
    assert_eq!(lender.lend(now()).await.unwrap().access_key_id, "AKIAROTATED");
    assert_eq!((lender.metrics.fetches.get(), lender.metrics.failures.get()), (3, 1));
}

#[tokio::test]
async fn a_file_that_others_may_read_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials");
    let lender = lender(path.clone());
    for mode in [0o640, 0o604, 0o620, 0o644] {
        write(&path, FILE, mode);
        let message = lender.lend(now()).await.unwrap_err().to_string();
        assert!(message.contains(&format!("found mode {mode:04o}: chmod go-rwx")), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
}

#[tokio::test]
async fn what_is_no_such_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = lender(dir.path().to_owned()).lend(now()).await.unwrap_err();
    assert!(matches!(folder, CredentialsError::File { error: FileError::Kind, .. }));
    let path = dir.path().join("credentials");
    let lender = lender(path.clone());
    write(&path, [b'#'; MAX_FILE + 1], 0o600);
    let long = lender.lend(now()).await.unwrap_err();
    assert!(matches!(long, CredentialsError::File { error: FileError::Length, .. }));
    write(&path, [b'#', 0xff], 0o600);
    let binary = lender.lend(now()).await.unwrap_err();
    assert!(matches!(binary, CredentialsError::File { error: FileError::Text, .. }));
}

#[tokio::test]
async fn a_pipe_without_a_writer_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let refused = tokio::time::timeout(LIMIT / 2, lender(path).lend(now())).await.unwrap();
    let refused = refused.unwrap_err();
    assert!(matches!(refused, CredentialsError::File { error: FileError::Kind, .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_is_given_up_and_not_begun_again_beside_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials");
    write(&path, FILE, 0o600);
    let lender = lender(path);
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let reads = lender.reads.clone();
    let hanging = tokio::spawn(async move { reads.run(move || ended.recv().unwrap_err()).await });
    tokio::task::yield_now().await;
    let (late, ()) = tokio::join!(lender.lend(now()), tokio::time::advance(LIMIT));
    let late = late.unwrap_err();
    assert!(matches!(late, CredentialsError::File { error: FileError::Late(_), .. }), "{late}");
    drop(end);
    hanging.await.unwrap().unwrap();
    assert_eq!(lender.lend(now()).await.unwrap().access_key_id, "AKIADEFAULT");
}
