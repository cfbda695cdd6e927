//! Reads the frames of one direction of an HTTP/2 connection from bytes that come in pieces.
//!
//! # Protocol
//! RFC 9113, sections 3.4 (preface), 4.1 (frames), 6.1 (DATA), 6.2 (HEADERS), 6.4 (RST_STREAM), 6.8 (GOAWAY) and 6.10 (CONTINUATION).

use super::{headers::Header, hpack::Decoder};

/// A part of a frame that matters for calls.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'b> {
    /// Headers or trailers of a call.
    Headers { stream: u32, fields: Vec<Header>, ends: bool },
    /// Bytes of a body, and their position in the direction.
    Data { stream: u32, bytes: &'b [u8], at: u64 },
    /// The sender has ended its side of a call.
    End { stream: u32 },
    /// The sender has cancelled a call.
    Reset { stream: u32, code: u32 },
    /// The sender accepts no more calls.
    GoAway { code: u32 },
}

/// The frames of one direction.
#[derive(Debug, Default)]
pub(super) struct Frames {
    state: State,
    /// The bytes read so far.
    position: u64,
    /// The collected bytes of a preface, of a frame's header, or of a payload that is read as a whole.
    begun: Vec<u8>,
    frame: Frame,
    /// The headers before their last CONTINUATION: the call, and whether its side ends with them.
    block: Option<(Vec<u8>, u32, bool)>,
    headers: Decoder,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The beginning of a client.
    Preface,
    #[default]
    Header,
    /// The length of the padding in a DATA frame.
    Padding,
    Data,
    Whole,
    /// A payload without a use here.
    Skipped,
    /// The bytes are not HTTP/2, or their headers cannot be read.
    Opaque,
}

#[derive(Debug, Default, Clone, Copy)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    /// The bytes of the payload that have not been read.
    left: usize,
    padding: usize,
}

impl Frames {
    /// The direction from the client to the server.
    pub(super) fn of_client() -> Self {
        Self { state: State::Preface, ..Self::default() }
    }

    /// The direction from the server to the client.
    pub(super) fn of_server() -> Self {
        Self::default()
    }

    /// Whether nothing more can be read from this direction.
    pub(super) fn is_opaque(&self) -> bool {
        self.state == State::Opaque
    }

    /// Reads the next bytes. Calls `found` with each part.
    pub(super) fn read<'b>(&mut self, mut bytes: &'b [u8], mut found: impl FnMut(Part<'b>)) {
        while !bytes.is_empty() && self.state != State::Opaque {
            let taken = self.step(bytes, &mut found);
            self.position += taken as u64;
            bytes = &bytes[taken..];
        }
    }

    /// Reads some of the bytes, and returns how many.
    fn step<'b>(&mut self, bytes: &'b [u8], found: &mut impl FnMut(Part<'b>)) -> usize {
        match self.state {
            State::Preface => {
                let (taken, whole) = self.collect(bytes, PREFACE.len());
                if !PREFACE.starts_with(&self.begun) {
                    self.state = State::Opaque;
                } else if whole {
                    self.next_frame();
                }
                taken
            }
            State::Header => {
                let (taken, whole) = self.collect(bytes, HEADER);
                if whole {
                    self.begin(found);
                }
                taken
            }
            State::Padding => {
                self.frame.left = self.frame.left.saturating_sub(1);
                self.frame.padding = usize::from(bytes[0]).min(self.frame.left);
                self.frame.left -= self.frame.padding;
                self.state = State::Data;
                if self.frame.left == 0 {
                    self.end_data(found);
                }
                1
            }
            State::Data => {
                let taken = bytes.len().min(self.frame.left);
                found(Part::Data { stream: self.frame.stream, bytes: &bytes[..taken], at: self.position });
                self.frame.left -= taken;
                if self.frame.left == 0 {
                    self.end_data(found);
                }
                taken
            }
            State::Whole => {
                let (taken, whole) = self.collect(bytes, self.frame.left);
                if whole {
                    self.end_whole(found);
                }
                taken
            }
            State::Skipped => {
                let taken = bytes.len().min(self.frame.left);
                self.frame.left -= taken;
                if self.frame.left == 0 {
                    self.next_frame();
                }
                taken
            }
            State::Opaque => bytes.len(),
        }
    }

    /// Collects bytes up to a length. Returns how many were taken, and whether they are complete.
    fn collect(&mut self, bytes: &[u8], length: usize) -> (usize, bool) {
        let taken = bytes.len().min(length.saturating_sub(self.begun.len()));
        self.begun.extend_from_slice(&bytes[..taken]);
        (taken, self.begun.len() >= length)
    }

    fn next_frame(&mut self) {
        self.begun.clear();
        self.state = State::Header;
    }

    /// Begins a frame whose header is complete.
    fn begin<'b>(&mut self, found: &mut impl FnMut(Part<'b>)) {
        let &[a, b, c, kind, flags, s0, s1, s2, s3] = self.begun.as_slice() else { return };
        let left = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        self.frame = Frame { kind, flags, stream, left, padding: 0 };
        self.begun.clear();
        let is_read = matches!(kind, HEADERS | CONTINUATION | RST_STREAM | GOAWAY);
        self.state = match kind {
            DATA if flags & PADDED != 0 => State::Padding,
            DATA => State::Data,
            _ if is_read && left > MAX_HEADERS => State::Opaque,
            _ if is_read => State::Whole,
            _ => State::Skipped,
        };
        if left == 0 {
            match self.state {
                State::Data => self.end_data(found),
                State::Whole => self.end_whole(found),
                State::Opaque => {}
                _ => self.next_frame(),
            }
        }
    }

    fn end_data<'b>(&mut self, found: &mut impl FnMut(Part<'b>)) {
        if self.frame.flags & END_STREAM != 0 {
            found(Part::End { stream: self.frame.stream });
        }
        self.begun.clear();
        self.frame.left = std::mem::take(&mut self.frame.padding);
        self.state = if self.frame.left == 0 { State::Header } else { State::Skipped };
    }

    /// Reads a payload that is complete.
    fn end_whole<'b>(&mut self, found: &mut impl FnMut(Part<'b>)) {
        let Frame { kind, flags, stream, .. } = self.frame;
        let payload = std::mem::take(&mut self.begun);
        self.next_frame();
        match kind {
            RST_STREAM => found(Part::Reset { stream, code: number(&payload, 0) }),
            GOAWAY => found(Part::GoAway { code: number(&payload, 4) }),
            HEADERS => {
                let Some(block) = without_padding(&payload, flags) else {
                    self.state = State::Opaque;
                    return;
                };
                self.block = Some((block.to_vec(), stream, flags & END_STREAM != 0));
            }
            _ => {
                if let Some((block, ..)) = &mut self.block {
                    block.extend_from_slice(&payload);
                }
            }
        }
        if self.block.as_ref().is_some_and(|(block, ..)| block.len() > MAX_HEADERS) {
            self.state = State::Opaque;
        } else if matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0 {
            let Some((block, stream, ends)) = self.block.take() else { return };
            match self.headers.read(&block) {
                Ok(fields) => found(Part::Headers { stream, fields, ends }),
                Err(_) => self.state = State::Opaque,
            }
        }
    }
}

/// Returns the headers in the payload of a HEADERS frame.
fn without_padding(payload: &[u8], flags: u8) -> Option<&[u8]> {
    let (padding, rest) = match flags & PADDED {
        0 => (0, payload),
        _ => payload.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
    };
    let rest = if flags & PRIORITY == 0 { rest } else { rest.get(5..)? };
    rest.get(..rest.len().checked_sub(padding)?)
}

/// Returns the number at an offset. A payload that is too short has the number 0.
fn number(payload: &[u8], at: usize) -> u32 {
    let bytes = payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    u32::from_be_bytes(bytes.unwrap_or_default())
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's header.
const HEADER: usize = 9;

/// The longest headers that are read. Libraries allow from 16 KiB to 16 MiB.
const MAX_HEADERS: usize = 16 << 20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// Reads bytes in pieces of this size, and describes the parts. Bytes of one body are joined.
    fn parts(mut frames: Frames, bytes: &[u8], piece: usize) -> (Vec<String>, bool) {
        let mut all: Vec<String> = Vec::new();
        let mut body = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.read(piece, |part| {
                if let Part::Data { bytes: data, at, .. } = part {
                    assert_eq!(&bytes[usize::try_from(at).unwrap()..][..data.len()], data);
                    body.extend_from_slice(data);
                    return;
                }
                if !body.is_empty() {
                    all.push(format!("{:?}", std::mem::take(&mut body)));
                }
                all.push(match part {
                    Part::Headers { stream, fields, ends } => {
                        format!(
                            "{stream} {} {ends}",
                            fields.iter().map(|f| f.value().into_owned()).collect::<String>()
                        )
                    }
                    other => format!("{other:?}"),
                });
            });
        }
        (all, frames.is_opaque())
    }

    #[test]
    fn frames_are_read_whatever_the_pieces() {
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(4, 0, 0, &[0; 6]));
        bytes.extend(frame(HEADERS, END_HEADERS, 1, &[0x83]));
        bytes.extend(frame(DATA, 0, 1, b"ab"));
        bytes.extend(frame(DATA, PADDED | END_STREAM, 1, &[2, b'c', 0, 0]));
        bytes.extend(frame(HEADERS, PADDED | PRIORITY | END_STREAM, 3, &[1, 0, 0, 0, 0, 0, 0x83, 0]));
        bytes.extend(frame(CONTINUATION, END_HEADERS, 3, &[0x86]));
        bytes.extend(frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]));
        bytes.extend(frame(GOAWAY, 0, 0, &[0, 0, 0, 3, 0, 0, 0, 11, b'x']));
        bytes.extend(frame(DATA, END_STREAM, 5, b""));
        for piece in [1, 2, 3, 7, 1000] {
            let (parts, is_opaque) = parts(Frames::of_client(), &bytes, piece);
            assert!(!is_opaque);
            assert_eq!(
                parts,
                [
                    "1 POST false",
                    "[97, 98, 99]",
                    "End { stream: 1 }",
                    "3 POSThttp true",
                    "Reset { stream: 3, code: 8 }",
                    "GoAway { code: 11 }",
                    "End { stream: 5 }",
                ],
                "{piece}"
            );
        }
    }

    #[test]
    fn other_bytes_are_opaque() {
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], &[22, 3, 1, 2, 0], b"PRI * HTTP/2.1"] {
            assert!(parts(Frames::of_client(), bytes, 3).1, "{bytes:?}");
        }
        for bytes in [
            frame(HEADERS, PADDED | END_HEADERS, 1, &[9, 0x83]),
            frame(HEADERS, PRIORITY | END_HEADERS, 1, &[0, 0]),
            frame(HEADERS, END_HEADERS, 1, &[0xff]),
        ] {
            assert!(parts(Frames::of_server(), &bytes, 3).1, "{bytes:?}");
        }
    }

    #[test]
    fn frames_that_no_library_sends_are_no_fault() {
        let mut bytes = frame(CONTINUATION, END_HEADERS, 1, &[0x83]);
        bytes.extend(frame(RST_STREAM, 0, 1, &[1]));
        bytes.extend(frame(DATA, PADDED, 1, &[200, 1]));
        bytes.extend(frame(DATA, PADDED, 1, &[]));
        for piece in [1, 4, 100] {
            parts(Frames::of_server(), &bytes, piece);
        }
    }
}
