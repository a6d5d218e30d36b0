//! Rotation: new material for what comes, the old one for what was.

use serde_json::{Value, json};

use crate::world::{DAY, World, allow, bytes, kind, now};

fn status(world: &World) -> Value {
    let request = json!({"KeyId": world.arn});
    world.ask(&world.admin, "GetKeyRotationStatus", &request).unwrap()
}

fn rotations(world: &World, more: Value) -> Value {
    let mut request = json!({"KeyId": world.arn});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.ask(&world.admin, "ListKeyRotations", &request).unwrap()
}

fn rotate(world: &World) {
    world.ask(&world.admin, "RotateKeyOnDemand", &json!({"KeyId": world.arn})).unwrap();
}

#[test]
fn what_was_encrypted_before_a_rotation_opens_after_it() {
    let world = World::new();
    let (first, old) = world.dek();
    rotate(&world);
    let (second, new) = world.dek();
    rotate(&world);
    for (dek, blob) in [(&first, &old), (&second, &new)] {
        assert_eq!(&world.open(&world.decrypt(blob, "dek", &world.nsm).unwrap()), dek);
    }
    // The version of the material, after the magic, the length of the ARN and the ARN.
    let version = |blob: &Value| {
        let start = 5 + 2 + world.arn.len();
        bytes(blob).get(start..start + 4).unwrap().to_vec()
    };
    assert_eq!((version(&old), version(&new)), (vec![0, 0, 0, 0], vec![0, 0, 0, 1]));
    assert_eq!(world.describe().get("Arn").unwrap(), &world.arn, "the key is the same");
}

#[test]
fn rotations_are_listed() {
    let world = World::new();
    assert_eq!(rotations(&world, json!({})), json!({"Rotations": [], "Truncated": false}));
    rotate(&world);
    rotate(&world);
    let listed = rotations(&world, json!({"Limit": 1}));
    let entry = listed.pointer("/Rotations/0").unwrap();
    assert_eq!(entry.get("RotationType").unwrap(), "ON_DEMAND");
    assert_eq!(entry.get("KeyId").unwrap(), &world.arn);
    assert!(entry.get("RotationDate").unwrap().as_u64().unwrap() <= now());
    let marker = listed.get("NextMarker").unwrap();
    let rest = rotations(&world, json!({"Marker": marker}));
    assert_eq!(rest.get("Rotations").unwrap().as_array().unwrap().len(), 1);
}

#[test]
fn a_key_rotates_on_demand_so_often_and_no_more() {
    let world = World::new();
    for _ in 0..25 {
        rotate(&world);
    }
    let request = json!({"KeyId": world.arn});
    let refusal = world.ask(&world.admin, "RotateKeyOnDemand", &request).unwrap_err();
    assert_eq!((refusal.status, refusal.kind.as_str()), (400, "LimitExceededException"));
    assert!(refusal.message.contains("25"), "{}", refusal.message);
}

#[test]
fn a_key_rotates_by_itself_when_that_is_enabled() {
    let world = World::new();
    let off = json!({"KeyId": world.arn, "KeyRotationEnabled": false});
    assert_eq!(status(&world), off);
    let enable = |days: u64, at| {
        let request = json!({"KeyId": world.arn, "RotationPeriodInDays": days});
        world.ask_at(&world.admin, "EnableKeyRotation", &request, at)
    };
    let at = now();
    for days in [89, 2561] {
        assert_eq!(kind(enable(days, at)), "ValidationException");
    }
    assert_eq!(status(&world), off);
    enable(90, at).unwrap();
    let on = json!({
        "KeyId": world.arn, "KeyRotationEnabled": true,
        "RotationPeriodInDays": 90, "NextRotationDate": at + 90 * DAY
    });
    assert_eq!(status(&world), on);
    rotate(&world);
    assert_eq!(status(&world), on, "on demand changes no schedule");

    let request = json!({"KeyId": world.arn});
    let late = at + 90 * DAY;
    let found = world.ask_at(&world.admin, "ListKeyRotations", &request, late).unwrap();
    assert_eq!(found.pointer("/Rotations/1/RotationType").unwrap(), "AUTOMATIC");
    assert_eq!(found.pointer("/Rotations/1/RotationDate").unwrap(), &json!(late));
    assert_eq!(status(&world).get("NextRotationDate").unwrap(), &json!(late + 90 * DAY));

    world.ask(&world.admin, "DisableKeyRotation", &request).unwrap();
    assert_eq!(status(&world), off);
    world.ask(&world.admin, "EnableKeyRotation", &request).unwrap();
    assert_eq!(status(&world).get("RotationPeriodInDays").unwrap(), 365);
    world.ask(&world.admin, "ScheduleKeyDeletion", &request).unwrap();
    assert_eq!(status(&world), off, "a key that is to be deleted does not rotate");
}

#[test]
fn who_may_not_rotate_does_not() {
    let world = World::new();
    let request = json!({"KeyId": world.arn});
    for operation in [
        "RotateKeyOnDemand",
        "EnableKeyRotation",
        "DisableKeyRotation",
        "GetKeyRotationStatus",
        "ListKeyRotations",
    ] {
        let answer = world.ask(&world.attacker, operation, &request);
        assert_eq!(kind(answer), "AccessDeniedException", "{operation}");
    }
    world.add_to_policy(&[allow(&world.attacker.arn, &["kms:RotateKeyOnDemand"])]);
    assert!(world.ask(&world.attacker, "RotateKeyOnDemand", &request).is_ok());
}
