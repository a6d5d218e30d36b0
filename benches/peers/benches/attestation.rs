//! Genuine attestation documents, verified by us and by `attestation-doc-validation`, in one run.
//!
//! Both do the whole of it, at the document's own time: COSE and CBOR syntax with the bounds of AWS's
//! attestation process, the chain to AWS's root (four signatures), the signature of the document; both
//! give the document with its members. They differ so:
//!
//! | | ours | `attestation-doc-validation` 0.10.1 |
//! | --- | --- | --- |
//! | time | an argument | the system's clock, stopped here |
//! | chain | `rustls-webpki` over `aws-lc-rs` | `webpki` 0.22 over `ring` |
//! | signature | `aws-lc-rs` | `p384` |
//! | root in the bundle, its order and whole use | checked | – |
//! | key usage, P-384, validity of the root | checked | – |
//! | protected header exactly ES384, unprotected empty | checked | only that it has ES384 |
//! | empty `user_data`, which AWS allows | accepted | refused |
//!
//! At the end stand the ratios, each the median of pairs of runs, one after the other, so that other load
//! on the machine falls on both.
#![allow(clippy::unwrap_used)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use attestation_doc_validation::{
    attestation_doc::decode_attestation_document, validate_and_parse_attestation_doc,
};
use criterion::Criterion;
use strongroom_attestation::{document::UnverifiedDocument, verify::TrustAnchor};
use strongroom_benches::{Document, genuine_documents};
use strongroom_peers::stop_wall_clock_at;

/// Pairs of runs of which the ratio is the median.
const PAIRS: usize = 201;

fn ours(document: &Document) {
    let parsed = UnverifiedDocument::parse(black_box(&document.bytes)).unwrap();
    black_box(parsed.verify(&TrustAnchor::aws(), document.at).unwrap());
}

fn theirs(document: &Document) {
    black_box(validate_and_parse_attestation_doc(black_box(&document.bytes)).unwrap());
}

fn time(run: impl Fn()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// Times of theirs over times of ours: the median, and the quartiles.
fn ratio(document: &Document) -> [f64; 3] {
    let mut ratios: Vec<_> = (0..PAIRS)
        .map(|_| {
            let ours = time(|| ours(document));
            time(|| theirs(document)).as_secs_f64() / ours.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    [PAIRS / 4, PAIRS / 2, PAIRS * 3 / 4].map(|i| *ratios.get(i).unwrap())
}

fn main() {
    let documents = genuine_documents().unwrap();
    let mut criterion = Criterion::default().configure_from_args();
    let mut lines = Vec::new();
    for document in &documents {
        stop_wall_clock_at(document.at.as_secs());
        if let Err(error) = validate_and_parse_attestation_doc(&document.bytes) {
            lines
                .push(format!("{}: attestation-doc-validation refuses it: {error}", document.name));
            continue;
        }
        let [low, median, high] = ratio(document);
        lines.push(format!(
            "{}: ours is {median:.2} times as fast ({low:.2} to {high:.2})",
            document.name
        ));
    }
    if let Some(document) = documents.last() {
        stop_wall_clock_at(document.at.as_secs());
        let mut group = criterion.benchmark_group(format!("parse {}", document.name));
        group.bench_function("ours", |b| {
            b.iter(|| UnverifiedDocument::parse(black_box(&document.bytes)).unwrap());
        });
        group.bench_function("attestation-doc-validation", |b| {
            b.iter(|| decode_attestation_document(black_box(&document.bytes)).unwrap());
        });
        group.finish();
        let mut group = criterion.benchmark_group(format!("parse and verify {}", document.name));
        group.bench_function("ours", |b| b.iter(|| ours(document)));
        group.bench_function("attestation-doc-validation", |b| b.iter(|| theirs(document)));
        group.finish();
    }
    criterion.final_summary();
    lines.iter().for_each(|line| println!("{line}"));
}
