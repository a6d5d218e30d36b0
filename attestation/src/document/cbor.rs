//! A reader of CBOR (RFC 8949) for a shape that is known beforehand.
//!
//! Its caller names each item, so nothing here recurses over the input, save [`Reader::skip`], which
//! has a bound. Heads are in their shortest form (RFC 8949, section 4.1), arrays and maps of definite
//! or indefinite length; strings in chunks and tags are refused. NSMs write nothing else.

/// The next item is not what the caller named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CborError;

/// How deep an item may be that nobody reads.
const MAX_SKIPPED_DEPTH: u8 = 8;

/// Major types (RFC 8949, section 3.1).
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;

/// `null` (RFC 8949, section 3.3).
const NULL: u8 = 0xf6;
/// The end of an array or map of indefinite length (RFC 8949, section 3.2.1).
const BREAK: u8 = 0xff;

/// What is left to read.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Nothing may follow.
    pub(super) fn finish(&self) -> Result<(), CborError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CborError) }
    }

    /// Takes the next byte if it is this one.
    pub(super) fn take_if(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, CborError> {
        self.head_of(UNSIGNED)?.ok_or(CborError)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let length = self.head_of(BYTES)?.ok_or(CborError)?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, CborError> {
        let length = self.head_of(TEXT)?.ok_or(CborError)?;
        std::str::from_utf8(self.take(length)?).map_err(|_| CborError)
    }

    /// A byte string, or null.
    pub(super) fn bytes_or_null(&mut self) -> Result<Option<&'a [u8]>, CborError> {
        if self.take_if(NULL) { Ok(None) } else { self.bytes().map(Some) }
    }

    /// An array, each element of which `read` reads.
    pub(super) fn array<E: From<CborError>>(
        &mut self,
        read: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = self.head_of(ARRAY)?;
        self.items(count, read)
    }

    /// A map, each entry of which, key and value, `read` reads.
    pub(super) fn map<E: From<CborError>>(
        &mut self,
        read: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let count = self.head_of(MAP)?;
        self.items(count, read)
    }

    /// Passes over one item of any kind, [`MAX_SKIPPED_DEPTH`] deep at most.
    pub(super) fn skip(&mut self) -> Result<(), CborError> {
        self.skip_within(MAX_SKIPPED_DEPTH)
    }

    fn skip_within(&mut self, depth: u8) -> Result<(), CborError> {
        let depth = depth.checked_sub(1).ok_or(CborError)?;
        match self.head()? {
            (UNSIGNED | NEGATIVE | SIMPLE, Some(_)) => Ok(()),
            (BYTES | TEXT, Some(length)) => self.take(length).map(drop),
            (ARRAY, count) => self.items(count, |reader| reader.skip_within(depth)),
            (MAP, count) => self.items(count, |reader| {
                reader.skip_within(depth)?;
                reader.skip_within(depth)
            }),
            _ => Err(CborError),
        }
    }

    /// `read` takes a byte at least or fails, so a false count ends with the input.
    fn items<E: From<CborError>>(
        &mut self,
        count: Option<u64>,
        mut read: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        match count {
            Some(count) => (0..count).try_for_each(|_| read(self)),
            None => {
                while !self.take_if(BREAK) {
                    read(self)?;
                }
                Ok(())
            }
        }
    }

    /// The argument of an item of this major type; `None` for an indefinite length.
    fn head_of(&mut self, expected: u8) -> Result<Option<u64>, CborError> {
        match self.head()? {
            (major, argument) if major == expected => Ok(argument),
            _ => Err(CborError),
        }
    }

    /// Major type and argument (RFC 8949, section 3).
    fn head(&mut self) -> Result<(u8, Option<u64>), CborError> {
        let [initial] = self.fixed()?;
        let major = initial >> 5;
        let (argument, least) = match initial & 0x1f {
            info @ 0..=23 => (u64::from(info), 0),
            24 => (u64::from(u8::from_be_bytes(self.fixed()?)), 24),
            25 => (u64::from(u16::from_be_bytes(self.fixed()?)), 0x100),
            26 => (u64::from(u32::from_be_bytes(self.fixed()?)), 0x1_0000),
            27 => (u64::from_be_bytes(self.fixed()?), 0x1_0000_0000),
            31 => return Ok((major, None)),
            _ => return Err(CborError),
        };
        // The argument of a simple value may be the bits of a float.
        if argument >= least || major == SIMPLE {
            Ok((major, Some(argument)))
        } else {
            Err(CborError)
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CborError)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let length = usize::try_from(length).map_err(|_| CborError)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborError)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn skip(bytes: &[u8]) -> Result<(), CborError> {
        let mut reader = Reader::new(bytes);
        reader.skip()?;
        reader.finish()
    }

    #[test]
    fn items_that_nobody_reads_are_passed_over() {
        for bytes in [
            &[0x00][..],
            &[0x38, 0x22],                         // -35
            &[0x43, 1, 2, 3],                      // bytes
            &[0x82, 0xf5, 0xf6],                   // [true, null]
            &[0x9f, 0x01, 0xff],                   // [1], indefinite
            &[0xbf, 0x01, 0xa1, 0x02, 0x03, 0xff], // {1: {2: 3}}, indefinite
            &[0xf9, 0x00, 0x01],                   // a float of two bytes
        ] {
            assert_eq!(skip(bytes), Ok(()), "{bytes:02x?}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for bytes in [
            &[][..],
            &[0x18, 0x17],                     // 23 in a longer form than needed
            &[0x19, 0x00, 0xff],               // 255 likewise
            &[0x1a, 0x00, 0x00, 0xff, 0xff],   // 65535 likewise
            &[0x1b, 0, 0, 0, 0, 255, 0, 0, 0], // a number of 32 bits likewise
            &[0x19, 0x01],                     // truncated head
            &[0x1c],                           // a reserved head
            &[0x1f],                           // a number of indefinite length
            &[0x43, 1, 2],                     // truncated string
            &[0x5f, 0x41, 1, 0xff],            // a string in chunks
            &[0xc1, 0x01],                     // a tag
            &[0xff],                           // a break of nothing
            &[0x9f, 0x01],                     // no break
            &[0xbf, 0x01, 0xff],               // a key without value
            &[0x9b, 255, 255, 255, 255, 255, 255, 255, 255, 0], // 2^64 - 1 elements
            &[0x5b, 255, 255, 255, 255, 255, 255, 255, 255, 0], // as many bytes
        ] {
            assert_eq!(skip(bytes), Err(CborError), "{bytes:02x?}");
        }
    }

    #[test]
    fn depth_has_a_bound() {
        let nested = |open: u8, depth: usize| [vec![open; depth - 1], vec![0x80]].concat();
        let max = usize::from(MAX_SKIPPED_DEPTH);
        assert_eq!(skip(&nested(0x81, max)), Ok(()));
        for open in [0x81, 0x9f, 0xa1, 0xbf, 0xc1] {
            assert_eq!(skip(&nested(open, max + 1)), Err(CborError), "{open:02x}");
            assert_eq!(skip(&nested(open, 100_000)), Err(CborError), "{open:02x}");
        }
    }

    #[test]
    fn types_are_exact() {
        let reader = |bytes: &'static [u8]| Reader::new(bytes);
        assert_eq!(reader(&[0x41, 7]).bytes(), Ok(&[7][..]));
        assert_eq!(reader(&[0x61, 0x61]).text(), Ok("a"));
        assert_eq!(reader(&[0x18, 24]).unsigned(), Ok(24));
        assert_eq!(reader(&[0xf6]).bytes_or_null(), Ok(None));
        assert_eq!(reader(&[0x61, 0x61]).bytes(), Err(CborError), "text");
        assert_eq!(reader(&[0x81, 7]).bytes(), Err(CborError), "an array of numbers");
        assert_eq!(reader(&[0x41, 0x61]).text(), Err(CborError), "bytes");
        assert_eq!(reader(&[0x61, 0xff]).text(), Err(CborError), "not utf-8");
        assert_eq!(reader(&[0x20]).unsigned(), Err(CborError), "-1");
        assert_eq!(reader(&[0xf7]).bytes_or_null(), Err(CborError), "undefined");
    }
}
