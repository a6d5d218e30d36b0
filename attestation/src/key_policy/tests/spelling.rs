//! The text itself: what another reader could take for something else, and what is told of it.

use super::*;

const IMAGE: &str = "kms:RecipientAttestation:ImageSha384";

fn found(text: &str) -> Vec<&'static str> {
    let findings = lint(text, &rules(Changes::Immutable));
    findings.iter().map(|finding| finding.hole.code()).collect()
}

#[test]
fn holes_of_the_text_itself() {
    let policy = generated(&[measured(1, 2, 3)], Changes::Immutable).to_string();
    let twice = |member: &str| policy.replacen(member, &format!("{member},{member}"), 1);
    assert!(found(&policy).is_empty());
    assert_eq!(found(&twice(r#""Version":"2012-10-17""#)), ["duplicate_member"]);
    assert_eq!(found(&twice(r#""Effect":"Allow""#)), ["duplicate_member"]);
    // the same name, in other letters of JSON
    let escaped = policy.replacen(r#""Effect":"#, r#""Eff\u0065ct":"Deny","Effect":"#, 1);
    assert_eq!(found(&escaped), ["duplicate_member"]);
    let image = format!(r#""{IMAGE}":"{}""#, pcr(1));
    assert_eq!(found(&twice(&image)), ["duplicate_member"]);
    for text in [
        "",
        "{",
        "\u{feff}{}",
        &format!("{policy}x"),
        &format!("{policy}{policy}"),
        &"[".repeat(30_000),
    ] {
        assert_eq!(found(text), ["not_json"]);
    }
    assert_eq!(found("{}"), ["version", "malformed"]);
}

#[test]
fn a_condition_key_is_not_hidden_behind_letters_that_fold_into_its_own() {
    let policy = generated(&[measured(1, 2, 3)], Changes::Immutable).to_string();
    let image = format!(r#""{IMAGE}":"{}""#, pcr(1));
    for key in [
        // the Kelvin sign is a k to readers that fold all of Unicode; and the long s an s
        r"\u212ams:RecipientAttestation:ImageSha384",
        "\u{212a}ms:RecipientAttestation:ImageSha384",
        r"km\u017f:RecipientAttestation:ImageSha384",
    ] {
        let other = format!(r#""{key}":"{}""#, pcr(9));
        // another image beside the true one, whichever of the two comes first; and in its place
        for with in [format!("{image},{other}"), format!("{other},{image}"), other] {
            let policy = policy.replacen(&image, &with, 1);
            assert_eq!(found(&policy), ["malformed"], "{policy}");
        }
    }
    // the same letters in values are no names
    let sid = policy.replacen("ReleaseToTheMeasuredEnclave1", r"\u212a", 1);
    assert_ne!(sid, policy);
    assert!(found(&sid).is_empty());
}

#[test]
fn numbers_are_integers_of_64_bits_and_their_digits_count() {
    let with = |number: &str| {
        let condition = format!(
            r#""Condition":{{"NumericLessThan":{{"aws:MultiFactorAuthAge":{number}}},"StringEq"#
        );
        let policy = generated(&[measured(1, 2, 3)], Changes::Immutable).to_string();
        let with = policy.replacen(r#""Condition":{"StringEq"#, &condition, 1);
        assert_ne!(with, policy);
        with
    };
    // neighbours that are one number when they are rounded
    let integers = ["9007199254740992", "9007199254740993", "-9007199254740993", "0"];
    let forms: std::collections::BTreeSet<_> =
        integers.iter().map(|number| canonical(&with(number)).unwrap()).collect();
    assert_eq!(forms.len(), integers.len());
    for number in ["18446744073709551615", "-9223372036854775808", "9007199254740993"] {
        assert!(found(&with(number)).is_empty(), "{number}");
        assert_eq!(canonical(&with(number)), canonical(&with(&format!("\"{number}\""))));
    }
    for number in
        ["5.5", "5.0", "5e0", "1e95", "-0", "18446744073709551616", "-9223372036854775809"]
    {
        assert_eq!(found(&with(number)), ["not_json"], "{number}");
        assert_eq!(canonical(&with(number)), None, "{number}");
    }
}

#[test]
fn what_is_refused_may_have_the_canonical_form_of_what_is_taken() {
    let mut policy = generated(&[measured(1, 2, 3)], Changes::Immutable);
    let with = |policy: &mut Value, id: Value| {
        policy["Id"] = id;
        policy.to_string()
    };
    let [text, number] = [json!("1"), json!(1)].map(|id| with(&mut policy, id));
    assert!(found(&text).is_empty());
    assert_eq!(found(&number), ["malformed"]);
    assert_eq!(canonical(&text), canonical(&number));
}

#[test]
fn findings_repeat_nothing_that_is_unsafe_in_a_log() {
    let mut policy = generated(&[measured(1, 2, 3)], Changes::Immutable);
    policy["Statement"][2]["Action"] = json!("kms:X\nERROR forged");
    policy["Statement"][2]["Sid"] = json!("\u{1b}[31m");
    let findings = lint(&policy.to_string(), &rules(Changes::Immutable));
    assert_eq!(findings.len(), 1);
    let text = findings[0].to_string();
    assert!(
        text.starts_with("statement 3: an action that is not known to be harmless: "),
        "{text}"
    );
    assert!(!text.contains("forged"));
}

#[test]
fn the_longest_role_is_named_and_a_finding_stays_short() {
    let role_of = |path: usize, name: usize| {
        let (path, name) = ("p".repeat(path), "n".repeat(name));
        format!("arn:aws-{}:iam::111122223333:role/{path}/{name}", "x".repeat(28))
    };
    assert!(
        RoleArn::parse(&role_of(513, 64)).is_err() && RoleArn::parse(&role_of(512, 65)).is_err()
    );
    let longest = role_of(512, 64);
    let mut policy = generated(&[measured(1, 2, 3)], Changes::BreakGlass);
    policy["Statement"][3]["Principal"] = json!({"AWS": role(&longest).as_str()});
    policy["Statement"][3]["Sid"] = json!("s".repeat(128));
    let rules = Rules { admins: Some(&[]), ..rules(Changes::BreakGlass) };
    let findings = lint(&policy.to_string(), &rules);
    let finding = findings.last().unwrap();
    assert_eq!(finding.hole, Hole::OtherAdmin);
    assert_eq!(finding.about.as_ref().map(Excerpt::as_str), Some(longest.as_str()));

    // whatever else is as long, and anything longer, is not repeated
    let user =
        |length: usize| format!("arn:aws:iam::111122223333:user/{}", "u".repeat(length - 31));
    for (long, is_told) in [(640, true), (641, false)] {
        policy["Statement"][3]["Principal"] = json!({"AWS": user(long)});
        let findings = lint(&policy.to_string(), &rules);
        let finding = findings.last().unwrap();
        assert_eq!((finding.hole, finding.about.is_some()), (Hole::OtherPrincipal, is_told));
    }
    policy["Statement"][3]["Sid"] = json!("s".repeat(129));
    let findings = lint(&policy.to_string(), &rules);
    assert_eq!(findings.last().unwrap().statement, Some(Place { number: 4, sid: None }));

    // what a boot tells of one finding has room for all of it
    let place = Place { number: MAX_KEY_POLICY_BYTES, sid: Excerpt::of(&"s".repeat(128)) };
    let (principal, other) =
        (Excerpt::of_principal(&"a".repeat(640)), Excerpt::of(&"a".repeat(128)));
    assert!(place.sid.is_some() && principal.is_some() && other.is_some());
    let of_principals = [
        Hole::AccountRoot,
        Hole::OtherPrincipal,
        Hole::PolicyChangeByHost,
        Hole::ManagedByHost,
        Hole::OtherAdmin,
    ];
    for hole in Hole::ALL {
        let about = if of_principals.contains(&hole) { &principal } else { &other };
        let finding = Finding { statement: Some(place.clone()), hole, about: about.clone() };
        let text = finding.to_string();
        assert!(text.len() <= 1_000, "{}: {text}", text.len());
    }
}
