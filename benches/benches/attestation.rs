//! Attestation documents and what KMS seals to them: the newest genuine document and the genuine blob
//! where the vectors are, and always a document of the mock NSM, a blob of the local KMS, and the RSA
//! key that an enclave makes for them.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use strongroom_attestation::{
    cms::RecipientKey,
    document::UnverifiedDocument,
    nsm::{AttestRequest, NsmClient},
    verify::TrustAnchor,
};
use strongroom_benches::{Document, genuine_documents, vector};
use strongroom_mock::{kms::cms::seal, nsm::MockNsm, pki::MockPki};

/// A document as large as those for KMS are, and the root of its PKI.
fn mock_document(public_key: &[u8]) -> (Document, TrustAnchor) {
    let pki = MockPki::ephemeral().unwrap();
    let anchor = pki.trust_anchor().unwrap();
    let nsm = MockNsm::new(pki, "benchmark").unwrap();
    let request = AttestRequest { public_key: Some(public_key.to_vec()), ..Default::default() };
    let bytes = NsmClient::new(&nsm).attest(request).unwrap();
    (Document::valid("mock".to_owned(), bytes, &anchor).unwrap(), anchor)
}

fn documents(criterion: &mut Criterion) {
    let key = RecipientKey::generate().unwrap();
    let mut documents = vec![mock_document(key.public_key_der())];
    documents.extend(genuine_documents().unwrap().pop().map(|d| (d, TrustAnchor::aws())));
    for (document, anchor) in documents {
        let mut group = criterion.benchmark_group(format!("document {}", document.name));
        let parse = || UnverifiedDocument::parse(black_box(&document.bytes)).unwrap();
        group.bench_function("parse", |b| b.iter(parse));
        group.bench_function("parse and verify", |b| {
            b.iter(|| parse().verify(&anchor, document.at).unwrap());
        });
    }
}

fn ciphertext_for_recipient(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ciphertext for recipient");
    let key = RecipientKey::generate().unwrap();
    for length in [32, 4096] {
        let blob = seal(key.public_key_der(), &vec![7; length]).unwrap();
        group.bench_function(format!("open {length} bytes"), |b| {
            b.iter(|| key.open(black_box(&blob)).unwrap());
        });
    }
    if let (Some(blob), Some(key)) =
        (vector("kms/edgebit.ber"), vector("kms/edgebit.key.pkcs8.der"))
    {
        let key = RecipientKey::from_pkcs8(&key).unwrap();
        group
            .bench_function("open edgebit.ber", |b| b.iter(|| key.open(black_box(&blob)).unwrap()));
    }
    group.sample_size(50);
    group.bench_function("generate rsa 2048", |b| b.iter(|| RecipientKey::generate().unwrap()));
}

criterion_group!(benches, documents, ciphertext_for_recipient);
criterion_main!(benches);
