//! HTTP/2 written and read byte by byte: a peer that sends frames that no library sends.
//!
//! Headers are literals without Huffman coding, so that their length on the wire is known. The test chooses how they are cut
//! into frames. Incoming frames are returned to the test, except settings and pings, which are answered.

mod settings;

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub use settings::{PeerSettings, SilentServer};

/// One side of a connection.
#[derive(Debug)]
pub struct RawPeer<S> {
    io: S,
    /// The bytes that have not been flushed.
    pending: Vec<u8>,
}

/// A received frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "HTTP/2 has no other fields")]
pub struct RawFrame {
    /// Such as [`HEADERS`].
    pub kind: u8,
    /// Such as [`END_STREAM`].
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
    /// The payload, padding included.
    pub payload: Vec<u8>,
}

/// The frame type of a part of a body.
pub const DATA: u8 = 0;
/// The frame type of the first part of headers or trailers.
pub const HEADERS: u8 = 1;
/// The frame type that aborts a call.
pub const RST_STREAM: u8 = 3;
/// The frame type of settings.
pub const SETTINGS: u8 = 4;
/// The frame type of a ping and of its answer.
pub const PING: u8 = 6;
/// The frame type that announces the end of the connection.
pub const GOAWAY: u8 = 7;
/// The frame type that widens a window.
pub const WINDOW_UPDATE: u8 = 8;
/// The frame type of further parts of headers.
pub const CONTINUATION: u8 = 9;
/// The flag of the last frame in one direction.
pub const END_STREAM: u8 = 1;
/// The flag of the last frame of headers.
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl RawFrame {
    /// Whether this is the last frame of its stream from the peer.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        self.kind == RST_STREAM || (self.kind <= HEADERS && self.flags & END_STREAM != 0)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawPeer<S> {
    /// The client of a connection. Writes the preface, and settings with the largest windows.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn client(io: S) -> io::Result<Self> {
        let mut peer = Self { io, pending: PREFACE.to_vec() };
        peer.greet().await?;
        Ok(peer)
    }

    /// The server of a connection. Reads the preface of the client.
    ///
    /// # Errors
    /// Those of the stream, and a wrong preface.
    pub async fn server(mut io: S) -> io::Result<Self> {
        let mut preface = [0; 24];
        io.read_exact(&mut preface).await?;
        if preface != PREFACE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a preface"));
        }
        let mut peer = Self { io, pending: Vec::new() };
        peer.greet().await?;
        Ok(peer)
    }

    async fn greet(&mut self) -> io::Result<()> {
        // SETTINGS_INITIAL_WINDOW_SIZE, and the connection's window.
        self.frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
        self.frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]);
        self.flush().await
    }

    /// Adds a frame to the bytes that the next [`flush`](Self::flush) writes.
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, a, b, c] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.pending.extend_from_slice(&[a, b, c, kind, flags]);
        self.pending.extend_from_slice(&stream.to_be_bytes());
        self.pending.extend_from_slice(payload);
    }

    /// Writes a block of headers, cut into frames of `pieces` bytes. The last length repeats.
    pub fn headers(&mut self, stream: u32, block: &[u8], pieces: &[usize], ends_stream: bool) {
        let (mut rest, mut nth) = (block, 0);
        loop {
            let piece = pieces.get(nth).or_else(|| pieces.last()).copied().unwrap_or(16 << 10);
            let (now, later) = rest.split_at(piece.min(rest.len()));
            let kind = if nth == 0 { HEADERS } else { CONTINUATION };
            let ends_stream = if nth == 0 && ends_stream { END_STREAM } else { 0 };
            let ends_headers = if later.is_empty() { END_HEADERS } else { 0 };
            self.frame(kind, ends_stream | ends_headers, stream, now);
            (rest, nth) = (later, nth + 1);
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Writes the headers of a call.
    pub fn call(&mut self, stream: u32, path: &str, more: &[(&str, &str)], pieces: &[usize]) {
        let request = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        ];
        self.headers(stream, &block(&[&request[..], more].concat()), pieces, false);
    }

    /// Writes DATA frames of at most 16 KiB.
    pub fn data(&mut self, stream: u32, data: &[u8], ends_stream: bool) {
        let mut chunks = data.chunks(16 << 10).peekable();
        if chunks.peek().is_none() {
            self.frame(DATA, u8::from(ends_stream), stream, &[]);
        }
        while let Some(chunk) = chunks.next() {
            self.frame(DATA, u8::from(ends_stream && chunks.peek().is_none()), stream, chunk);
        }
    }

    /// Aborts a call with this HTTP/2 error code.
    pub fn reset(&mut self, stream: u32, code: u32) {
        self.frame(RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    /// Announces that no call after `last` will be answered.
    pub fn go_away(&mut self, last: u32, code: u32, why: &str) {
        let payload = [&last.to_be_bytes(), &code.to_be_bytes()[..], why.as_bytes()].concat();
        self.frame(GOAWAY, 0, 0, &payload);
    }

    /// Writes the pending bytes.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.io.write_all(&std::mem::take(&mut self.pending)).await?;
        self.io.flush().await
    }

    /// The next frame, other than settings, pings and window updates. `None` at the end of the connection.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn next(&mut self) -> io::Result<Option<RawFrame>> {
        loop {
            let mut header = [0; 9];
            match self.io.read_exact(&mut header).await {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
            let [a, b, c, kind, flags, s @ ..] = header;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.io.read_exact(&mut payload).await?;
            match (kind, flags & 1) {
                (SETTINGS, 0) => self.frame(SETTINGS, 1, 0, &[]),
                (PING, 0) => self.frame(PING, 1, 0, &payload),
                (SETTINGS | PING | WINDOW_UPDATE, _) => continue,
                _ => return Ok(Some(RawFrame { kind, flags, stream: u32::from_be_bytes(s), payload })),
            }
            self.flush().await?;
        }
    }

    /// Reads to the end of a stream, and returns its frames.
    ///
    /// # Errors
    /// Those of the stream, and a GOAWAY or the end of the connection before the end of the stream.
    pub async fn answer(&mut self, stream: u32) -> io::Result<Vec<RawFrame>> {
        let mut frames = Vec::new();
        loop {
            match self.next().await? {
                Some(frame) if frame.kind == GOAWAY => {
                    let why = String::from_utf8_lossy(&frame.payload).into_owned();
                    return Err(io::Error::other(format!("the peer goes away: {why:?}")));
                }
                Some(frame) if frame.stream == stream => {
                    let ends = frame.ends_stream();
                    frames.push(frame);
                    if ends {
                        return Ok(frames);
                    }
                }
                Some(_) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

/// Headers as HPACK literals without indexing and without Huffman coding.
#[must_use]
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

fn string(block: &mut Vec<u8>, text: &str) {
    match text.len().checked_sub(127) {
        None => block.push(text.len() as u8),
        Some(mut rest) => {
            block.push(127);
            while rest >= 128 {
                block.push(128 | (rest % 128) as u8);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(text.as_bytes());
}

/// A gRPC message with its prefix.
#[must_use]
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0][..], &length, bytes].concat()
}
