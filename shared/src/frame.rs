//! Frames: a `u32` length, big-endian, then that many bytes of CBOR (RFC 8949).
//!
//! Sans-I/O: both ends feed what they read to a [`FrameBuffer`], and write what [`encode`] gives in
//! pieces of at most [`MAX_WRITE`] bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest body of a frame, in bytes.
pub const MAX_FRAME: usize = 1 << 20;

/// The longest single write to a vsock, in bytes: larger ones stall the stream on some hosts.
pub const MAX_WRITE: usize = 16 << 10;

const HEADER: usize = 4;

/// Why a frame was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced or encoded body is longer than [`MAX_FRAME`].
    #[error("frame: expected at most {MAX_FRAME} bytes")]
    TooLarge,
    /// The body is not the CBOR of the expected message; deeper than 128 is not, either.
    #[error("frame: expected the CBOR of a message of this protocol")]
    Malformed,
}

/// A message with its header. Fails with [`FrameError::TooLarge`] only.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER];
    serde_cbor::to_writer(&mut frame, message).map_err(|_| FrameError::TooLarge)?;
    let length = frame.len().saturating_sub(HEADER);
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge);
    }
    let length = u32::try_from(length).map_err(|_| FrameError::TooLarge)?;
    if let Some(header) = frame.first_chunk_mut::<HEADER>() {
        *header = length.to_be_bytes();
    }
    Ok(frame)
}

/// The message in the body of a frame; bytes after it are refused.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    serde_cbor::from_slice(body).map_err(|_| FrameError::Malformed)
}

/// Collects bytes until a frame is whole. Memory grows with what has arrived, never with what was
/// announced.
#[derive(Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
}

impl FrameBuffer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether a part of a frame is waiting for the rest.
    pub fn is_partial(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The body of the next whole frame, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let Some((header, rest)) = self.bytes.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(FrameError::TooLarge);
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.bytes.drain(..HEADER.saturating_add(length));
        Ok(Some(body))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_arrive_in_any_pieces() {
        let mut stream = encode(&"one").unwrap();
        stream.extend(encode(&"two").unwrap());
        let mut buffer = FrameBuffer::default();
        let mut messages = Vec::new();
        for byte in stream {
            buffer.push(&[byte]);
            while let Some(body) = buffer.next_frame().unwrap() {
                messages.push(decode::<String>(&body).unwrap());
            }
        }
        assert_eq!(messages, ["one", "two"]);
        assert!(!buffer.is_partial());
    }

    #[test]
    fn four_gibibytes_announced_are_refused_at_once() {
        let mut buffer = FrameBuffer::default();
        buffer.push(&[0xff; 4]);
        assert_eq!(buffer.next_frame(), Err(FrameError::TooLarge));
    }

    #[test]
    fn too_large_to_send() {
        assert_eq!(encode(&"x".repeat(MAX_FRAME)).unwrap_err(), FrameError::TooLarge);
    }

    #[test]
    fn depth_length_and_trailing_bytes_are_limited() {
        let deep = vec![0x81; MAX_FRAME];
        assert_eq!(decode::<serde_cbor::Value>(&deep), Err(FrameError::Malformed));
        // an array that announces 2^63 items
        let long = [0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(decode::<Vec<u8>>(&long), Err(FrameError::Malformed));
        assert_eq!(decode::<u8>(&[1, 2]), Err(FrameError::Malformed));
    }
}
