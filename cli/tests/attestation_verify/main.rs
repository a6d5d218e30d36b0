//! `strongroom attestation verify`, as it is run, on genuine documents of the AWS Nitro PKI.
#![allow(clippy::unwrap_used)]

mod online;
mod support;
mod usage;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use strongroom_shared::digest::Digest;
use strongroom_shared::encoding::Base64;
use support::{
    DEBUG, NONCE, RSA, Run, TAMPERED, USER_DATA, USER_DATA_HEX, VALID, vectors, verify,
    verify_input,
};

const STRUCTURE: u64 = 1;
const ROOT: u64 = 4;
const VALIDITY: u64 = 6;
const SIGNATURE: u64 = 10;
const DEBUG_MODE: u64 = 11;
const PCRS: u64 = 12;
const MODULE_ID: u64 = 13;
const MEMBERS: u64 = 14;
const FRESHNESS: u64 = 15;
const BINDING: u64 = 16;

/// Verifies one document as of its own time.
fn of_old(file: &Path, more: &[&str]) -> Run {
    verify(&[&[file.to_str().unwrap(), "--at", "document"], more].concat())
}

/// That a document is not valid at this step; gives the error.
fn refused(run: &Run, step: Option<u64>) -> String {
    let report = run.json();
    assert_eq!(run.code, 1, "{report}");
    assert_eq!((&report["valid"], report["step"].as_u64()), (&json!(false), step), "{report}");
    for member in ["module_id", "timestamp", "pcrs", "user_data", "nonce", "public_key", "binding"]
    {
        assert_eq!(report[member], Value::Null, "{member} of a document that is not valid");
    }
    assert_eq!((&report["proven"], &report["not_proven"]), (&json!([]), &json!([])));
    report["error"].as_str().unwrap().to_owned()
}

fn any(lines: &Value, part: &str) -> bool {
    lines.as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains(part))
}

#[test]
fn each_genuine_document_is_valid_at_its_own_time() {
    let Some(folder) = vectors() else { return };
    for vector in &VALID {
        let file = folder.join(vector.file);
        let debug: &[&str] = if vector.file == DEBUG { &["--allow-debug"] } else { &[] };
        let run = of_old(&file, debug);
        assert_eq!(run.code, 0, "{}{}", run.out, run.err);
        assert!(run.out.contains(vector.module_id) && run.out.contains(vector.made), "{}", run.out);
        assert!(run.out.contains("not proven: when it was made"), "{}", run.out);
        assert_eq!(run.out.contains(vector.pcr0), vector.file != DEBUG, "{}", run.out);

        let at = [file.to_str().unwrap(), "--at", vector.made, "--max-age", "5m", "--json"];
        let run = verify(&[&at, debug].concat());
        let report = run.json();
        assert_eq!((run.code, &report["valid"], &report["step"]), (0, &json!(true), &Value::Null));
        assert_eq!(report["error"], Value::Null);
        assert_eq!(report["module_id"], vector.module_id);
        assert_eq!(report["timestamp"], vector.made);
        assert_eq!(report["pcrs"]["0"], vector.pcr0);
        assert!(any(&report["proven"], "300 seconds old"), "{report}");
    }
}

#[test]
fn a_document_of_the_past_is_not_valid_now() {
    let Some(folder) = vectors() else { return };
    for vector in &VALID {
        let file = folder.join(vector.file);
        let run = verify(&[file.to_str().unwrap(), "--json", "--allow-debug"]);
        let error = refused(&run, Some(VALIDITY));
        assert!(error.contains("valid from"), "{error}");
        let run = verify(&[file.to_str().unwrap(), "--allow-debug"]);
        assert_eq!(run.code, 1);
        assert!(
            run.out.starts_with("not valid: step 6, ") && run.out.contains("--at"),
            "{}",
            run.out
        );
        assert!(!run.out.contains(vector.module_id) && !run.out.contains(vector.pcr0));
    }
}

#[test]
fn a_tampered_signature_is_noticed() {
    let Some(folder) = vectors() else { return };
    let error =
        refused(&of_old(&folder.join(TAMPERED), &["--json", "--allow-debug"]), Some(SIGNATURE));
    assert!(error.contains("signature"), "{error}");
    let run = of_old(&folder.join(TAMPERED), &["--allow-debug"]);
    assert_eq!(run.code, 1);
    assert!(run.out.starts_with("not valid: step 10, ") && run.err.is_empty(), "{}", run.out);
}

#[test]
fn the_root_is_the_one_that_is_pinned() {
    let Some(folder) = vectors() else { return };
    let file = folder.join(RSA);
    let aws = folder.join("aws-nitro-root-g1.pem");
    let run = of_old(&file, &["--root", aws.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("the root of AWS vouches"), "{}", run.out);

    // The same names, and one bit of its own signature changed.
    let mut der = fs::read(folder.join("aws-nitro-root-g1.der")).unwrap();
    *der.last_mut().unwrap() ^= 1;
    let other = tempfile::NamedTempFile::new().unwrap();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines(&der));
    fs::write(other.path(), pem).unwrap();
    let run = of_old(&file, &["--root", other.path().to_str().unwrap(), "--json"]);
    assert!(refused(&run, Some(ROOT)).contains("pinned root"));
}

/// Base64 in lines of 64.
fn lines(bytes: &[u8]) -> String {
    let text = Base64(bytes.to_vec()).to_string();
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    lines.join("\n")
}

#[test]
fn what_is_asked_for_must_be_there() {
    let Some(folder) = vectors() else { return };
    let vector = &VALID[7];
    let file = folder.join(USER_DATA);
    let pcr0 = format!("0={}", vector.pcr0);
    let run = of_old(
        &file,
        &["--pcr", &pcr0, "--user-data", USER_DATA_HEX, "--module-id", vector.module_id, "--json"],
    );
    let report = run.json();
    assert_eq!(run.code, 0, "{report}");
    assert_eq!(report["user_data"], USER_DATA_HEX);
    for proven in ["PCR0 is as expected", "user data is", "module id is"] {
        assert!(any(&report["proven"], proven), "{report}");
    }
    assert!(!any(&report["not_proven"], "which image"), "{report}");

    let other = format!("0={}", "ab".repeat(48));
    let absent = format!("31={}", "ab".repeat(48));
    let short = USER_DATA_HEX.get(2..).unwrap();
    for (arguments, step, error) in [
        (["--pcr", &other], PCRS, "pcr0"),
        (["--pcr", &absent], PCRS, "pcr31"),
        (["--nonce", USER_DATA_HEX], MEMBERS, "nonce"),
        (["--user-data", short], MEMBERS, "user_data"),
        (["--module-id", "i-0"], MODULE_ID, "module_id"),
    ] {
        let run = of_old(&file, &[&arguments[..], &["--json"]].concat());
        let found = refused(&run, Some(step));
        assert!(found.starts_with(error), "{found}");
    }
}

#[test]
fn a_nonce_proves_freshness() {
    let Some(folder) = vectors() else { return };
    let file = folder.join(NONCE);
    let report = of_old(&file, &["--json"]).json();
    let nonce = report["nonce"].as_str().unwrap();
    assert!(nonce.len() == 512 && nonce.starts_with("cb3dc2eb76c0c1344adf10cc4868591e"));
    assert!(any(&report["not_proven"], "fresh"), "{report}");
    let report = of_old(&file, &["--nonce", nonce, "--json"]).json();
    assert!(any(&report["proven"], "fresh"), "{report}");
    let other = nonce.replace("cb3d", "cb3c");
    refused(&of_old(&file, &["--nonce", &other, "--json"]), Some(MEMBERS));
}

#[test]
fn an_age_has_a_bound() {
    let Some(folder) = vectors() else { return };
    let file = folder.join(RSA);
    let file = file.to_str().unwrap();
    // Made at 16:07:05; the certificates are valid for three hours.
    let at = |time, age| verify(&[file, "--at", time, "--max-age", age, "--json"]);
    assert_eq!(at("2025-01-06T16:12:05Z", "5m").code, 0);
    let error = refused(&at("2025-01-06T16:12:07Z", "5m"), Some(FRESHNESS));
    assert!(error.contains("300000 ms"), "{error}");
    assert_eq!(at("2025-01-06T16:12:07Z", "6m").code, 0);
}

#[test]
fn a_public_key_is_compared_with_a_file_of_der_or_pem() {
    let Some(folder) = vectors() else { return };
    let report = of_old(&folder.join(RSA), &["--json"]).json();
    let der = hex::decode(report["public_key"].as_str().unwrap()).unwrap();
    assert_eq!(der.len(), 294);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines(&der));
    let private = pem.replace("PUBLIC", "PRIVATE");
    let mut other = der.clone();
    *other.last_mut().unwrap() ^= 1;
    let with_key = |bytes: &[u8]| {
        let key = tempfile::NamedTempFile::new().unwrap();
        fs::write(key.path(), bytes).unwrap();
        let arguments = ["--public-key", key.path().to_str().unwrap(), "--json"];
        of_old(&folder.join(RSA), &arguments)
    };
    for good in [&der[..], pem.as_bytes()] {
        assert!(any(&with_key(good).json()["proven"], "public key is as expected"));
    }
    assert!(refused(&with_key(&other), Some(MEMBERS)).starts_with("public_key"));
    for wrong in [private.as_bytes(), b"", &[0; 1_025]] {
        assert_eq!(with_key(wrong).code, 2);
    }
}

#[test]
fn debug_mode_is_refused_or_said_loudly() {
    let Some(folder) = vectors() else { return };
    let error = refused(&of_old(&folder.join(DEBUG), &["--json"]), Some(DEBUG_MODE));
    assert!(error.contains("debug mode"), "{error}");
    let run = of_old(&folder.join(DEBUG), &["--allow-debug"]);
    assert_eq!(run.code, 0);
    assert!(
        run.out.contains("WARNING: not proven: that the enclave keeps a secret"),
        "{}",
        run.out
    );
}

#[test]
fn without_an_image_it_says_that_the_document_is_anybodys() {
    let Some(folder) = vectors() else { return };
    let run = of_old(&folder.join(RSA), &[]);
    assert_eq!(run.code, 0);
    assert!(run.out.contains("WARNING: not proven: which image runs"), "{}", run.out);
    // another register is no image
    let pcr16 = format!("15={}", "0".repeat(96));
    let run = of_old(&folder.join(RSA), &["--pcr", &pcr16]);
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.contains("WARNING: not proven: which image runs"), "{}", run.out);
}

#[test]
fn each_spelling_of_a_document_is_read() {
    let Some(folder) = vectors() else { return };
    for vector in VALID.iter().filter(|vector| vector.file != DEBUG) {
        let raw = fs::read(folder.join(vector.file)).unwrap();
        let base64 = Base64(raw.clone()).to_string();
        let url_safe = base64.replace('+', "-").replace('/', "_");
        let tagged = [&[0xd2], &raw[..]].concat();
        for input in [
            hex::encode(&raw).into_bytes(),
            lines(&raw).into_bytes(),
            url_safe.trim_end_matches('=').into(),
            base64.into_bytes(),
            Base64(tagged.clone()).to_string().into_bytes(),
            tagged,
            raw,
        ] {
            let run = verify_input(&["-", "--at", "document", "--json"], &input);
            assert_eq!(run.json()["pcrs"]["0"], vector.pcr0, "{}", run.out);
        }
    }
}

#[test]
fn a_binding_that_the_document_does_not_bind_is_refused() {
    let Some(folder) = vectors() else { return };
    // All that is wrong with it is that no document binds it.
    let digest = Digest::of(b"");
    let binding = json!({
        "version": 1, "boot_id": "00112233445566778899aabbccddeeff",
        "receipt_key": {"type": "ed25519", "public": Base64(vec![1; 32])},
        "policy": digest, "configuration": digest, "dek_id": "00".repeat(32),
    });
    let binding = Base64(binding.to_string().into_bytes());
    for file in [RSA, USER_DATA] {
        let document = Base64(fs::read(folder.join(file)).unwrap());
        let reply = json!({"document": document, "binding": binding, "nonce": "00"}).to_string();
        let run = verify_input(&["-", "--at", "document", "--json"], reply.as_bytes());
        let error = refused(&run, Some(BINDING));
        assert!(error.contains("digest is the user data"), "{error}");
    }
}

#[test]
fn what_is_no_document_is_not_valid() {
    let verify = |input: &[u8]| verify_input(&["-", "--json"], input);
    for input in ["", "no document at all", "{}", "8", "hEShATgi="] {
        let error = refused(&verify(input.as_bytes()), None);
        assert!(!error.contains("no document at all"), "{error}");
    }
    for input in [&b"8444a1013822"[..], b"hEShATgi", b"\x84\x44\xa1\x01\x38\x22", &[0xff; 20_000]] {
        refused(&verify(input), Some(STRUCTURE));
    }
    let run = verify_input(&["-"], b"no document at all");
    assert_eq!((run.code, run.out.starts_with("not valid: input: ")), (1, true), "{}", run.out);
    // a file that is not there is neither valid nor not valid
    let run = support::verify(&["/nowhere/document", "--json"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("cannot be read"), "{}", run.err);
}
