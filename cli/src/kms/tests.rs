#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use clap::{CommandFactory, Parser};
use serde_json::Value;

use super::*;

const ENCLAVE: &str = "arn:aws:iam::111122223333:role/strongroom-enclave";
const ADMIN: &str = "arn:aws:iam::111122223333:role/strongroom-key-admin";

#[derive(Parser)]
struct Tool {
    #[command(subcommand)]
    command: Command,
}

fn run(args: &[&str]) -> Result<(Outcome, String), Error> {
    let tool = Tool::try_parse_from([&["kms"], args].concat()).unwrap();
    let mut out = Vec::new();
    let outcome = tool.command.run(&mut out)?;
    Ok((outcome, String::from_utf8(out).unwrap()))
}

fn hex(byte: &str) -> String {
    byte.repeat(48)
}

fn key_policy(args: &[&str]) -> Result<String, Error> {
    let roles = ["--enclave-role", ENCLAVE, "--admin-role", ADMIN];
    Ok(run(&[&["key-policy"], args, &roles].concat())?.1)
}

/// Registers of each release that a policy names: image, configuration, policy.
fn releases(policy: &str) -> Vec<[String; 3]> {
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let conditions = statements.iter().map(|s| &s["Condition"]["StringEqualsIgnoreCase"]);
    let of = |condition: &Value| {
        ["ImageSha384", "PCR16", "PCR17"].map(|register| {
            let value = &condition[format!("kms:RecipientAttestation:{register}")];
            value.as_str().unwrap().get(..2).unwrap().to_owned()
        })
    };
    conditions.filter(|condition| !condition.is_null()).map(of).collect()
}

#[test]
fn registers_that_go_together() {
    let [a, b, c, d] = ["0a", "0b", "0c", "0d"].map(hex);
    let one = key_policy(&["--pcr0", &a, "--config-pcr", &b, "--policy-pcr", &c]).unwrap();
    assert_eq!(releases(&one), [["0a", "0b", "0c"]]);
    assert!(one.ends_with("}\n") && one.contains("kms:PutKeyPolicy"));
    // two images, two configurations, one policy
    let two =
        ["--pcr0", &a, "--pcr0", &d, "--config-pcr", &b, "--config-pcr", &c, "--policy-pcr", &d];
    assert_eq!(releases(&key_policy(&two).unwrap()), [["0a", "0b", "0d"], ["0d", "0c", "0d"]]);
    let signed =
        key_policy(&[&two[..], &["--pcr8", &a, "--pcr3", &b, "--pcr3", &c]].concat()).unwrap();
    let signed: Value = serde_json::from_str(&signed).unwrap();
    let second = &signed["Statement"][1]["Condition"]["StringEqualsIgnoreCase"];
    assert_eq!(second["kms:RecipientAttestation:PCR8"], a);
    assert_eq!(second["kms:RecipientAttestation:PCR3"], c);
    let immutable =
        ["--pcr0", &a, "--config-pcr", &b, "--policy-pcr", &c, "--changes", "immutable"];
    assert!(!key_policy(&immutable).unwrap().contains("PutKeyPolicy"));
}

#[test]
fn wrong_usage_is_explained() {
    let [a, b, c] = ["0a", "0b", "0c"].map(hex);
    let zero = hex("00");
    let three = ["--pcr0", &a, "--config-pcr", &b, "--policy-pcr", &c];
    let more = |more: &[&str]| key_policy(&[&three[..], more].concat()).unwrap_err();
    let refused = [
        (key_policy(&[]).unwrap_err(), "expected --pcr0, --config-pcr and --policy-pcr, or"),
        (key_policy(&["--pcr0", &a]).unwrap_err(), "together"),
        (more(&["--pcr0", &b, "--pcr0", &c, "--config-pcr", &c]), "--config-pcr: expected one, or"),
        (more(&["--pcr8", &a, "--pcr8", &b]), "--pcr8: expected none, one, or"),
        (more(&["--pcr3", &zero]), "pcr3: expected a measurement, found zero"),
        (more(&["--admin-role", ENCLAVE]), "found both"),
        (more(&["--changes", "immutable", "--kek-change"]), "changes: expected break-glass while"),
        (
            more(&["--changes", "immutable", "--pcr0", &b]),
            "releases: expected the same measurements",
        ),
    ];
    for (error, expected) in refused {
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(
            format!("{:?}", error.exit_code()),
            format!("{:?}", std::process::ExitCode::from(2))
        );
    }
    let root = "arn:aws:iam::111122223333:root";
    for (wrong, expected) in [
        (&["key-policy", "--pcr0", "ab"][..], "expected 96 hexadecimal digits"),
        (&["key-policy", "--enclave-role", root], "expected arn:aws:iam::<12 digits>:role/NAME"),
        (&["key-policy", "--admin-role", ADMIN], "--enclave-role <ARN>"),
        (&["key-policy", "--enclave-role", ENCLAVE], "--admin-role <ARN>"),
        (
            &["lint-policy", "x", "--admin-role", root],
            "expected arn:aws:iam::<12 digits>:role/NAME",
        ),
        (&["lint-policy", "x", "--changes", "never"], "expected immutable or break-glass"),
        (&["lint-policy", "x", "--measurements", "m", "--pcr0", &a], "cannot be used with"),
    ] {
        let error = Tool::try_parse_from([&["kms"], wrong].concat()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn what_to_do_is_said() {
    let admins = [RoleArn::parse(ADMIN).unwrap(), RoleArn::parse(ENCLAVE).unwrap()];
    let normal = advice(Changes::BreakGlass, false, &admins);
    assert!(!normal.contains("create-key") && normal.contains("aws kms put-key-policy"));
    assert!(normal.contains("admin roles") && !normal.contains("bypass"));
    let configuration = format!(
        "  [kms.key_policy]\n  changes = \"break-glass\"\n  admin_roles = [\"{ADMIN}\", \"{ENCLAVE}\"]\n"
    );
    assert!(normal.contains(&configuration), "{normal}");
    let forever = advice(Changes::Immutable, false, &admins);
    assert_eq!(forever.matches("--bypass-policy-lockout-safety-check").count(), 1);
    assert!(forever.contains("nobody of the account"));
    assert!(advice(Changes::BreakGlass, true, &admins).contains("without --kek-change"));
    let first = creation_advice(&admins);
    let order = ["aws kms create-key", "kms.key_arn", &configuration, "Measure", "key policy that"];
    let places = order.map(|text| first.find(text).unwrap());
    assert!(places.is_sorted(), "{first}");
}

#[test]
fn a_key_is_made_with_a_policy_for_nobody() {
    let policy = key_policy(&["--released-to-nobody"]).unwrap();
    assert_eq!(releases(&policy), [[""; 3]; 0]);
    assert!(policy.contains("kms:PutKeyPolicy") && !policy.contains("kms:Decrypt"));
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "policy.json", &policy);
    let (outcome, said) = run(&["lint-policy", &file, "--admin-role", ADMIN]).unwrap();
    assert_eq!(outcome, Outcome::Done);
    assert!(said.starts_with("no finding: the DEK is released to nobody"), "{said}");

    let immutable = key_policy(&["--released-to-nobody", "--changes", "immutable"]).unwrap_err();
    assert!(immutable.to_string().starts_with("changes: expected break-glass"), "{immutable}");
    let a = hex("0a");
    let excluded = ["--pcr0", "--config-pcr", "--policy-pcr", "--measurements", "--pcr3", "--pcr8"];
    let excluded = excluded.map(|name| vec![name, &a]);
    for more in excluded.into_iter().chain([vec!["--kek-change"]]) {
        let args = ["kms", "key-policy", "--released-to-nobody", "--enclave-role", ENCLAVE];
        let args = [&args[..], &["--admin-role", ADMIN], &more].concat();
        let error = Tool::try_parse_from(args).err().unwrap().to_string();
        assert!(error.contains("cannot be used with"), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_not_linted() {
    let folder = tempfile::tempdir().unwrap();
    let policy = write(folder.path(), "policy.json", "{}");
    let none = folder.path().join("none").to_str().unwrap().to_owned();
    let a = hex("0a");
    for args in [
        &[none.as_str()][..],
        &[&policy, "--measurements", &none],
        &[&policy, "--measurements", &policy],
        &[&policy, "--pcr0", &a],
    ] {
        let error = run(&[&["lint-policy"], args].concat()).unwrap_err();
        assert!(error.to_string().starts_with("not linted: "), "{error}");
        let two = std::process::ExitCode::from(2);
        assert_eq!(format!("{:?}", error.exit_code()), format!("{two:?}"));
    }
    // a hole is another thing
    assert_eq!(run(&["lint-policy", &policy]).unwrap().0, Outcome::NotValid);
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_policy_is_linted() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["0a", "0b", "0c"].map(hex);
    let measured = format!(r#"{{"pcr0":"{a}","pcr16":"{b}","pcr17":"{c}"}}"#);
    let measured = write(folder.path(), "measurements.json", &measured);
    let policy = key_policy(&["--measurements", &measured]).unwrap();
    assert_eq!(releases(&policy), [["0a", "0b", "0c"]]);
    let good = write(folder.path(), "good.json", &policy);
    let (outcome, said) = run(&["lint-policy", &good]).unwrap();
    assert_eq!(outcome, Outcome::Done);
    assert!(said.starts_with("no finding"), "{said}");
    assert_eq!(run(&["lint-policy", &good, "--measurements", &measured]).unwrap().0, Outcome::Done);

    // as `aws kms get-key-policy` prints it
    let got = serde_json::json!({"Policy": policy, "PolicyName": "default"}).to_string();
    let got = write(folder.path(), "got.json", &got);
    assert_eq!(run(&["lint-policy", &got]).unwrap().0, Outcome::Done);

    let (outcome, said) = run(&["lint-policy", &got, "--changes", "immutable"]).unwrap();
    assert_eq!(outcome, Outcome::NotValid);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines[0],
        r#"statement 4 ("BreakGlassAlarmInCloudTrailOnPutKeyPolicy"): policy_change"#
    );
    assert!(lines[1].starts_with("  what:    kms:PutKeyPolicy"), "{said}");
    assert!(lines[2].starts_with("  exploit: whoever has it"), "{said}");
    assert_eq!(lines[3], "1 finding");

    let other =
        ["lint-policy", &good, "--pcr0", &b, "--config-pcr", &b, "--policy-pcr", &c, "--json"];
    let (outcome, said) = run(&other).unwrap();
    assert_eq!(outcome, Outcome::NotValid);
    let said: Value = serde_json::from_str(&said).unwrap();
    let finding = &said["findings"][0];
    assert_eq!(finding["statement"], 1);
    assert_eq!(finding["sid"], "ReleaseToTheMeasuredEnclave1");
    assert_eq!(finding["code"], "other_measurements");
    assert!(finding["what"].is_string() && finding["exploit"].is_string());
    // as written, and as KMS gives it back
    let digest = said["digest"].as_str().unwrap();
    let (_, said) = run(&["lint-policy", &got]).unwrap();
    assert!(said.contains(&format!("digest: {digest}, ")), "{said}");

    // another text of the same form, which is refused: its digest would stand for the good one
    let number = policy.replacen(r#""strongroom""#, "1", 1);
    let text = write(folder.path(), "text.json", &policy.replacen("strongroom", "1", 1));
    let number = write(folder.path(), "number.json", &number);
    let digests = [(&text, Outcome::Done), (&number, Outcome::NotValid)].map(|(file, expected)| {
        let (outcome, said) = run(&["lint-policy", file, "--json"]).unwrap();
        assert_eq!(outcome, expected, "{said}");
        serde_json::from_str::<Value>(&said).unwrap()["digest"].as_str().unwrap().to_owned()
    });
    assert_eq!(digests[0], digests[1]);
    let (_, said) = run(&["lint-policy", &number]).unwrap();
    assert!(said.starts_with("document: malformed\n") && !said.contains("digest"), "{said}");
}

#[test]
fn what_a_lint_without_admin_roles_leaves_open_is_said() {
    let mut tool = Tool::command();
    let lint = tool.find_subcommand_mut("lint-policy").unwrap();
    let help: Vec<_> =
        lint.render_long_help().to_string().split_whitespace().map(str::to_owned).collect();
    let help = help.join(" ");
    assert!(help.contains("Without --admin-role any named role is taken"), "{help}");
    assert!(help.contains("while an enclave takes those of its configuration only"), "{help}");
}

#[test]
fn who_keeps_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["0a", "0b", "0c"].map(hex);
    let three = ["--pcr0", &a, "--config-pcr", &b, "--policy-pcr", &c];
    let policy = key_policy(&three).unwrap();
    let file = write(folder.path(), "policy.json", &policy);
    let other = "arn:aws:iam::111122223333:role/other";
    let both = ["lint-policy", &file, "--admin-role", other, "--admin-role", ADMIN];
    assert_eq!(run(&both).unwrap().0, Outcome::Done);
    let (outcome, said) = run(&["lint-policy", &file, "--admin-role", other]).unwrap();
    assert_eq!(outcome, Outcome::NotValid);
    assert!(said.contains(r#"("AdminsManageButCannotUse"): other_admin"#), "{said}");
    assert!(said.contains("opens the KEK later") && said.contains("2 findings\n"), "{said}");
    let file = write(folder.path(), "host.json", &policy.replace(ADMIN, ENCLAVE));
    let (outcome, said) = run(&["lint-policy", &file]).unwrap();
    assert_eq!(outcome, Outcome::NotValid);
    assert!(said.contains(": managed_by_host\n"), "{said}");
}

#[test]
fn a_policy_that_releases_nothing_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["0a", "0b", "0c"].map(hex);
    let three = ["--pcr0", &a, "--config-pcr", &b, "--policy-pcr", &c];
    let said = |policy: &str, more: &[&str]| {
        let file = write(folder.path(), "policy.json", policy);
        let (outcome, said) = run(&[&["lint-policy", &file], more].concat()).unwrap();
        assert_eq!(outcome, Outcome::Done);
        said
    };
    let policy = key_policy(&three).unwrap();
    assert!(said(&policy, &[]).contains("released to image, configuration and policy bound"));
    assert!(said(&policy, &three).contains("released to the given measurements only"));
    let mut nobody: Value = serde_json::from_str(&policy).unwrap();
    nobody["Statement"].as_array_mut().unwrap().remove(0);
    for more in [&[][..], &three] {
        let said = said(&nobody.to_string(), more);
        assert!(said.starts_with("no finding: the DEK is released to nobody: "), "{said}");
    }
}

#[test]
fn while_the_kek_changes() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["0a", "0b", "0c"].map(hex);
    let args = ["--pcr0", &a, "--config-pcr", &b, "--policy-pcr", &c, "--kek-change"];
    let file = write(folder.path(), "policy.json", &key_policy(&args).unwrap());
    assert_eq!(run(&["lint-policy", &file, "--kek-change"]).unwrap().0, Outcome::Done);
    let (outcome, said) = run(&["lint-policy", &file]).unwrap();
    assert_eq!(outcome, Outcome::NotValid);
    assert!(said.contains(": encrypt\n"), "{said}");
}

#[test]
fn what_is_no_policy_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.json");
    for (bytes, code) in [(&b"\xff\xfe{}"[..], "not_json"), (br#"{"Policy":1}"#, "unknown_element")]
    {
        fs::write(&file, bytes).unwrap();
        let (outcome, said) = run(&["lint-policy", file.to_str().unwrap()]).unwrap();
        assert_eq!(outcome, Outcome::NotValid);
        assert!(said.starts_with(&format!("document: {code}\n")), "{said}");
    }
}
