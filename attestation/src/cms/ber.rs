//! A reader of BER (X.690, section 8) for a shape that is known beforehand.
//!
//! Nothing here recurses over the input: its caller names each element, so the depth is that of the
//! caller's code, and a string in chunks has one level of them. Tags have one byte, lengths up to 64 KiB, in
//! their shortest form.

/// The element `at` is not what the caller named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BerError {
    /// Its name, given by the caller.
    pub(super) at: &'static str,
}

/// Constructed encoding (X.690, section 8.1.2.5).
const CONSTRUCTED: u8 = 0x20;
/// The universal tag of octet strings, which chunks have whatever the tag of the whole.
const OCTET_STRING: u8 = 0x04;
/// The most chunks of one string. KMS makes them of 1,000 bytes, so that seven hold the most that it returns.
const MAX_CHUNKS: usize = 16;
/// End of contents (X.690, section 8.1.5).
const END_OF_CONTENTS: &[u8] = &[0, 0];

enum Length {
    Definite(usize),
    Indefinite,
}

/// What is left to read.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Nothing may follow.
    pub(super) fn finish(&self, at: &'static str) -> Result<(), BerError> {
        if self.rest.is_empty() { Ok(()) } else { Err(BerError { at }) }
    }

    /// Whether the next element has this tag.
    pub(super) fn next_is(&self, tag: u8) -> bool {
        self.rest.first() == Some(&tag)
    }

    /// A constructed element of either kind of length, of which `read` reads exactly the content.
    pub(super) fn constructed<T>(
        &mut self,
        tag: u8,
        at: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, BerError>,
    ) -> Result<T, BerError> {
        match self.header(tag, at)? {
            Length::Definite(length) => {
                let mut content = Self::new(self.take(length, at)?);
                let value = read(&mut content)?;
                content.finish(at)?;
                Ok(value)
            }
            Length::Indefinite => {
                let value = read(self)?;
                self.end_of_contents(at)?;
                Ok(value)
            }
        }
    }

    /// The content of a primitive element.
    pub(super) fn primitive(&mut self, tag: u8, at: &'static str) -> Result<&'a [u8], BerError> {
        match self.header(tag, at)? {
            Length::Definite(length) => self.take(length, at),
            Length::Indefinite => Err(BerError { at }),
        }
    }

    /// An octet string: primitive with `tag`, or constructed of primitive octet strings, joined
    /// (X.690, section 8.7). There are 1 to [`MAX_CHUNKS`] of them, and none is empty.
    pub(super) fn octets(&mut self, tag: u8, at: &'static str) -> Result<Vec<u8>, BerError> {
        let constructed = tag | CONSTRUCTED;
        if !self.next_is(constructed) {
            return self.primitive(tag, at).map(<[u8]>::to_vec);
        }
        self.constructed(constructed, at, |reader| {
            let mut chunks = Vec::new();
            while reader.next_is(OCTET_STRING) {
                let chunk = reader.primitive(OCTET_STRING, at)?;
                if chunk.is_empty() || chunks.len() == MAX_CHUNKS {
                    return Err(BerError { at });
                }
                chunks.push(chunk);
            }
            if chunks.is_empty() { Err(BerError { at }) } else { Ok(chunks.concat()) }
        })
    }

    /// Tag and length (X.690, sections 8.1.2 and 8.1.3).
    fn header(&mut self, tag: u8, at: &'static str) -> Result<Length, BerError> {
        if self.byte(at)? != tag {
            return Err(BerError { at });
        }
        match self.byte(at)? {
            short @ 0..=0x7f => Ok(Length::Definite(usize::from(short))),
            0x80 if tag & CONSTRUCTED != 0 => Ok(Length::Indefinite),
            0x81 => match self.byte(at)? {
                length @ 0x80.. => Ok(Length::Definite(usize::from(length))),
                _ => Err(BerError { at }),
            },
            0x82 => match u16::from_be_bytes([self.byte(at)?, self.byte(at)?]) {
                length @ 0x100.. => Ok(Length::Definite(usize::from(length))),
                _ => Err(BerError { at }),
            },
            _ => Err(BerError { at }),
        }
    }

    fn end_of_contents(&mut self, at: &'static str) -> Result<(), BerError> {
        if self.take(END_OF_CONTENTS.len(), at)? == END_OF_CONTENTS {
            Ok(())
        } else {
            Err(BerError { at })
        }
    }

    fn byte(&mut self, at: &'static str) -> Result<u8, BerError> {
        let (first, rest) = self.rest.split_first().ok_or(BerError { at })?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize, at: &'static str) -> Result<&'a [u8], BerError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(BerError { at })?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn octets(bytes: &[u8]) -> Result<Vec<u8>, BerError> {
        let mut reader = Reader::new(bytes);
        let octets = reader.octets(0x80, "x")?;
        reader.finish("x")?;
        Ok(octets)
    }

    #[test]
    fn octet_strings_in_every_encoding() {
        assert_eq!(octets(&[0x80, 3, 1, 2, 3]).unwrap(), [1, 2, 3], "primitive");
        assert_eq!(octets(&[0xa0, 6, 4, 1, 1, 4, 1, 2]).unwrap(), [1, 2], "definite");
        assert_eq!(octets(&[0xa0, 0x80, 4, 1, 1, 4, 1, 2, 0, 0]).unwrap(), [1, 2], "indefinite");
    }

    #[test]
    fn chunks_have_a_bound() {
        let chunks = |count| [&[0xa0, 0x80][..], &[4, 1, 7].repeat(count), &[0, 0]].concat();
        assert_eq!(octets(&chunks(MAX_CHUNKS)).unwrap(), [7; MAX_CHUNKS]);
        assert_eq!(octets(&chunks(MAX_CHUNKS + 1)), Err(BerError { at: "x" }));
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for bytes in [
            &[0x80, 0x81, 3, 1, 2, 3][..],         // a longer form than needed
            &[0x80, 0x82, 0, 3, 1, 2, 3],          // a longer form than needed
            &[0x80, 0x80, 0, 0],                   // primitive and indefinite
            &[0xa0, 0x80, 4, 1, 1],                // no end of contents
            &[0xa0, 0x80, 4, 1, 1, 0, 1],          // another end of contents
            &[0xa0, 0x80, 0x24, 3, 4, 1, 1, 0, 0], // chunks of chunks
            &[0xa0, 3, 4, 2, 1, 2],                // a chunk beyond its string
            &[0xa0, 5, 4, 1, 1, 4, 0],             // an empty chunk
            &[0xa0, 0],                            // no chunk
            &[0xa0, 0x80, 0, 0],                   // no chunk, indefinite
            &[0xa0, 0x80, 4, 0x80, 4, 1, 1, 0, 0, 0, 0], // a primitive chunk of indefinite length
            &[0xa0, 3, 2, 1, 1],                   // a chunk that is an integer
            &[0x80, 3, 1, 2],                      // truncated
            &[0x80, 1, 1, 0],                      // trailing
            &[0x80, 0x83, 0, 0, 1, 1],             // length of three bytes
            &[],
        ] {
            assert_eq!(octets(bytes), Err(BerError { at: "x" }), "{bytes:02x?}");
        }
    }
}
