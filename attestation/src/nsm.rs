//! The Nitro Security Module: the device as a trait, and typed questions to it.
//!
//! The production enclave implements [`Nsm`] over `/dev/nsm`; the mock implements it in memory. Both
//! speak the types of `aws-nitro-enclaves-nsm-api`. The device serves one request at a time: keep
//! these calls off the hot path.

use std::sync::Arc;

use aws_nitro_enclaves_nsm_api::api::{ErrorCode, Request, Response};
use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::measure::{PCR_BYTES, Pcr};

/// The most bytes of `user_data` in a document (AP 3.2.2.2).
pub const MAX_USER_DATA_BYTES: usize = 512;
/// The most bytes of `nonce` in a document (AP 3.2.2.2).
pub const MAX_NONCE_BYTES: usize = 512;
/// The most bytes of `public_key` in a document (AP 3.2.2.2).
pub const MAX_PUBLIC_KEY_BYTES: usize = 1024;

/// A Nitro Security Module, or what stands in for one.
pub trait Nsm: Send + Sync {
    /// Answers one request; a failure is a [`Response::Error`].
    fn process(&self, request: Request) -> Response;
}

impl<N: Nsm + ?Sized> Nsm for &N {
    fn process(&self, request: Request) -> Response {
        (**self).process(request)
    }
}

impl<N: Nsm + ?Sized> Nsm for Arc<N> {
    fn process(&self, request: Request) -> Response {
        (**self).process(request)
    }
}

impl<N: Nsm + ?Sized> Nsm for Box<N> {
    fn process(&self, request: Request) -> Response {
        (**self).process(request)
    }
}

/// Which request was made; names it in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `DescribePCR`
    DescribePcr,
    /// `ExtendPCR`
    ExtendPcr,
    /// `LockPCR`
    LockPcr,
    /// `Attestation`
    Attestation,
    /// `GetRandom`
    GetRandom,
}

/// Why the NSM did not give what was asked of it.
#[derive(Debug, Error)]
pub enum NsmError {
    /// The NSM itself refused.
    #[error("nsm {operation:?}: refused with {code:?}")]
    Refused {
        /// The request.
        operation: Operation,
        /// The code of the NSM.
        code: ErrorCode,
    },
    /// The NSM answered another kind of request.
    #[error("nsm {operation:?}: the response is of another kind")]
    UnexpectedResponse {
        /// The request.
        operation: Operation,
    },
    /// A register does not have the 48 bytes of SHA-384.
    #[error("nsm {operation:?}: expected a pcr of 48 bytes, found {found}")]
    PcrLength {
        /// The request.
        operation: Operation,
        /// Bytes in the response.
        found: usize,
    },
    /// The register is locked, so it cannot be this enclave's first extension.
    #[error("pcr{index}: expected an unlocked register, found a locked one")]
    AlreadyLocked {
        /// The register.
        index: u16,
    },
    /// The register was extended before.
    #[error("pcr{index}: expected zero, found {found}")]
    AlreadyExtended {
        /// The register.
        index: u16,
        /// Its value.
        found: Pcr,
    },
    /// Extending gave another value than SHA-384(old ‖ data).
    #[error("pcr{index}: expected {expected} after extending, found {found}")]
    WrongValue {
        /// The register.
        index: u16,
        /// What extending must give.
        expected: Pcr,
        /// What the NSM says.
        found: Pcr,
    },
    /// The register is still open after it was locked.
    #[error("pcr{index}: expected a locked register after locking, found an unlocked one")]
    NotLocked {
        /// The register.
        index: u16,
    },
    /// A member of the wanted document exceeds the documented limit; the NSM was not asked.
    #[error("{field}: expected at most {max} bytes, found {found}")]
    TooLong {
        /// The member of the document.
        field: &'static str,
        /// The documented limit in bytes.
        max: usize,
        /// Its length in bytes.
        found: usize,
    },
    /// The wanted document has a public key of no bytes; the NSM was not asked.
    #[error("public_key: expected 1 to {MAX_PUBLIC_KEY_BYTES} bytes, found 0")]
    EmptyPublicKey,
    /// The NSM answered a request for entropy with nothing.
    #[error("nsm GetRandom: expected entropy, found 0 bytes")]
    NoEntropy,
}

/// A register as the NSM describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcrState {
    /// Whether it is read-only until the enclave ends.
    pub locked: bool,
    /// Its value.
    pub value: Pcr,
}

/// What the caller wants bound into a document. Members stay absent unless given.
#[derive(Debug, Clone, Default)]
pub struct AttestRequest {
    /// At most [`MAX_USER_DATA_BYTES`].
    pub user_data: Option<Vec<u8>>,
    /// At most [`MAX_NONCE_BYTES`].
    pub nonce: Option<Vec<u8>>,
    /// DER of a SubjectPublicKeyInfo, 1 to [`MAX_PUBLIC_KEY_BYTES`] bytes.
    pub public_key: Option<Vec<u8>>,
}

/// Typed questions to an [`Nsm`].
pub struct NsmClient<'a, N: Nsm + ?Sized> {
    device: &'a N,
}

impl<'a, N: Nsm + ?Sized> NsmClient<'a, N> {
    /// A client of this device.
    pub fn new(device: &'a N) -> Self {
        Self { device }
    }

    /// Extends the fresh register `index` with `data` and locks it; gives its value,
    /// SHA-384(48 zero bytes ‖ `data`), which is checked and not just believed.
    ///
    /// # Errors
    /// When the register is locked or not zero beforehand, when the NSM refuses, or when its answers
    /// do not fit. After an error the register may be extended: the boot must not go on.
    pub fn extend_and_lock(&self, index: u16, data: &[u8; PCR_BYTES]) -> Result<Pcr, NsmError> {
        let before = self.describe_pcr(index)?;
        if before.locked {
            return Err(NsmError::AlreadyLocked { index });
        }
        if !before.value.is_zero() {
            return Err(NsmError::AlreadyExtended { index, found: before.value });
        }

        let expected = Pcr::ZERO.extended_with(data);
        let found = self.extend(index, data)?;
        if found != expected {
            return Err(NsmError::WrongValue { index, expected, found });
        }

        self.lock(index)?;
        let after = self.describe_pcr(index)?;
        if after.value != expected {
            return Err(NsmError::WrongValue { index, expected, found: after.value });
        }
        if !after.locked {
            return Err(NsmError::NotLocked { index });
        }
        Ok(expected)
    }

    /// The value of register `index`, and whether it is locked.
    ///
    /// # Errors
    /// When the NSM refuses (no such register) or answers something else.
    pub fn describe_pcr(&self, index: u16) -> Result<PcrState, NsmError> {
        let operation = Operation::DescribePcr;
        match self.device.process(Request::DescribePCR { index }) {
            Response::DescribePCR { lock, data } => {
                Ok(PcrState { locked: lock, value: pcr(operation, &data)? })
            }
            other => Err(unexpected(operation, other)),
        }
    }

    /// Fills `buffer` with entropy of the NSM.
    ///
    /// # Errors
    /// When the NSM refuses, answers something else, or answers with nothing; `buffer` may then be
    /// filled in part.
    pub fn random(&self, buffer: &mut [u8]) -> Result<(), NsmError> {
        let operation = Operation::GetRandom;
        let mut rest = buffer;
        while !rest.is_empty() {
            let random = match self.device.process(Request::GetRandom) {
                Response::GetRandom { random } => zeroize::Zeroizing::new(random),
                other => return Err(unexpected(operation, other)),
            };
            if random.is_empty() {
                return Err(NsmError::NoEntropy);
            }
            let taken = rest.len().min(random.len());
            let (now, later) = rest.split_at_mut(taken);
            now.iter_mut().zip(random.iter()).for_each(|(to, from)| *to = *from);
            rest = later;
        }
        Ok(())
    }

    /// A new attestation document (CBOR of a COSE_Sign1) that carries what `request` names.
    ///
    /// # Errors
    /// [`NsmError::TooLong`] and [`NsmError::EmptyPublicKey`] before the NSM is asked, when a member is
    /// not within its documented limits; else when the NSM refuses or answers something else.
    pub fn attest(&self, request: AttestRequest) -> Result<Vec<u8>, NsmError> {
        let AttestRequest { user_data, nonce, public_key } = request;
        if public_key.as_ref().is_some_and(Vec::is_empty) {
            return Err(NsmError::EmptyPublicKey);
        }
        let request = Request::Attestation {
            user_data: bounded("user_data", user_data, MAX_USER_DATA_BYTES)?,
            nonce: bounded("nonce", nonce, MAX_NONCE_BYTES)?,
            public_key: bounded("public_key", public_key, MAX_PUBLIC_KEY_BYTES)?,
        };
        match self.device.process(request) {
            Response::Attestation { document } => Ok(document),
            other => Err(unexpected(Operation::Attestation, other)),
        }
    }

    fn extend(&self, index: u16, data: &[u8; PCR_BYTES]) -> Result<Pcr, NsmError> {
        let operation = Operation::ExtendPcr;
        match self.device.process(Request::ExtendPCR { index, data: data.to_vec() }) {
            Response::ExtendPCR { data } => pcr(operation, &data),
            other => Err(unexpected(operation, other)),
        }
    }

    fn lock(&self, index: u16) -> Result<(), NsmError> {
        match self.device.process(Request::LockPCR { index }) {
            Response::LockPCR => Ok(()),
            other => Err(unexpected(Operation::LockPcr, other)),
        }
    }
}

fn bounded(
    field: &'static str,
    value: Option<Vec<u8>>,
    max: usize,
) -> Result<Option<ByteBuf>, NsmError> {
    match value {
        Some(value) if value.len() > max => {
            Err(NsmError::TooLong { field, max, found: value.len() })
        }
        value => Ok(value.map(ByteBuf::from)),
    }
}

fn pcr(operation: Operation, data: &[u8]) -> Result<Pcr, NsmError> {
    let found = data.len();
    data.try_into().map(Pcr::new).map_err(|_| NsmError::PcrLength { operation, found })
}

fn unexpected(operation: Operation, response: Response) -> NsmError {
    match response {
        Response::Error(code) => NsmError::Refused { operation, code },
        _ => NsmError::UnexpectedResponse { operation },
    }
}

#[cfg(test)]
mod tests;
