#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const TEMPORARY: Validity = Validity::Temporary { expires_in: None };

fn made() -> (tempfile::TempDir, [Role; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let roles = init(dir.path(), "eu-central-1", "111122223333").unwrap();
    (dir, roles)
}

#[test]
fn two_roles_are_made_once_and_their_files_are_secret() {
    let (dir, [enclave, admin]) = made();
    assert_eq!(enclave.arn, "arn:aws:iam::111122223333:role/strongroom-enclave");
    assert_eq!(admin.arn, "arn:aws:iam::111122223333:role/strongroom-key-admin");
    let before = fs::read(path(dir.path())).unwrap();
    init(dir.path(), "us-east-1", "111122223333").unwrap();
    assert_eq!(fs::read(path(dir.path())).unwrap(), before, "what is there stays");

    for file in [path(dir.path()), enclave.credentials.clone(), admin.credentials.clone()] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let file = Identities::load(dir.path()).unwrap();
    let [one, two] = [&enclave, &admin].map(|role| file.role(&role.arn).unwrap());
    assert_ne!(one.credentials.access_key_id, two.credentials.access_key_id);
    assert_ne!(
        one.credentials.secret_access_key.expose(),
        two.credentials.secret_access_key.expose()
    );
}

#[test]
fn credentials_look_as_those_of_aws_and_their_file_is_the_shared_one() {
    let (dir, [enclave, _]) = made();
    let file = Identities::load(dir.path()).unwrap();
    let Credentials { access_key_id, secret_access_key, session_token, .. } =
        &file.role(&enclave.arn).unwrap().credentials;
    assert_eq!((access_key_id.len(), secret_access_key.expose().len()), (20, 40));
    assert!(access_key_id.starts_with("AKIA") && session_token.is_none());
    assert!(access_key_id.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b)));
    let text = fs::read_to_string(&enclave.credentials).unwrap();
    let secret = secret_access_key.expose();
    let expected = format!(
        "[default]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret}\n"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_role_is_added_once_and_temporary_credentials_have_a_token() {
    let (dir, _) = made();
    let added = add_role(dir.path(), "engine", TEMPORARY).unwrap();
    assert_eq!(added.arn, "arn:aws:iam::111122223333:role/engine");
    assert!(added.credentials.access_key_id.starts_with("ASIA"));
    assert_eq!(added.credentials.session_token.as_ref().unwrap().expose().len(), 128);

    let file = Identities::load(dir.path()).unwrap();
    let found = file.by_access_key(&added.credentials.access_key_id).unwrap();
    assert_eq!(found.arn, added.arn);
    assert!(file.by_access_key("AKIAIOSFODNN7EXAMPLE").is_none());
    assert!(matches!(
        add_role(dir.path(), "engine", Validity::Permanent),
        Err(KmsError::RoleExists)
    ));
    let other = add_role(dir.path(), "other", Validity::Permanent).unwrap();
    assert!(other.credentials.session_token.is_none());
}

#[test]
fn a_role_that_exists_is_given_further_credentials() {
    let (dir, [enclave, _]) = made();
    let before = fs::read(&enclave.credentials).unwrap();
    let again = add_credentials(dir.path(), ENCLAVE, TEMPORARY).unwrap();
    assert_eq!(again.arn, enclave.arn);
    let file = Identities::load(dir.path()).unwrap();
    let first = &file.role(&enclave.arn).unwrap().credentials;
    assert_ne!(first.access_key_id, again.credentials.access_key_id);
    for key in [&first.access_key_id, &again.credentials.access_key_id] {
        assert_eq!(file.by_access_key(key).unwrap().arn, enclave.arn);
    }
    init(dir.path(), "eu-central-1", "111122223333").unwrap();
    assert_eq!(fs::read(&enclave.credentials).unwrap(), before, "the first stay in the file");
    let unknown = add_credentials(dir.path(), "engine", TEMPORARY);
    assert!(matches!(unknown, Err(KmsError::NoRole)));
    assert_eq!(Identities::load(dir.path()).unwrap().identities.len(), 3);
}

#[test]
fn temporary_credentials_can_expire() {
    let (dir, _) = made();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    let validity = Validity::Temporary { expires_in: Some(Duration::from_secs(900)) };
    let expires_at = add_role(dir.path(), "engine", validity).unwrap().credentials.expires_at;
    assert!((before + 900..=now() + 900).contains(&expires_at.unwrap()));
    let added = add_role(dir.path(), "other", TEMPORARY).unwrap();
    assert_eq!(added.credentials.expires_at, None);
}

#[test]
fn roles_that_are_added_at_once_are_all_kept() {
    let (dir, _) = made();
    let names: Vec<_> = (0..16).map(|n| format!("role-{n}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| add_role(dir.path(), name, Validity::Permanent).unwrap());
        }
    });
    let file = Identities::load(dir.path()).unwrap();
    for name in &names {
        assert!(file.role(&role_arn(&file.account, name)).is_some(), "{name}");
    }
    assert_eq!(file.identities.len(), 18);
}

#[test]
fn principals_of_this_account_exist_or_do_not() {
    let (dir, _) = made();
    let file = Identities::load(dir.path()).unwrap();
    for (text, expected) in [
        ("*", true),
        ("111122223333", true),
        ("arn:aws:iam::111122223333:role/strongroom-enclave", true),
        ("arn:aws:sts::111122223333:assumed-role/strongroom-enclave/i-0", true),
        ("arn:aws:iam::444455556666:role/any", true),
        ("arn:aws:sts::444455556666:assumed-role/any/i-0", true),
        ("arn:aws:iam::444455556666:user/any", true),
        ("arn:aws:iam::111122223333:role/any", false),
        ("arn:aws:iam::111122223333:role/path/strongroom-enclave", false),
        ("arn:aws:sts::111122223333:assumed-role/any/i-0", false),
        ("arn:aws:iam::111122223333:user/strongroom-enclave", false),
    ] {
        assert_eq!(file.may_have(&Principal::parse(text).unwrap()), expected, "{text}");
    }
}

#[test]
fn what_is_no_name_of_a_role_is_refused() {
    let (dir, _) = made();
    for name in ["", "a b", "a/b", "ä", "a:b", &"a".repeat(65)] {
        assert!(matches!(add_role(dir.path(), name, TEMPORARY), Err(KmsError::RoleName)), "{name}");
    }
}

#[test]
fn a_file_of_another_shape_or_version_is_refused() {
    let (dir, _) = made();
    let text = fs::read_to_string(path(dir.path())).unwrap();
    for other in ["{}".to_owned(), text.replace("\"version\": 1", "\"version\": 2")] {
        fs::write(path(dir.path()), other).unwrap();
        assert!(matches!(Identities::load(dir.path()), Err(KmsError::State { .. })));
    }
}

#[test]
fn the_account_of_a_caller_is_that_of_its_role() {
    let caller = Caller { arn: "arn:aws:iam::111122223333:role/engine".to_owned() };
    assert_eq!(caller.account(), "111122223333");
}
