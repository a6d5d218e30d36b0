//! Stand-ins for the hardware and for AWS, made from outside of what they stand in for.
//!
//! | module | stands in for |
//! | --- | --- |
//! | [`pki`] | AWS's certificate authorities: the root of the Nitro PKI, the root of KMS's TLS |
//! | [`nsm`] | the Nitro Security Module: registers, entropy, signed attestation documents |
//! | [`transport`] | the vsock: Unix sockets |
//! | [`kms`] | AWS KMS: keys, key policies with attestation conditions, `CiphertextForRecipient` |
//!
//! Nothing that they make is accepted by a production image: it pins AWS's root and Amazon's CAs in its
//! measured configuration. The code that verifies is the same; the trust anchor is another.

mod files;
pub mod kms;
pub mod nsm;
pub mod pki;
pub mod stop;
pub mod transport;
