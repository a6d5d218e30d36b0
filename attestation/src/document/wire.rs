//! The CBOR of a payload, type for type, before any bound is looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    PayloadError,
    cbor::{CborError, Reader},
};

/// Members as they stand; `None` for those that are absent, or null where that is tolerated.
#[derive(Default)]
pub(super) struct WirePayload<'a> {
    pub(super) module_id: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
    pub(super) timestamp: Option<u64>,
    pub(super) pcrs: Option<BTreeMap<u64, &'a [u8]>>,
    pub(super) certificate: Option<&'a [u8]>,
    pub(super) cabundle: Option<Vec<&'a [u8]>>,
    pub(super) public_key: Option<&'a [u8]>,
    pub(super) user_data: Option<&'a [u8]>,
    pub(super) nonce: Option<&'a [u8]>,
}

impl<'a> WirePayload<'a> {
    /// Reads one map, and nothing after it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, PayloadError> {
        let mut payload = Self::default();
        let mut seen = BTreeSet::new();
        let mut reader = Reader::new(bytes);
        reader.map(|reader| {
            let key = reader.text()?;
            payload.member(key, reader)?;
            if seen.insert(key) { Ok(()) } else { Err(PayloadError::Cbor) }
        })?;
        reader.finish()?;
        Ok(payload)
    }

    fn member(&mut self, key: &str, reader: &mut Reader<'a>) -> Result<(), PayloadError> {
        let is_not = |field, expected| move |_: CborError| PayloadError::Type { field, expected };
        let (text, bytes) = ("a text string", "a byte string");
        match key {
            "module_id" => {
                self.module_id = Some(reader.text().map_err(is_not("module_id", text))?);
            }
            "digest" => self.digest = Some(reader.text().map_err(is_not("digest", text))?),
            "timestamp" => {
                let expected = is_not("timestamp", "an unsigned integer");
                self.timestamp = Some(reader.unsigned().map_err(expected)?);
            }
            "pcrs" => {
                let expected = "a map of unsigned integers, each once, to byte strings";
                self.pcrs = Some(registers(reader).map_err(is_not("pcrs", expected))?);
            }
            "certificate" => {
                self.certificate = Some(reader.bytes().map_err(is_not("certificate", bytes))?);
            }
            "cabundle" => {
                let expected = is_not("cabundle", "an array of byte strings");
                self.cabundle = Some(bundle(reader).map_err(expected)?);
            }
            // Null is for genuine documents, which have it since 2025, though AP 3.2.2.1 says not.
            "public_key" => {
                self.public_key = reader.bytes_or_null().map_err(is_not("public_key", bytes))?;
            }
            "user_data" => {
                self.user_data = reader.bytes_or_null().map_err(is_not("user_data", bytes))?;
            }
            "nonce" => self.nonce = reader.bytes_or_null().map_err(is_not("nonce", bytes))?,
            // The registers of an instance's NitroTPM, in documents that AWS signs under the same
            // root: they measure an instance, which its owner can enter, and no enclave.
            "nitrotpm_pcrs" => return Err(PayloadError::NitroTpm),
            // A member that AWS adds one day is signed like the rest and changes the meaning of none
            // of these. Were it refused, no enclave could boot from that day on, and one whose key
            // policy is immutable never again, since the image that knows the member is another.
            _ => reader.skip()?,
        }
        Ok(())
    }
}

fn registers<'a>(reader: &mut Reader<'a>) -> Result<BTreeMap<u64, &'a [u8]>, CborError> {
    let mut registers = BTreeMap::new();
    reader.map(|reader| match registers.insert(reader.unsigned()?, reader.bytes()?) {
        None => Ok(()),
        Some(_) => Err(CborError),
    })?;
    Ok(registers)
}

fn bundle<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, CborError> {
    let mut bundle = Vec::new();
    reader.array(|reader| reader.bytes().map(|entry| bundle.push(entry)))?;
    Ok(bundle)
}
