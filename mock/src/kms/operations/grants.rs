//! `CreateGrant`, `ListGrants`, `RevokeGrant`. A grant works at once; grant tokens are ignored.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        error::ApiError,
        grants::{Constraints, Grant, Terms, is_operation},
        object::{Object, nullable},
        policy::principal::Principal,
        state::Key,
    },
    Authority, Call, enabled, find, no_dry_run, nothing,
    page::Page,
    validation,
};

/// The most grants of a key, fewer than AWS's 50,000: each request reads them all.
const MAX_GRANTS: usize = 256;
/// By default, and at most.
const PAGE: [usize; 2] = [50, 100];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateGrant {
    key_id: String,
    name: Option<String>,
    grantee_principal: String,
    retiring_principal: Option<String>,
    operations: BTreeSet<String>,
    constraints: Option<Object<Constraints>>,
    #[serde(default, deserialize_with = "nullable")]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListGrants {
    key_id: String,
    grant_id: Option<String>,
    grantee_principal: Option<String>,
    #[serde(flatten)]
    page: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RevokeGrant {
    key_id: String,
    grant_id: String,
    #[serde(default, deserialize_with = "nullable")]
    dry_run: bool,
}

impl Call<'_> {
    pub(super) fn create_grant(&self, request: CreateGrant) -> Result<Value, ApiError> {
        let CreateGrant { key_id, name, grantee_principal, retiring_principal, .. } = request;
        let CreateGrant { operations, constraints, dry_run, .. } = request;
        let (grantee, retiring) = (grantee_principal, retiring_principal);
        let constraints = constraints.map(|Object(constraints)| constraints);
        let terms = Terms { name, grantee, retiring, operations, constraints };
        check(&terms)?;
        self.change(|state| {
            let key = state.key_mut(&key_id, self.caller.account()).ok_or(ApiError::NotFound)?;
            if let Authority::Grants(grants) = self.authorize(key)?
                && !grants.iter().any(|grant| grant.covers(&terms))
            {
                return validation("expected no more than the grant that allows kms:CreateGrant");
            }
            enabled(key)?;
            no_dry_run(dry_run)?;
            let id = self.grant(key, terms)?;
            Ok(json!({"GrantId": id, "GrantToken": STANDARD.encode(random()?)}))
        })
    }

    /// Adds a grant; gives its id. To repeat a named one gives the id of the first.
    fn grant(&self, key: &mut Key, terms: Terms) -> Result<String, ApiError> {
        let same = key.grants.iter().find(|grant| grant.terms == terms);
        if let (Some(_), Some(same)) = (&terms.name, same) {
            return Ok(same.id.clone());
        }
        if key.grants.len() >= MAX_GRANTS {
            let limit = format!("grants: expected at most {MAX_GRANTS} of a key");
            return Err(ApiError::LimitExceeded(limit));
        }
        let id = hex::encode(random()?);
        let issuing_account = self.caller.account().to_owned();
        let created_at = self.now.as_secs();
        key.grants.push(Grant { id: id.clone(), created_at, issuing_account, terms });
        Ok(id)
    }

    pub(super) fn list_grants(&self, request: &ListGrants) -> Result<Value, ApiError> {
        let ListGrants { key_id, grant_id, grantee_principal, page } = request;
        let state = self.state()?;
        let key = find(&state, key_id, self.caller)?;
        self.authorize(key)?;
        let grants = key.grants.iter().filter(|grant| {
            let id = grant_id.as_ref().is_none_or(|id| grant.id == *id);
            id && grantee_principal.as_ref().is_none_or(|of| grant.terms.grantee == *of)
        });
        let entries = grants.map(|grant| (grant.id.clone(), entry(key, grant))).collect();
        page.of("Grants", entries, PAGE)
    }

    pub(super) fn revoke_grant(&self, request: &RevokeGrant) -> Result<Value, ApiError> {
        self.change_key(&request.key_id, |key| {
            let place = key.grants.iter().position(|grant| grant.id == request.grant_id);
            let place = place.ok_or(ApiError::NoSuch("the grant does not exist"))?;
            no_dry_run(request.dry_run)?;
            key.grants.remove(place);
            Ok(nothing())
        })
    }
}

fn check(terms: &Terms) -> Result<(), ApiError> {
    for principal in [Some(&terms.grantee), terms.retiring.as_ref()].into_iter().flatten() {
        let known = Principal::parse(principal).filter(|_| principal.starts_with("arn:"));
        if known.is_none() {
            return Err(ApiError::InvalidArn("principal: expected the arn of a principal"));
        }
    }
    let operations = &terms.operations;
    if operations.is_empty() || !operations.iter().all(|name| is_operation(name)) {
        return validation("operations: expected some that a symmetric key supports");
    }
    if terms.constraints.as_ref().is_some_and(|constraints| !constraints.are_small()) {
        return validation("constraints: expected at most 8 pairs");
    }
    let name = |name: &String| {
        let byte = |b: u8| b.is_ascii_alphanumeric() || b":/_-".contains(&b);
        (1..=256).contains(&name.len()) && name.bytes().all(byte)
    };
    if !terms.name.as_ref().is_none_or(name) {
        return validation("name: expected 1 to 256 letters, digits and :/_-");
    }
    Ok(())
}

/// AWS KMS API reference, GrantListEntry.
fn entry(key: &Key, grant: &Grant) -> Value {
    let Grant { id, created_at, issuing_account, terms } = grant;
    let Terms { name, grantee, retiring, operations, constraints } = terms;
    let mut entry = json!({
        "KeyId": key.arn,
        "GrantId": id,
        "CreationDate": created_at,
        "GranteePrincipal": grantee,
        "IssuingAccount": format!("arn:aws:iam::{issuing_account}:root"),
        "Operations": operations,
    });
    if let Value::Object(members) = &mut entry {
        for (member, text) in [("Name", name), ("RetiringPrincipal", retiring)] {
            members.extend(text.as_ref().map(|text| (member.to_owned(), text.as_str().into())));
        }
        members.extend(constraints.as_ref().map(|of| ("Constraints".to_owned(), json!(of))));
    }
    entry
}

fn random() -> Result<[u8; 32], ApiError> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(bytes)
}
