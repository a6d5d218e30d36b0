//! Who keeps the key: the admin roles, and never the host's.

use super::*;

fn admins(roles: &[RoleArn]) -> Rules<'_> {
    Rules { admins: Some(roles), ..rules(Changes::BreakGlass) }
}

#[test]
fn only_the_admin_roles_keep_the_key() {
    let policy = generated(&[measured(1, 2, 3)], Changes::BreakGlass);
    for admin in [ADMIN, ADMIN_UNDER_A_PATH] {
        assert!(codes(&policy, &admins(&[role(STRANGER), role(admin)])).is_empty(), "{admin}");
    }
    // the management, and the break-glass
    assert_eq!(codes(&policy, &admins(&[])), ["other_admin"; 2]);
    assert_eq!(codes(&policy, &admins(&[role(STRANGER)])), ["other_admin"; 2]);

    // a role that somebody leaves behind
    for statement in [2, 3] {
        let mut policy = policy.clone();
        policy["Statement"][statement]["Principal"] = json!({"AWS": [ADMIN, STRANGER]});
        let findings = lint(&policy.to_string(), &admins(&[role(ADMIN)]));
        let [finding] = findings.as_slice() else { unreachable!("{findings:?}") };
        assert_eq!(finding.hole, Hole::OtherAdmin);
        assert_eq!(finding.about.as_ref().map(Excerpt::as_str), Some(STRANGER));
        assert_eq!(finding.statement.as_ref().map(|place| place.number), Some(statement + 1));
        // where nobody says who the admins are, any role may be one
        assert!(codes(&policy, &rules(Changes::BreakGlass)).is_empty());
    }
}

#[test]
fn an_immutable_policy_is_managed_by_admin_roles_too() {
    let mut policy = generated(&[measured(1, 2, 3)], Changes::Immutable);
    let nobody = Rules { admins: Some(&[]), ..rules(Changes::Immutable) };
    assert_eq!(codes(&policy, &nobody), ["other_admin"]);
    // to look is not to manage
    policy["Statement"][2]["Action"] = json!("kms:ListKeyPolicies");
    assert!(codes(&policy, &nobody).is_empty());
}

#[test]
fn the_host_keeps_nothing_even_where_it_is_called_an_admin() {
    let roles = [role(ADMIN), role(HOST)];
    for rules in [admins(&roles), rules(Changes::BreakGlass)] {
        for host in [HOST, HOST_UNDER_A_PATH] {
            for (statement, code) in [(2, "managed_by_host"), (3, "policy_change_by_host")] {
                let mut policy = generated(&[measured(1, 2, 3)], Changes::BreakGlass);
                policy["Statement"][statement]["Principal"] = json!({"AWS": [host, ADMIN]});
                assert_eq!(codes(&policy, &rules), [code], "{host}");
            }
        }
    }
}
