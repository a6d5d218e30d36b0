//! What must not compile: a signature that skipped a step of the pipeline, and a copy of a key.
//!
//! Each file in `ui/` is a program that tries, with the error that it must meet.

#[test]
fn no_signature_without_an_approved_intent() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
