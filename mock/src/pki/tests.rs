#![allow(clippy::unwrap_used)]
//! Chains that are wrong in one way each, against the verifier: the genuine ones are all right.

use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use strongroom_attestation::{
    UnixTime,
    document::UnverifiedDocument,
    verify::{ChainError, Position, VerifiedDocument, VerifyError},
};

use super::*;
use crate::nsm::document_of;

fn verify(identity: &NsmIdentity, pki: &MockPki) -> Result<VerifiedDocument, VerifyError> {
    let document = document_of(identity, SystemTime::now());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let document = UnverifiedDocument::parse(&document).unwrap();
    document.verify(&pki.trust_anchor().unwrap(), UnixTime::since_unix_epoch(now))
}

fn chain_error(identity: &NsmIdentity, pki: &MockPki) -> ChainError {
    match verify(identity, pki) {
        Err(VerifyError::Chain(error)) => error,
        Err(VerifyError::Signature) => panic!("the chain was accepted"),
        Ok(_) => panic!("the document was accepted"),
    }
}

/// A chain of root, these authorities, and a leaf in this role.
fn identity(pki: &MockPki, path_lens: &[Option<u8>], role: Role<'_>) -> NsmIdentity {
    let from = SystemTime::now() - BACKDATED;
    let mut cabundle = vec![pki.root.der().clone()];
    let mut issuer = None::<Authority>;
    for (index, path_len) in path_lens.iter().enumerate() {
        let (name, role) = (format!("CN=ca{index}"), Role::Authority { path_len: *path_len });
        let parent = issuer.as_ref().unwrap_or(&pki.root);
        let next = parent.issue_authority(&name, role, from, INTERMEDIATE_LIFETIME).unwrap();
        cabundle.push(next.der().clone());
        issuer = Some(next);
    }
    let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let public_key = key.public_key().as_der().unwrap();
    let template = Template {
        subject: "CN=leaf",
        role,
        not_before: from,
        lifetime: LEAF_LIFETIME,
        public_key_der: public_key.as_ref(),
    };
    let leaf = issuer.as_ref().unwrap_or(&pki.root).issue(&template).unwrap();
    NsmIdentity { cabundle, leaf, key, issued: SystemTime::now() }
}

#[test]
fn chains_of_any_length_that_path_lengths_allow_are_accepted() {
    let pki = MockPki::ephemeral().unwrap();
    for path_lens in [&[][..], &[Some(0)], &[Some(2), Some(1), Some(0)], &[None, None]] {
        assert!(verify(&identity(&pki, path_lens, Role::Nsm), &pki).is_ok(), "{path_lens:?}");
    }
}

#[test]
fn a_chain_longer_than_allowed_is_refused() {
    let pki = MockPki::ephemeral().unwrap();
    let error = chain_error(&identity(&pki, &[Some(0), None], Role::Nsm), &pki);
    assert_eq!(error, ChainError::PathLength { at: Position::Bundle(1), allowed: 0, found: 1 });
}

#[test]
fn another_order_of_the_bundle_is_refused() {
    let pki = MockPki::ephemeral().unwrap();
    let mut identity = identity(&pki, &[None, None], Role::Nsm);
    identity.cabundle.swap(1, 2);
    assert_eq!(chain_error(&identity, &pki), ChainError::Order { at: Position::Bundle(1) });
    identity.cabundle.swap(1, 2);
    identity.cabundle.swap(0, 1);
    assert_eq!(chain_error(&identity, &pki), ChainError::WrongRoot);
}

#[test]
fn a_missing_or_additional_certificate_is_refused() {
    let pki = MockPki::ephemeral().unwrap();
    let mut identity = identity(&pki, &[None], Role::Nsm);
    let intermediate = identity.cabundle.pop().unwrap();
    assert_eq!(chain_error(&identity, &pki), ChainError::Order { at: Position::Leaf });
    identity.cabundle.extend([intermediate.clone(), intermediate]);
    assert_eq!(chain_error(&identity, &pki), ChainError::Order { at: Position::Bundle(2) });
}

#[test]
fn a_leaf_that_is_a_ca_is_refused() {
    let pki = MockPki::ephemeral().unwrap();
    let error = chain_error(&identity(&pki, &[None], Role::Authority { path_len: None }), &pki);
    assert_eq!(error, ChainError::BasicConstraints { at: Position::Leaf, ca: false });
}

#[test]
fn an_intermediate_that_is_no_ca_is_refused() {
    let pki = MockPki::ephemeral().unwrap();
    let from = SystemTime::now() - BACKDATED;
    let lifetime = INTERMEDIATE_LIFETIME;
    let no_ca = pki.root.issue_authority("CN=no-ca", Role::Nsm, from, lifetime).unwrap();
    let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let leaf = no_ca
        .issue(&Template {
            subject: "CN=leaf",
            role: Role::Nsm,
            not_before: from,
            lifetime: LEAF_LIFETIME,
            public_key_der: key.public_key().as_der().unwrap().as_ref(),
        })
        .unwrap();
    let cabundle = vec![pki.root.der().clone(), no_ca.der().clone()];
    let identity = NsmIdentity { cabundle, leaf, key, issued: SystemTime::now() };
    let expected = ChainError::BasicConstraints { at: Position::Bundle(1), ca: true };
    assert_eq!(chain_error(&identity, &pki), expected);
}

/// The names fit and the signature does not: only path building can tell.
#[test]
fn a_leaf_of_another_authority_of_the_same_name_is_refused() {
    let (pki, other) = (MockPki::ephemeral().unwrap(), MockPki::ephemeral().unwrap());
    let mut stolen = identity(&other, &[], Role::Nsm);
    assert_eq!(chain_error(&stolen, &pki), ChainError::WrongRoot);
    stolen.cabundle = vec![pki.root.der().clone()];
    assert_eq!(chain_error(&stolen, &pki), ChainError::Path);
}

#[test]
fn a_signature_of_another_key_is_refused() {
    let pki = MockPki::ephemeral().unwrap();
    let mut identity = identity(&pki, &[None], Role::Nsm);
    identity.key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    assert!(matches!(verify(&identity, &pki), Err(VerifyError::Signature)));
}

#[test]
fn a_pki_is_kept_and_loaded_and_half_of_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pki = MockPki::init(dir.path()).unwrap();
    let again = MockPki::init(dir.path()).unwrap();
    let loaded = MockPki::load(dir.path()).unwrap();
    assert_eq!(pki.root_pem().unwrap(), again.root_pem().unwrap());
    assert!(verify(&loaded.certify("i-0", SystemTime::now()).unwrap(), &pki).is_ok());

    let key = dir.path().join("root.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_file(key).unwrap();
    assert!(matches!(MockPki::init(dir.path()), Err(PkiError::Incomplete { .. })));
}
