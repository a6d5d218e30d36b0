//! Steps 4 to 11 on chains that are wrong in one way each.

use strongroom_attestation::{
    expect::{ExpectationError, Expectations},
    verify::{ChainError, Position, Step, TrustAnchor, TrustAnchorError, VerifyError},
};

use crate::{
    at,
    pki::{Authority, Constraints, Document, LEAF, MIDDLE, NOW_MS, ROOT, Template, ca},
    verify,
};

/// Root, one intermediate and leaf as these templates have them.
fn chain(root: &Template, middle: &Template, leaf: &Template) -> (Authority, Document) {
    let root = Authority::root(root);
    let document = root.issue(middle).document(&[&root], leaf);
    (root, document)
}

fn refused_at(root: &Authority, document: &Document, time_ms: u64) -> ChainError {
    match verify(&document.encoded(), &root.anchor(), at(time_ms)).map(drop).unwrap_err() {
        VerifyError::Chain(error) => error,
        error @ VerifyError::Signature => panic!("{error}"),
    }
}

fn refused((root, document): &(Authority, Document)) -> ChainError {
    refused_at(root, document, NOW_MS)
}

fn accepted((root, document): &(Authority, Document)) -> bool {
    verify(&document.encoded(), &root.anchor(), at(NOW_MS)).is_ok()
}

const BUNDLE_1: Position = Position::Bundle(1);

#[test]
fn a_right_chain_is_accepted() {
    assert!(accepted(&chain(&ROOT, &MIDDLE, &LEAF)));
    let limited = |template, path_len| Template { constraints: ca(Some(path_len)), ..template };
    assert!(accepted(&chain(&limited(ROOT, 1), &limited(MIDDLE, 0), &LEAF)));
    let bare = Template { constraints: Constraints::Absent, ..LEAF };
    assert!(accepted(&chain(&ROOT, &MIDDLE, &bare)), "a leaf without basic constraints");
    let root = Authority::root(&ROOT);
    let document = root.document(&[], &LEAF);
    assert!(accepted(&(root, document)), "a leaf right below the root");
}

#[test]
fn the_longest_bundle_is_accepted() {
    let mut authorities = vec![Authority::root(&ROOT)];
    for name in ["1", "2", "3", "4", "5", "6"] {
        let next = authorities.last().unwrap().issue(&Template { name, ..MIDDLE });
        authorities.push(next);
    }
    let last = authorities.pop().unwrap();
    let document = last.document(&authorities.iter().collect::<Vec<_>>(), &LEAF);
    assert_eq!(document.bundle.len(), 7);
    assert!(accepted(&(authorities.swap_remove(0), document)));
}

#[test]
fn a_root_of_the_same_name_is_another() {
    let (_, document) = chain(&ROOT, &MIDDLE, &LEAF);
    let error = refused(&(Authority::root(&ROOT), document));
    assert_eq!((error.step(), &error), (Step::Root, &ChainError::WrongRoot));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let (root, mut document) = chain(&ROOT, &MIDDLE, &LEAF);
    let good = document.leaf.clone();
    for bad in [vec![0x30], vec![0x30, 0x00], [good.as_slice(), &[0]].concat()] {
        document.leaf = bad;
        let error = refused_at(&root, &document, NOW_MS);
        let expected = ChainError::NotACertificate { at: Position::Leaf };
        assert_eq!((error.step(), error), (Step::Order, expected));
    }
    document.leaf = good;
    *document.bundle.get_mut(1).unwrap() = vec![0; 100];
    let expected = ChainError::NotACertificate { at: BUNDLE_1 };
    assert_eq!(refused_at(&root, &document, NOW_MS), expected);
}

#[test]
fn the_order_is_that_of_the_names() {
    let (root, mut document) = chain(&ROOT, &MIDDLE, &LEAF);
    document.bundle.pop();
    let error = refused_at(&root, &document, NOW_MS);
    assert_eq!((error.step(), error), (Step::Order, ChainError::Order { at: Position::Leaf }));
}

/// 2025-05-31T23:59:59Z to 2025-06-01T00:00:01Z, both inclusive, wherever in the chain.
#[test]
fn every_certificate_is_valid_at_the_time_and_the_root_too() {
    fn short(template: Template) -> Template {
        Template { validity: ["250531235959Z", "250601000001Z"], ..template }
    }
    for ((root, document), position) in [
        (chain(&short(ROOT), &MIDDLE, &LEAF), Position::Bundle(0)),
        (chain(&ROOT, &short(MIDDLE), &LEAF), BUNDLE_1),
        (chain(&ROOT, &MIDDLE, &short(LEAF)), Position::Leaf),
    ] {
        for time_ms in [NOW_MS - 1_000, NOW_MS, NOW_MS + 1_999] {
            let result = verify(&document.encoded(), &root.anchor(), at(time_ms));
            assert!(result.is_ok(), "{position} {time_ms}");
        }
        for time_ms in [NOW_MS - 1_001, NOW_MS + 2_000] {
            let error = refused_at(&root, &document, time_ms);
            assert_eq!(error.step(), Step::Validity, "{position}");
            let found = matches!(error, ChainError::Validity { at, .. } if at == position);
            assert!(found, "{position} {error}");
        }
    }
}

#[test]
fn basic_constraints_are_those_of_the_position() {
    let of = |constraints, template| Template { constraints, ..template };
    let lax = Constraints::Of { critical: false, ca: true, path_len: None };
    let no_ca = Constraints::Of { critical: true, ca: false, path_len: None };
    for wrong in [Constraints::Absent, Constraints::Malformed, lax, no_ca] {
        let error = refused(&chain(&of(wrong, ROOT), &MIDDLE, &LEAF));
        assert_eq!(error, ChainError::BasicConstraints { at: Position::Bundle(0), ca: true });
        let error = refused(&chain(&ROOT, &of(wrong, MIDDLE), &LEAF));
        assert_eq!(error, ChainError::BasicConstraints { at: BUNDLE_1, ca: true });
        assert_eq!(error.step(), Step::BasicConstraints);
    }
    for wrong in [Constraints::Malformed, lax, ca(None)] {
        let error = refused(&chain(&ROOT, &MIDDLE, &of(wrong, LEAF)));
        assert_eq!(error, ChainError::BasicConstraints { at: Position::Leaf, ca: false });
    }
}

#[test]
fn path_lengths_hold() {
    let none_below = Template { constraints: ca(Some(0)), ..ROOT };
    let error = refused(&chain(&none_below, &MIDDLE, &LEAF));
    let expected = ChainError::PathLength { at: Position::Bundle(0), allowed: 0, found: 1 };
    assert_eq!((error.step(), error), (Step::BasicConstraints, expected));

    let root = Authority::root(&ROOT);
    let middle = root.issue(&Template { constraints: ca(Some(0)), ..MIDDLE });
    let second = middle.issue(&Template { name: "second", ..MIDDLE });
    let document = second.document(&[&root, &middle], &LEAF);
    let expected = ChainError::PathLength { at: BUNDLE_1, allowed: 0, found: 1 };
    assert_eq!(refused(&(root, document)), expected);

    let constraints = Constraints::Of { critical: true, ca: false, path_len: Some(0) };
    let error = refused(&chain(&ROOT, &MIDDLE, &Template { constraints, ..LEAF }));
    assert_eq!((error.step(), error), (Step::BasicConstraints, ChainError::LeafPathLength));
}

#[test]
fn key_usage_is_that_of_the_position() {
    let of = |usage, template| Template { usage, ..template };
    // Absent; digitalSignature and cRLSign, not keyCertSign.
    for wrong in [None, Some(0x82)] {
        let expected = "keyCertSign";
        let error = refused(&chain(&of(wrong, ROOT), &MIDDLE, &LEAF));
        assert_eq!(error, ChainError::KeyUsage { at: Position::Bundle(0), expected });
        let error = refused(&chain(&ROOT, &of(wrong, MIDDLE), &LEAF));
        assert_eq!(error, ChainError::KeyUsage { at: BUNDLE_1, expected });
        assert_eq!(error.step(), Step::KeyUsage);
    }
    // Absent; keyCertSign, keyAgreement: not digitalSignature.
    for wrong in [None, Some(0x04), Some(0x08)] {
        let error = refused(&chain(&ROOT, &MIDDLE, &of(wrong, LEAF)));
        let expected = "digitalSignature";
        assert_eq!(error, ChainError::KeyUsage { at: Position::Leaf, expected });
    }
}

#[test]
fn keys_are_on_p384() {
    let (root, mut document) = chain(&ROOT, &MIDDLE, &LEAF);
    document.leaf = root.issue_p256(&LEAF).der;
    document.bundle.pop();
    let error = refused_at(&root, &document, NOW_MS);
    assert_eq!((error.step(), error), (Step::KeyUsage, ChainError::NotP384));

    // An intermediate on another curve cannot sign with ES384.
    let middle = root.issue_p256(&MIDDLE);
    let document = middle.document(&[&root], &LEAF);
    let error = refused(&(root, document));
    assert_eq!((error.step(), error), (Step::Path, ChainError::Path));
}

#[test]
fn the_key_of_the_leaf_is_an_uncompressed_point() {
    let (root, mut document) = chain(&ROOT, &MIDDLE, &LEAF);
    document.bundle.pop();
    for point in [&[0x02; 49][..], &[0x04; 96], &[0x04; 98], &[]] {
        document.leaf = root.certify_point(&LEAF, point);
        assert_eq!(refused_at(&root, &document, NOW_MS), ChainError::NotP384, "{}", point.len());
    }
}

#[test]
fn errors_do_not_quote_certificates() {
    let root = Authority::root(&ROOT);
    let document = root.issue(&MIDDLE).with_parameters(200).document(&[&root], &LEAF);
    assert!(document.leaf.len() > 700, "the parameters stand there twice");
    let error = refused(&(root, document));
    assert_eq!(error, ChainError::Path);
    assert!(error.to_string().len() < 100, "{error}");
}

#[test]
fn an_unknown_critical_extension_is_refused() {
    let unknown = |template| Template { unknown: true, ..template };
    for chain in [chain(&ROOT, &unknown(MIDDLE), &LEAF), chain(&ROOT, &MIDDLE, &unknown(LEAF))] {
        assert_eq!(refused(&chain), ChainError::Path);
    }
    let root = Authority::root(&unknown(ROOT));
    assert_eq!(TrustAnchor::from_der(&root.der), Err(TrustAnchorError::CriticalExtension));
}

#[test]
fn a_root_is_issued_by_itself() {
    let middle = Authority::root(&ROOT).issue(&MIDDLE);
    assert_eq!(TrustAnchor::from_der(&middle.der), Err(TrustAnchorError::NotARoot));
    let trailing = [Authority::root(&ROOT).der, vec![0]].concat();
    assert_eq!(TrustAnchor::from_der(&trailing), Err(TrustAnchorError::NotACertificate));
}

/// The second certificate of that name is right in itself, and signs nothing: the leaf is of the first.
#[test]
fn every_certificate_of_the_bundle_is_on_the_path() {
    let root = Authority::root(&ROOT);
    let first = root.issue(&MIDDLE);
    let idle = first.issue(&MIDDLE);
    let mut document = first.document(&[&root], &LEAF);
    document.bundle.push(idle.der);
    let error = refused(&(root, document));
    assert_eq!((error.step(), error), (Step::Path, ChainError::NotTheBundle));
}

#[test]
fn the_first_step_that_fails_is_told() {
    let expired = Template { validity: ["200101000000Z", "210101000000Z"], ..LEAF };
    let leaf = Template { usage: None, constraints: ca(None), ..expired };
    assert_eq!(refused(&chain(&ROOT, &MIDDLE, &leaf)).step(), Step::Validity);
    let root = Template { usage: None, ..ROOT };
    let leaf = Template { constraints: ca(None), ..LEAF };
    assert_eq!(refused(&chain(&root, &MIDDLE, &leaf)).step(), Step::BasicConstraints);
}

#[test]
fn a_document_without_image_is_of_debug_mode() {
    let (root, mut document) = chain(&ROOT, &MIDDLE, &LEAF);
    for (pcr0, debug) in [(Some(1), false), (Some(0), true), (None, true)] {
        document.pcr0 = pcr0;
        let verified = verify(&document.encoded(), &root.anchor(), at(NOW_MS)).unwrap();
        assert_eq!(verified.is_debug(), debug, "{pcr0:?}");
        let found = verified.check(&Expectations::default(), at(NOW_MS));
        assert_eq!(found, if debug { Err(ExpectationError::Debug) } else { Ok(()) });
        let lenient = Expectations { allow_debug: true, ..Expectations::default() };
        assert_eq!(verified.check(&lenient, at(NOW_MS)), Ok(()));
    }
}
