//! Attestation: ask the NSM, verify its documents, open what KMS seals to an attested key.
//!
//! | module | what |
//! | --- | --- |
//! | [`nsm`] | the device as a trait, and typed questions to it |
//! | [`measure`] | PCR values, and how a measurement becomes one |
//! | [`document`] | bytes → [`document::UnverifiedDocument`]: COSE and CBOR syntax with every documented bound |
//! | [`verify`] | → [`verify::VerifiedDocument`]: certificates, signature, under a pinned root at a given time |
//! | [`expect`] | what a verifier expects of a verified document: PCRs, module, nonce, user data, public key, age |
//! | [`cms`] | `CiphertextForRecipient` of KMS, opened with the enclave's RSA key |
//! | [`key_policy`] | key policies of the KEK: written, and read for holes |
//!
//! The rules are those of AWS's "Nitro Enclaves Attestation Process"
//! (`docs/attestation_process.md` of `aws-nitro-enclaves-nsm-api`), cited below as *AP* with the
//! section. No module reads a clock: time is an argument. Nothing here is relaxed for a mock; a mock
//! brings another [`verify::TrustAnchor`].

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod cms;
pub mod cose;
pub mod document;
pub mod expect;
pub mod key_policy;
pub mod measure;
pub mod nsm;
pub mod verify;

pub use rustls_pki_types::UnixTime;
