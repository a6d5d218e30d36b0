//! Whatever the linter takes releases nothing to anybody else, by a brute-force model.

use super::super::model::{FOREIGN, USER};
use super::leak::{AGAIN, leak, text};
use super::*;

const ROUNDS: usize = 4_000;
/// Of what is refused the model sees one in so many: it is slow.
const SAMPLE: usize = 10;

/// Numbers that look random, the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

const ACTIONS: [&str; 18] = [
    "kms:Decrypt",
    "kms:decrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKey*",
    "kms:Encrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncrypt*",
    "kms:CreateGrant",
    "kms:PutKeyPolicy",
    "kms:DescribeKey",
    "kms:Describe*",
    "kms:EnableKey",
    "kms:TagResource",
    "kms:*",
    "*",
    "kms:ReplicateKey",
    "kms:DeriveSharedSecret",
    "kms:SomethingThatIsYetToCome",
];
const OPERATORS: [&str; 9] = [
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringEqualsIfExists",
    "StringLike",
    "StringNotEquals",
    "ForAllValues:StringEquals",
    "ForAnyValue:StringEquals",
    "Null",
    "Bool",
];
const KEYS: [&str; 9] = [
    "kms:RecipientAttestation:ImageSha384",
    "kms:recipientattestation:imagesha384",
    "kms:RecipientAttestation:PCR0",
    "kms:RecipientAttestation:PCR16",
    "kms:RecipientAttestation:pcr16",
    "kms:RecipientAttestation:PCR17",
    "kms:RecipientAttestation:PCR3",
    "kms:RecipientAttestation:PCR1",
    "aws:SourceVpc",
];

fn values(random: &mut Random) -> Value {
    let known = |byte: u8| json!(Pcr::new([byte; 48]));
    let one = |random: &mut Random| match random.below(10) {
        0 => json!("*"),
        1 => json!(Pcr::ZERO),
        2 => json!(pcr(9)),
        3 => json!(pcr(0xab).to_string().to_uppercase()),
        4 => json!("true"),
        _ => known(u8::try_from(1 + random.below(6)).unwrap()),
    };
    match random.below(3) {
        0 => json!([one(random), one(random)]),
        _ => one(random),
    }
}

fn principal(random: &mut Random) -> Value {
    let roles = [HOST, ADMIN, STRANGER, FOREIGN, HOST_UNDER_A_PATH, ADMIN_UNDER_A_PATH];
    match random.below(9) {
        0 => json!("*"),
        1 => json!({"AWS": "*"}),
        2 => json!({"AWS": "111122223333"}),
        3 => json!({"AWS": "arn:aws:iam::444455556666:root"}),
        4 => json!({"AWS": USER}),
        5 => json!({"Service": "ec2.amazonaws.com"}),
        6 => json!({"AWS": [random.of(&roles), random.of(&roles)]}),
        _ => json!({"AWS": random.of(&roles)}),
    }
}

fn mutate(policy: &mut Value, random: &mut Random) {
    match random.below(60) {
        0 => policy["Version"] = json!(random.of(&["2008-10-17", "2012-10-17", "2012-10-17 "])),
        1 => drop(policy.as_object_mut().unwrap().remove("Version")),
        2 => policy[format!("Version{AGAIN}")] = json!("2008-10-17"),
        3 => {
            let mut other = policy.clone();
            mutate_statement(&mut other, random);
            policy[format!("Statement{AGAIN}")] = other["Statement"].take();
        }
        _ => mutate_statement(policy, random),
    }
}

fn mutate_statement(policy: &mut Value, random: &mut Random) {
    let statements = policy["Statement"].as_array_mut().unwrap();
    let picked = random.below(statements.len());
    let mut statement = statements[picked].clone();
    let mut add = false;
    let members = statement.as_object_mut().unwrap();
    match random.below(13) {
        12 => {
            let again = match random.below(3) {
                0 => ("Effect", json!("Allow")),
                1 => ("Principal", principal(random)),
                _ => ("Action", json!(random.of(&ACTIONS))),
            };
            members.insert(format!("{}{AGAIN}", again.0), again.1);
        }
        0 => drop(members.remove("Condition")),
        1 => members["Effect"] = json!(random.of(&["Allow", "Deny"])),
        2 | 3 => {
            if let Some(Value::Array(actions)) = members.get_mut("Action") {
                actions.push(json!(random.of(&ACTIONS)));
            }
        }
        4 => drop(members.insert("Action".into(), json!([random.of(&ACTIONS)]))),
        5 | 6 => drop(members.insert("Principal".into(), principal(random))),
        7 => {
            let name = *random.of(&["Principal", "Action", "Resource"]);
            if let Some(value) = members.remove(name) {
                members.insert(format!("Not{name}"), value);
            }
        }
        8 => add = true,
        9 => {
            let conditions = members.entry("Condition").or_insert_with(|| json!({}));
            let conditions = conditions.as_object_mut().unwrap();
            let from = conditions.keys().next().cloned();
            if let Some(keys) = from.and_then(|from| conditions.remove(&from)) {
                conditions.insert((*random.of(&OPERATORS)).to_owned(), keys);
            }
        }
        _ => {
            let operator = *random.of(&OPERATORS);
            let conditions = members.entry("Condition").or_insert_with(|| json!({}));
            let keys = &mut conditions[operator];
            if keys.is_null() {
                *keys = json!({});
            }
            let keys = keys.as_object_mut().unwrap();
            match (keys.keys().next().cloned(), random.below(2)) {
                (Some(key), 0) => drop(keys.remove(&key)),
                _ => drop(keys.insert((*random.of(&KEYS)).to_owned(), values(random))),
            }
        }
    }
    if add {
        statements.push(statement);
    } else {
        statements[picked] = statement;
    }
}

#[test]
fn what_is_taken_releases_nothing_to_anybody_else() {
    let releases = [measured(1, 2, 3), measured(4, 5, 6)];
    let admins = [[role(ADMIN)], [role(ADMIN_UNDER_A_PATH)]];
    let mut random = Random(0x5eed);
    let (mut taken, mut refused, mut leaking) = (0, 0, 0);
    for round in 0..ROUNDS {
        let changes = *random.of(&[Changes::Immutable, Changes::BreakGlass]);
        let rules = Rules {
            releases: *random.of(&[Releases::Complete, Releases::Exactly(&releases)]),
            changes: *random.of(&[Changes::Immutable, Changes::BreakGlass]),
            kek_change: random.below(4) == 0,
            admins: *random.of(&[None, Some(&admins[0][..]), Some(&admins[1][..])]),
        };
        // an immutable policy is written for one release
        let several = if changes == Changes::Immutable { 1 } else { 1 + random.below(2) };
        let mut policy = generated(&releases[..several], changes);
        for _ in 0..1 + random.below(4) {
            mutate(&mut policy, &mut random);
        }
        let findings = lint(&text(&policy), &rules);
        if findings.is_empty() {
            taken += 1;
            assert_eq!(leak(&policy, &rules), None, "round {round}: {policy}");
        } else if round % SAMPLE == 0 {
            refused += 1;
            leaking += usize::from(leak(&policy, &rules).is_some());
        }
    }
    // The test is worth something only where mutations do harm, and where some do none.
    assert!(taken > ROUNDS / 20, "{taken} taken");
    assert!(leaking > refused / 3, "{leaking} of {refused} refused leak");
}
