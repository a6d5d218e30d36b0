#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn made() -> (tempfile::TempDir, KeyArn) {
    let dir = tempfile::tempdir().unwrap();
    let arn = State::init(dir.path(), "eu-central-1").unwrap();
    (dir, arn)
}

fn new_key() -> NewKey {
    let policy = Policy::try_from(FIRST_POLICY.to_owned()).unwrap();
    NewKey { policy, description: "second".to_owned(), multi_region: false }
}

/// A change of the first key.
fn change(dir: &Path, change: impl FnOnce(&mut Key)) {
    let changed = State::change(dir, |state| {
        change(state.keys.first_mut().unwrap());
        Ok::<_, KmsError>(())
    });
    changed.unwrap();
}

fn secrets(state: &State) -> Vec<Vec<u8>> {
    let key = state.keys.first().unwrap();
    key.materials.iter().map(|material| material.secret.as_slice().to_vec()).collect()
}

#[test]
fn the_state_is_made_once_and_secret() {
    let (dir, arn) = made();
    assert_eq!(State::init(dir.path(), "us-east-1").unwrap(), arn, "what is there stays");
    assert!(arn.as_str().starts_with("arn:aws:kms:eu-central-1:111122223333:key/"));
    assert_eq!((arn.region(), arn.account()), ("eu-central-1", ACCOUNT));
    assert_eq!(arn.key_id().len(), 36);
    for file in [STATE_FILE, LOCK_FILE] {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let state = State::load(dir.path()).unwrap();
    assert!(state.key(arn.as_str(), "other").is_some());
    assert!(state.key(arn.key_id(), ACCOUNT).is_some());
    assert!(state.key(arn.key_id(), "444455556666").is_none(), "a bare id is of an account");
    assert!(state.key("", ACCOUNT).is_none());
}

#[test]
fn a_refused_policy_changes_nothing() {
    let (dir, arn) = made();
    assert!(State::set_policy(dir.path(), None, "{}").is_err());
    let state = State::load(dir.path()).unwrap();
    assert_eq!(state.key(arn.as_str(), ACCOUNT).unwrap().policy.text, FIRST_POLICY);
}

#[test]
fn a_policy_is_put_on_the_key_that_is_named() {
    const OTHER: &str = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:DescribeKey","Resource":"*"}]}"#;
    let (dir, first) = made();
    let second = State::change(dir.path(), |state| {
        Ok::<_, KmsError>(state.add(ACCOUNT, new_key(), 0)?.arn.clone())
    });
    let second = second.unwrap();
    let policies = || {
        let state = State::load(dir.path()).unwrap();
        [&first, &second].map(|arn| state.key(arn.as_str(), "").unwrap().policy.text.clone())
    };
    let put = |id: &str, policy: &str| State::set_policy(dir.path(), Some(id), policy);
    assert_eq!(put(second.as_str(), OTHER).unwrap(), second);
    assert_eq!(policies(), [FIRST_POLICY, OTHER]);
    assert_eq!(put(second.key_id(), FIRST_POLICY).unwrap(), second);
    assert_eq!(State::set_policy(dir.path(), None, OTHER).unwrap(), first);
    assert_eq!(policies(), [OTHER, FIRST_POLICY]);
    let unknown = first.as_str().replace("eu-central-1", "us-east-1");
    for unknown in [&unknown, "", "alias/strongroom"] {
        assert!(matches!(put(unknown, FIRST_POLICY), Err(KmsError::NoKey)), "{unknown}");
    }
    assert_eq!(policies(), [OTHER, FIRST_POLICY]);
}

#[test]
fn a_refused_change_changes_nothing() {
    let (dir, _) = made();
    let before = fs::read(path(dir.path())).unwrap();
    let refused = State::change_at(dir.path(), 0, |state| {
        state.keys.clear();
        Err::<(), _>(KmsError::Crypto)
    });
    assert!(refused.is_err());
    assert_eq!(fs::read(path(dir.path())).unwrap(), before);
}

#[test]
fn what_is_no_region_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for region in ["", "EU", "eu:central", "eu/1"] {
        assert!(matches!(State::init(dir.path(), region), Err(KmsError::Region)));
    }
}

#[test]
fn another_version_and_what_is_no_state_are_refused() {
    let (dir, _) = made();
    let text = fs::read_to_string(path(dir.path())).unwrap();
    let refusal = |text: &str| {
        fs::write(path(dir.path()), text).unwrap();
        State::load(dir.path()).err().unwrap().to_string()
    };
    assert!(refusal(r#"{"version":1,"keys":[]}"#).ends_with("begin anew in an empty folder"));
    assert!(refusal(&text.replace("\"region\"", "\"place\"")).ends_with("this program writes"));
    assert!(refusal(&text.replace("\"secret\": \"", "\"secret\": \"A")).ends_with("writes"));
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    *value.pointer_mut("/keys/0/materials").unwrap() = serde_json::json!([]);
    assert!(refusal(&value.to_string()).ends_with("expected key material"));
}

#[test]
fn changes_at_once_are_all_kept() {
    let (dir, _) = made();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..4 {
                    let add = |state: &mut State| state.add(ACCOUNT, new_key(), 0).map(drop);
                    State::change_at(dir.path(), 0, add).unwrap();
                }
            });
        }
    });
    assert_eq!(State::load(dir.path()).unwrap().keys.len(), 33);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn a_key_rotates_when_it_is_time_and_enabled() {
    let (dir, _) = made();
    let first = secrets(&State::load(dir.path()).unwrap());
    change(dir.path(), |key| key.rotation = Some(Rotation::from(0, 90)));
    let period = 90 * DAY_SECONDS;
    assert_eq!(secrets(&State::load_at(dir.path(), period - 1).unwrap()), first);

    change(dir.path(), |key| key.state = KeyState::Disabled);
    assert_eq!(secrets(&State::load_at(dir.path(), period).unwrap()), first);
    change(dir.path(), |key| key.state = KeyState::Enabled);

    let late = period + 7;
    let rotated = secrets(&State::load_at(dir.path(), late).unwrap());
    assert_eq!(rotated.len(), 2);
    assert_eq!(rotated.first(), first.first(), "the old material stays");
    assert_eq!(secrets(&State::load_at(dir.path(), late).unwrap()), rotated, "once");
    let key_due = |now| State::load(dir.path()).unwrap().keys.first().unwrap().is_due(now);
    assert!(!key_due(late + period - 1) && key_due(late + period));
}

#[test]
fn a_key_is_deleted_when_it_is_time() {
    let (dir, arn) = made();
    change(dir.path(), |key| key.state = KeyState::PendingDeletion { at: 100 });
    assert!(State::load_at(dir.path(), 99).unwrap().key(arn.as_str(), ACCOUNT).is_some());
    assert!(State::load_at(dir.path(), 100).unwrap().key(arn.as_str(), ACCOUNT).is_none());
    assert!(State::load(dir.path()).unwrap().keys.is_empty(), "for good");
}

#[test]
fn uuids_are_of_version_4() {
    let id = uuid().unwrap();
    let lengths: Vec<_> = id.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(id.get(14..15), Some("4"));
    assert!(matches!(id.get(19..20), Some("8" | "9" | "a" | "b")));
}
