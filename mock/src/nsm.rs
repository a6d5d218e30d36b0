//! A Nitro Security Module in memory: registers, entropy, and attestation documents that are real but
//! for the root under which they verify.
//!
//! It keeps to the limits of the real one, and writes documents as it has since 2025: the payload is
//! a map of indefinite length, and absent members are null.

mod document;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_nitro_enclaves_nsm_api::api::{Digest, ErrorCode, Request, Response};
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha384};
use strongroom_attestation::{
    measure::{PCR_COUNT, Pcr, extend_from_zero},
    nsm::{MAX_NONCE_BYTES, MAX_PUBLIC_KEY_BYTES, MAX_USER_DATA_BYTES, Nsm},
};

use crate::pki::{MockPki, NsmIdentity, PkiError};

/// The registers that are locked when an enclave starts: 0 to 15.
const LOCKED_AT_START: u16 = 16;
/// How many random bytes one request gives.
const RANDOM_BYTES: usize = 256;
/// The most bytes with which a register is extended at once.
const MAX_EXTEND_BYTES: usize = 512;
/// After this time the certificates are made anew; a leaf lives three hours.
const RENEW_AFTER: Duration = Duration::from_secs(60 * 60);

type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// A Nitro Security Module in memory.
pub struct MockNsm {
    pki: MockPki,
    module_id: String,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    registers: Vec<Register>,
    identity: NsmIdentity,
}

#[derive(Clone, Copy)]
struct Register {
    value: Pcr,
    locked: bool,
}

/// PCR0, PCR1 and PCR2 of an enclave that runs the image `image`, any label: PCRn is a fresh register
/// extended with the measurement of the label and the byte n.
pub fn image_measurements(image: &str) -> [Pcr; 3] {
    [0, 1, 2].map(|n| extend_from_zero(&[image.as_bytes(), &[n]].concat()))
}

impl MockNsm {
    /// The NSM of an enclave that has just started with the image `image`, certified by `pki`.
    ///
    /// # Errors
    /// When certificates cannot be made.
    pub fn new(pki: MockPki, image: &str) -> Result<Self, PkiError> {
        Self::with_clock(pki, image, SystemTime::now)
    }

    /// As [`MockNsm::new`], with a clock of one's own: for documents from another time.
    ///
    /// # Errors
    /// When certificates cannot be made.
    pub fn with_clock(
        pki: MockPki,
        image: &str,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Result<Self, PkiError> {
        let module_id = module_id()?;
        let mut registers: Vec<_> = (0..PCR_COUNT)
            .map(|index| Register { value: Pcr::ZERO, locked: index < LOCKED_AT_START })
            .collect();
        for (register, value) in registers.iter_mut().zip(image_measurements(image)) {
            register.value = value;
        }
        let identity = pki.certify(&module_id, clock())?;
        let state = Mutex::new(State { registers, identity });
        Ok(Self { pki, module_id, clock: Box::new(clock), state })
    }

    /// The name of this NSM, as documents carry it.
    pub fn module_id(&self) -> &str {
        &self.module_id
    }

    fn answer(&self, request: Request) -> Result<Response, ErrorCode> {
        // No code panics while it holds the lock, and each change is a single assignment.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match request {
            Request::DescribePCR { index } => {
                let Register { value, locked } = *state.register(index)?;
                Ok(Response::DescribePCR { lock: locked, data: value.as_bytes().to_vec() })
            }
            Request::ExtendPCR { index, data } => {
                let register = state.unlocked_register(index)?;
                register.value = extend(register.value, &data)?;
                Ok(Response::ExtendPCR { data: register.value.as_bytes().to_vec() })
            }
            Request::LockPCR { index } => {
                state.unlocked_register(index)?.locked = true;
                Ok(Response::LockPCR)
            }
            Request::LockPCRs { range } => {
                let registers = state.registers.get_mut(..usize::from(range));
                let registers = registers.ok_or(ErrorCode::InvalidIndex)?;
                registers.iter_mut().for_each(|register| register.locked = true);
                Ok(Response::LockPCRs)
            }
            Request::DescribeNSM => Ok(self.describe(&state)),
            Request::Attestation { user_data, nonce, public_key } => {
                bounded(user_data.as_ref(), 0, MAX_USER_DATA_BYTES)?;
                bounded(nonce.as_ref(), 0, MAX_NONCE_BYTES)?;
                bounded(public_key.as_ref(), 1, MAX_PUBLIC_KEY_BYTES)?;
                self.attest(&mut state, [public_key, user_data, nonce])
            }
            Request::GetRandom => {
                let mut random = vec![0; RANDOM_BYTES];
                aws_lc_rs::rand::fill(&mut random).map_err(|_| ErrorCode::InternalError)?;
                Ok(Response::GetRandom { random })
            }
            _ => Err(ErrorCode::InvalidOperation),
        }
    }

    fn describe(&self, state: &State) -> Response {
        let locked_pcrs: BTreeSet<u16> = state.locked().map(|(index, _)| index).collect();
        Response::DescribeNSM {
            version_major: 1,
            version_minor: 0,
            version_patch: 0,
            module_id: self.module_id.clone(),
            max_pcrs: PCR_COUNT,
            locked_pcrs,
            digest: Digest::SHA384,
        }
    }

    /// A document with the locked registers (AP 2.2), under certificates that are young enough.
    fn attest(
        &self,
        state: &mut State,
        members: [Option<ByteBuf>; 3],
    ) -> Result<Response, ErrorCode> {
        let now = (self.clock)();
        // An error is a clock that went back, for which the certificates may not be valid either.
        let young = now.duration_since(state.identity.issued).is_ok_and(|age| age < RENEW_AFTER);
        if !young {
            let renewed = self.pki.certify(&self.module_id, now);
            state.identity = renewed.map_err(|_| ErrorCode::InternalError)?;
        }
        let [public_key, user_data, nonce] = members;
        let payload = document::Payload {
            module_id: &self.module_id,
            now,
            pcrs: state.locked().collect(),
            identity: &state.identity,
            public_key,
            user_data,
            nonce,
        };
        let document = document::sign(&payload).map_err(|_| ErrorCode::InternalError)?;
        Ok(Response::Attestation { document })
    }
}

impl Nsm for MockNsm {
    fn process(&self, request: Request) -> Response {
        self.answer(request).unwrap_or_else(Response::Error)
    }
}

impl State {
    fn register(&mut self, index: u16) -> Result<&mut Register, ErrorCode> {
        self.registers.get_mut(usize::from(index)).ok_or(ErrorCode::InvalidIndex)
    }

    fn unlocked_register(&mut self, index: u16) -> Result<&mut Register, ErrorCode> {
        let register = self.register(index)?;
        if register.locked { Err(ErrorCode::ReadOnlyIndex) } else { Ok(register) }
    }

    fn locked(&self) -> impl Iterator<Item = (u16, Pcr)> {
        let indexed = (0..PCR_COUNT).zip(&self.registers);
        indexed.filter(|(_, register)| register.locked).map(|(index, r)| (index, r.value))
    }
}

/// SHA-384(old ‖ data): what is given is not hashed first.
fn extend(old: Pcr, data: &[u8]) -> Result<Pcr, ErrorCode> {
    match data.len() {
        0 => Err(ErrorCode::InvalidArgument),
        1..=MAX_EXTEND_BYTES => {
            let hash = Sha384::new().chain_update(old.as_bytes()).chain_update(data);
            Ok(Pcr::new(hash.finalize().into()))
        }
        _ => Err(ErrorCode::InputTooLarge),
    }
}

fn bounded(value: Option<&ByteBuf>, min: usize, max: usize) -> Result<(), ErrorCode> {
    match value.map(|value| value.len()) {
        Some(length) if length < min => Err(ErrorCode::InvalidArgument),
        Some(length) if length > max => Err(ErrorCode::InputTooLarge),
        _ => Ok(()),
    }
}

/// As real ones look: `i-` and 17 hexadecimal digits, `-enc` and 16.
fn module_id() -> Result<String, PkiError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random)?;
    let digits = hex::encode(random);
    let (instance, enclave) = digits.split_at(16);
    Ok(format!("i-0{instance}-enc{enclave}"))
}

/// A document signed with `identity`, whatever that is worth.
#[cfg(test)]
pub(crate) fn document_of(identity: &NsmIdentity, now: SystemTime) -> Vec<u8> {
    let payload = document::Payload {
        module_id: "i-0",
        now,
        pcrs: [(0, extend_from_zero(b"image"))].into(),
        identity,
        public_key: None,
        user_data: None,
        nonce: None,
    };
    document::sign(&payload).unwrap_or_default()
}

#[cfg(test)]
mod tests;
