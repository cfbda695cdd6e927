//! Cuts the bytes of a connection into headers and payloads.

use bytes::{Buf, Bytes};

use crate::frame::HEADER_LEN;

/// The frame to which the next received byte belongs.
#[derive(Debug)]
pub(super) enum Input {
    Header { bytes: [u8; HEADER_LEN], filled: usize },
    Payload(Payload),
}

/// A payload of which some bytes have not arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload {
    pub(super) stream: u32,
    pub(super) left: u32,
    /// Whether the peer finishes its half of the stream with this frame.
    pub(super) fin: bool,
    /// Whether the stream takes the bytes. They are dropped otherwise.
    pub(super) wanted: bool,
}

/// A piece of a connection's bytes.
#[derive(Debug)]
pub(super) enum Piece {
    /// A whole header.
    Header([u8; HEADER_LEN]),
    /// A part of a payload, and what is left of the payload after it.
    Payload(Bytes, Payload),
}

impl Input {
    /// Expects a header.
    pub(super) fn header() -> Self {
        Self::Header { bytes: [0; HEADER_LEN], filled: 0 }
    }

    /// Takes the next piece from `bytes`. `None` if they end within a header.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Option<Piece> {
        match self {
            Self::Header { bytes: header, filled } => {
                let take = bytes.len().min(HEADER_LEN - *filled);
                bytes.copy_to_slice(&mut header[*filled..*filled + take]);
                *filled += take;
                if *filled < HEADER_LEN {
                    return None;
                }
                let header = *header;
                *self = Self::header();
                Some(Piece::Header(header))
            }
            Self::Payload(payload) => {
                let take = bytes.len().min(usize::try_from(payload.left).unwrap_or(usize::MAX));
                let data = bytes.split_to(take);
                payload.left = payload.left.saturating_sub(u32::try_from(take).unwrap_or(u32::MAX));
                let payload = *payload;
                if payload.left == 0 {
                    *self = Self::header();
                }
                Some(Piece::Payload(data, payload))
            }
        }
    }
}
