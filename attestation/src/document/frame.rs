//! Steps 1 and 2: COSE_Sign1 (RFC 9052, section 4.2) as NSMs write it.
//!
//! `aws-nitro-enclaves-cose` verifies the signature in the end, but reads generously: strings in chunks,
//! longer heads, deep nesting, any header, any length of the signature. So this goes first.

use super::{
    ParseError,
    cbor::{CborError, Reader},
};

/// Tag 18 in its shortest form.
const TAG_COSE_SIGN1: u8 = 0xd2;
/// The protected header of every document: `{1: -35}`, which is `{alg: ES384}` (AP 3.1). Other
/// encodings of that map are refused, and with them what is critical, or there twice.
pub(super) const PROTECTED_ES384: &[u8] = &[0xa1, 0x01, 0x38, 0x22];
/// Bytes of an ES384 signature: r ‖ s (RFC 9053, section 2.1).
pub(super) const SIGNATURE_BYTES: usize = 96;

/// The four fields of the structure, as they stand.
#[derive(Default)]
struct Frame<'a> {
    protected: &'a [u8],
    /// How many entries the unprotected header has.
    unprotected: usize,
    signature: &'a [u8],
}

/// Checks all of a document but its payload.
pub(super) fn check(bytes: &[u8]) -> Result<(), ParseError> {
    // Step 1: the structure.
    let Frame { protected, unprotected, signature } = read(bytes)?;
    if signature.len() != SIGNATURE_BYTES {
        return Err(ParseError::Signature { found: signature.len() });
    }
    // Step 2: the headers.
    if protected != PROTECTED_ES384 {
        return Err(ParseError::Protected);
    }
    if unprotected != 0 {
        return Err(ParseError::Unprotected);
    }
    Ok(())
}

fn read(bytes: &[u8]) -> Result<Frame<'_>, CborError> {
    let mut reader = Reader::new(bytes);
    reader.take_if(TAG_COSE_SIGN1);
    let mut frame = Frame::default();
    let mut fields = 0..4_u8;
    reader.array(|reader| {
        match fields.next() {
            Some(0) => frame.protected = reader.bytes()?,
            Some(1) => reader.map(|reader| {
                frame.unprotected = frame.unprotected.saturating_add(1);
                reader.skip()?;
                reader.skip()
            })?,
            // Its own rules are step 3.
            Some(2) => drop(reader.bytes()?),
            Some(_) => frame.signature = reader.bytes()?,
            None => return Err(CborError),
        }
        Ok(())
    })?;
    reader.finish()?;
    if fields.is_empty() { Ok(frame) } else { Err(CborError) }
}

#[cfg(test)]
mod tests;
