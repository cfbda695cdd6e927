//! Rewrites `:authority` for hosts built on gRPC's C core (Python, Ruby, C++, C#) on plain Unix sockets.
//!
//! Such a host sends the percent-encoded path of the socket as `:authority`. Rust's HTTP/2 stack rejects a `%` there
//! and resets the request, and it has no option to accept it. So each `%` in the value becomes a `-` before the stack
//! reads the bytes. The length stays the same, so no frame and no header table changes. The value is not used
//! afterwards.
//!
//! Other peers cost almost nothing: the first request shows whether the peer needs the rewriting. If it does not, the
//! rest of the connection passes unread.
//!
//! # Protocol
//! RFC 9113 section 6 (frames) and RFC 7541 section 6 (header fields). The C core writes the value without Huffman
//! coding, so only that form is handled.

use std::io;

use tokio::io::ReadBuf;

use super::layout::{
    CONTINUATION, END_HEADERS, FRAME_HEADER, HEADERS, PADDED, PREFACE, PRIORITY, PRIORITY_LENGTH,
};
use crate::io::Inspect;

/// Rewrites `:authority` in the bytes that are read from a connection.
pub(crate) struct AuthorityRewrite {
    /// `None` once it is known that the peer needs no rewriting.
    scanner: Option<Box<Scanner>>,
}

impl Default for AuthorityRewrite {
    fn default() -> Self {
        Self { scanner: Some(Box::default()) }
    }
}

impl Inspect for AuthorityRewrite {
    fn on_read(&mut self, outcome: &io::Result<()>, buf: &mut ReadBuf<'_>, before: usize) {
        if outcome.is_ok()
            && let Some(scanner) = &mut self.scanner
            && !scanner.scan(&mut buf.filled_mut()[before..])
        {
            self.scanner = None;
        }
    }
}

/// Follows the frames of one direction of a connection, however the bytes are cut.
#[derive(Default)]
struct Scanner {
    position: Position,
    /// The position in the header block, which may be split into several frames.
    field: Field,
    /// Whether a byte of `:authority` was rewritten.
    rewritten: bool,
}

/// The position of the next byte in the sequence of frames.
enum Position {
    Preface { left: usize },
    FrameHeader { bytes: [u8; FRAME_HEADER], have: usize },
    PadLength { frame: Frame },
    Priority { left: usize, frame: Frame },
    Block { frame: Frame },
    Skip { left: usize },
}

/// The parts of a HEADERS or CONTINUATION frame that are still to arrive.
#[derive(Clone, Copy)]
struct Frame {
    /// How many bytes of the header block.
    block: usize,
    padding: usize,
    prioritised: bool,
    ends_headers: bool,
}

/// The position of the next byte in a header field.
#[derive(Default)]
enum Field {
    #[default]
    Start,
    /// In the continuation bytes of an integer.
    Integer {
        value: usize,
        shift: u32,
        then: Then,
    },
    /// At the length of a name or a value.
    StringStart {
        then: StringKind,
    },
    Name {
        left: usize,
        matches: Option<usize>,
    },
    Value {
        left: usize,
        authority: bool,
    },
}

/// The purpose for which an integer is read.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    NameIndex,
    StringLength { huffman: bool, kind: StringKind },
}

#[derive(Clone, Copy)]
enum StringKind {
    Name,
    Value { authority: bool },
}

/// The bytes are not HTTP/2 that can be followed. The HTTP/2 stack reports the fault.
struct Lost;

impl Scanner {
    /// Rewrites `bytes`. Returns whether the following bytes must be scanned.
    fn scan(&mut self, mut bytes: &mut [u8]) -> bool {
        while !bytes.is_empty() {
            match self.step(bytes) {
                Ok(Some(used)) => bytes = &mut bytes[used..],
                Ok(None) | Err(Lost) => return false,
            }
        }
        true
    }

    /// Takes some bytes and returns their number. `None` when the peer needs no rewriting.
    fn step(&mut self, bytes: &mut [u8]) -> Result<Option<usize>, Lost> {
        match &mut self.position {
            Position::Preface { left } | Position::Skip { left } => {
                let used = bytes.len().min(*left);
                *left -= used;
                if *left == 0 {
                    self.position = Position::NEXT_FRAME;
                }
                Ok(Some(used))
            }
            Position::FrameHeader { bytes: header, have } => {
                let used = bytes.len().min(FRAME_HEADER - *have);
                header[*have..*have + used].copy_from_slice(&bytes[..used]);
                *have += used;
                if *have == FRAME_HEADER {
                    self.position = Position::after_header(*header);
                }
                Ok(Some(used))
            }
            Position::PadLength { frame } => {
                let mut frame = *frame;
                frame.padding = bytes[0].into();
                frame.block = frame.block.checked_sub(frame.padding).ok_or(Lost)?;
                self.position = Position::after_padding(frame);
                Ok(Some(1))
            }
            Position::Priority { left, frame } => {
                let used = bytes.len().min(*left);
                *left -= used;
                if *left == 0 {
                    self.position = Position::Block { frame: *frame };
                }
                Ok(Some(used))
            }
            Position::Block { frame } => {
                let used = bytes.len().min(frame.block);
                for byte in &mut bytes[..used] {
                    self.rewritten |= self.field.take(byte)?;
                }
                frame.block -= used;
                if frame.block > 0 {
                    return Ok(Some(used));
                }
                if frame.ends_headers {
                    if !self.rewritten {
                        return Ok(None);
                    }
                    self.field = Field::Start;
                }
                self.position = Position::skip(frame.padding);
                Ok(Some(used))
            }
        }
    }
}

impl Default for Position {
    fn default() -> Self {
        Self::Preface { left: PREFACE }
    }
}

impl Position {
    const NEXT_FRAME: Self = Self::FrameHeader { bytes: [0; FRAME_HEADER], have: 0 };

    fn after_header(header: [u8; FRAME_HEADER]) -> Self {
        let [l0, l1, l2, kind, flags, ..] = header;
        let length = usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2);
        let ends_headers = flags & END_HEADERS != 0;
        match kind {
            HEADERS => {
                let padded = flags & PADDED != 0;
                let prioritised = flags & PRIORITY != 0;
                let extra = usize::from(padded) + if prioritised { PRIORITY_LENGTH } else { 0 };
                let block = length.saturating_sub(extra);
                let frame = Frame { block, padding: 0, prioritised, ends_headers };
                if padded { Self::PadLength { frame } } else { Self::after_padding(frame) }
            }
            CONTINUATION => {
                Self::Block { frame: Frame { block: length, padding: 0, prioritised: false, ends_headers } }
            }
            _ => Self::skip(length),
        }
    }

    fn after_padding(frame: Frame) -> Self {
        if frame.prioritised {
            Self::Priority { left: PRIORITY_LENGTH, frame }
        } else {
            Self::Block { frame }
        }
    }

    fn skip(left: usize) -> Self {
        if left == 0 { Self::NEXT_FRAME } else { Self::Skip { left } }
    }
}

impl Field {
    /// Takes one byte of a header block. Returns whether it was rewritten.
    fn take(&mut self, byte: &mut u8) -> Result<bool, Lost> {
        let mut rewritten = false;
        *self = match *self {
            Self::Start => match *byte {
                indexed if indexed & 0x80 != 0 => Self::integer(indexed, 7, Then::Nothing)?,
                literal if literal & 0x40 != 0 => Self::integer(literal, 6, Then::NameIndex)?,
                resize if resize & 0x20 != 0 => Self::integer(resize, 5, Then::Nothing)?,
                literal => Self::integer(literal, 4, Then::NameIndex)?,
            },
            Self::Integer { value, shift, then } => {
                let more = usize::from(*byte & 0x7f).checked_shl(shift).ok_or(Lost)?;
                let value = value.checked_add(more).filter(|value| *value <= LARGEST_INTEGER).ok_or(Lost)?;
                if *byte & 0x80 != 0 {
                    Self::Integer { value, shift: shift + 7, then }
                } else {
                    Self::after_integer(value, then)
                }
            }
            Self::StringStart { then } => {
                Self::integer(*byte, 7, Then::StringLength { huffman: *byte & 0x80 != 0, kind: then })?
            }
            Self::Name { left, matches } => {
                let matches =
                    matches.filter(|at| AUTHORITY.get(*at).is_some_and(|c| c == byte)).map(|at| at + 1);
                match left - 1 {
                    0 => Self::StringStart {
                        then: StringKind::Value { authority: matches == Some(AUTHORITY.len()) },
                    },
                    left => Self::Name { left, matches },
                }
            }
            Self::Value { left, authority } => {
                if authority && *byte == b'%' {
                    *byte = b'-';
                    rewritten = true;
                }
                match left - 1 {
                    0 => Self::Start,
                    left => Self::Value { left, authority },
                }
            }
        };
        Ok(rewritten)
    }

    /// Starts an integer with its first `prefix` bits in `byte`.
    fn integer(byte: u8, prefix: u32, then: Then) -> Result<Self, Lost> {
        let mask = (1_usize << prefix) - 1;
        let value = usize::from(byte) & mask;
        Ok(if value == mask {
            Self::Integer { value, shift: 0, then }
        } else {
            Self::after_integer(value, then)
        })
    }

    fn after_integer(value: usize, then: Then) -> Self {
        match then {
            Then::Nothing => Self::Start,
            Then::NameIndex if value == 0 => Self::StringStart { then: StringKind::Name },
            Then::NameIndex => {
                Self::StringStart { then: StringKind::Value { authority: value == AUTHORITY_INDEX } }
            }
            Then::StringLength { kind: StringKind::Name, .. } if value == 0 => {
                Self::StringStart { then: StringKind::Value { authority: false } }
            }
            Then::StringLength { kind: StringKind::Value { .. }, .. } if value == 0 => Self::Start,
            Then::StringLength { huffman, kind: StringKind::Name } => {
                Self::Name { left: value, matches: (!huffman).then_some(0) }
            }
            Then::StringLength { huffman, kind: StringKind::Value { authority } } => {
                Self::Value { left: value, authority: authority && !huffman }
            }
        }
    }
}

const AUTHORITY: &[u8] = b":authority";
/// The entry of `:authority` in HPACK's static table.
const AUTHORITY_INDEX: usize = 1;
/// The HTTP/2 stack refuses larger headers.
const LARGEST_INTEGER: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENCODED: &str = "%2Ftmp%2Fplugin.sock";
    const REWRITTEN: &str = "-2Ftmp-2Fplugin.sock";

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn string(text: &str) -> Vec<u8> {
        let length = text.len();
        assert!(length < 254, "a test string");
        let prefix = if length < 127 { vec![length as u8] } else { vec![127, (length - 127) as u8] };
        [prefix, text.into()].concat()
    }

    /// `:method POST`, `:authority` under the static name, `grpc-x: 100%`.
    fn block(first: u8, authority: &str) -> Vec<u8> {
        let other = [vec![0x40], string("grpc-x"), string("100%")].concat();
        [vec![0x83, first], string(authority), other].concat()
    }

    fn connection(frames: &[Vec<u8>]) -> Vec<u8> {
        let settings = frame(4, 0, b"\x00\x05\x00\x00\x40\x00");
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), settings, frames.concat()].concat()
    }

    /// Rewrites a connection whose bytes arrive `chunk` at a time.
    fn rewritten(bytes: &[u8], chunk: usize) -> (Vec<u8>, bool) {
        let mut bytes = bytes.to_vec();
        let mut scanner = Scanner::default();
        let mut going = true;
        for chunk in bytes.chunks_mut(chunk) {
            going = going && scanner.scan(chunk);
        }
        (bytes, going)
    }

    #[track_caller]
    fn check(before: &[Vec<u8>], after: &[Vec<u8>], goes_on: bool) {
        let (before, after) = (connection(before), connection(after));
        for chunk in [1, 2, 3, 7, 16, before.len()] {
            assert_eq!(rewritten(&before, chunk), (after.clone(), goes_on), "{chunk} bytes at a time");
        }
    }

    #[test]
    fn only_the_authority_is_rewritten() {
        let data = frame(0, 1, b"50%");
        for first in [0x41, 0x01, 0x11] {
            check(
                &[frame(1, 4, &block(first, ENCODED)), data.clone(), frame(1, 4, &block(first, ENCODED))],
                &[frame(1, 4, &block(first, REWRITTEN)), data.clone(), frame(1, 4, &block(first, REWRITTEN))],
                true,
            );
        }
    }

    #[test]
    fn an_authority_with_a_literal_name_is_rewritten() {
        let spelled = |value| [vec![0x83, 0x40], string(":authority"), string(value)].concat();
        check(&[frame(1, 4, &spelled(ENCODED))], &[frame(1, 4, &spelled(REWRITTEN))], true);
        let other = [vec![0x40], string(":authorit"), string("%"), vec![0x41], string(ENCODED)].concat();
        let (bytes, _) = rewritten(&connection(&[frame(1, 4, &other)]), 5);
        assert!(bytes.windows(2).any(|pair| pair == [1, b'%']), "the other name keeps its value");
    }

    #[test]
    fn padding_priority_and_continuation_are_followed() {
        let parts = |authority: &str| {
            let block = block(0x41, authority);
            let (head, tail) = block.split_at(9);
            let padded = [&[3, 0, 0, 0, 0, 16], head, b"%%%"].concat();
            vec![frame(1, 0x8 | 0x20, &padded), frame(9, 4, tail)]
        };
        check(&parts(ENCODED), &parts(REWRITTEN), true);
    }

    #[test]
    fn scanning_stops_for_all_other_peers() {
        let go = frame(1, 4, &block(0x41, "unused"));
        let later = frame(1, 4, &block(0x41, ENCODED));
        check(&[go.clone(), later.clone()], &[go, later], false);
    }

    proptest! {
        #[test]
        fn any_bytes_keep_their_length_and_the_cut_does_not_matter(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            chunk in 1_usize..64,
        ) {
            let whole = connection(&[frame(1, 4, &block(0x41, ENCODED)), bytes]);
            prop_assert_eq!(rewritten(&whole, chunk).0, rewritten(&whole, whole.len()).0);
        }
    }
}
