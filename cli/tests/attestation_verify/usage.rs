//! Arguments that do not fit together.

use crate::support::verify;

fn wrong(arguments: &[&str], said: &str) {
    let run = verify(arguments);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{arguments:?}: {}", run.err);
    assert!(run.err.contains(said), "{arguments:?}: {}", run.err);
}

#[test]
fn one_document_from_one_place() {
    wrong(&[], "<FILE>");
    wrong(&["a", "b"], "'b'");
    wrong(&["a", "--url", "http://127.0.0.1:1"], "--url");
    wrong(&["-", "--public-key", "-"], "standard input");
    wrong(&["-", "--root", "-"], "standard input");
}

#[test]
fn what_is_fetched_is_judged_now_by_a_nonce_of_its_own() {
    let url = ["--url", "http://127.0.0.1:1"];
    let nonce = "00112233445566778899aabbccddeeff";
    wrong(&[&url[..], &["--nonce", nonce]].concat(), "--nonce");
    wrong(&[&url[..], &["--at", "document"]].concat(), "--at");
    wrong(&[&url[..], &["--at", "2026-11-21T10:00:00Z"]].concat(), "--at");
    wrong(&["--url", "http://10.0.0.1:8480"], "plain http");
    wrong(&["--url", "https://strongroom.internal"], "--ca");
}

#[test]
fn a_claimed_time_gives_no_age() {
    wrong(&["-", "--at", "document", "--max-age", "5m"], "--max-age");
}

#[test]
fn values_that_are_none() {
    let pcr = format!("0={}", "ab".repeat(48));
    wrong(&["-", "--pcr", &pcr, "--pcr", &pcr], "each register once");
    for (argument, value) in [
        ("--pcr", "0=ab"),
        ("--pcr", &format!("32={}", "ab".repeat(48))),
        ("--at", "yesterday"),
        ("--at", "2026-11-21T10:00:00+01:00"),
        ("--nonce", "00"),
        ("--nonce", "none"),
        ("--user-data", ""),
        ("--user-data", "0"),
        ("--user-data", &"00".repeat(513)),
        ("--max-age", "5"),
        ("--max-age", "0m"),
    ] {
        wrong(&["-", argument, value], argument);
    }
}

#[test]
fn a_root_that_is_none() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no certificate").unwrap();
    wrong(&["-", "--root", file.path().to_str().unwrap()], "trust anchor");
}
