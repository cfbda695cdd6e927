//! Merges the header frames of a call into few frames.
//!
//! HTTP/2 lets a peer split the headers of a call into a HEADERS frame and any number of CONTINUATION frames. Go splits
//! them every 16 KiB. Rust's HTTP/2 stack counts these frames, and ends the connection, with every call on it, above a
//! number that follows from sizes: six for this library. So headers in several frames are merged into as few frames as
//! possible before the stack reads them.
//!
//! The stack also ends the connection when headers exceed its limit. So the stack is given four times the limit that is
//! announced to the peer, and headers in between fail only their call.
//!
//! Frames are followed by their lengths, which costs a few instructions each. Only headers in several frames are
//! copied, and at most one frame of them is held.
//!
//! # Protocol
//! RFC 9113, sections 4.1 (frames), 6.2 (HEADERS), 6.5.2 (settings) and 6.10 (CONTINUATION).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    announced_limit::AnnouncedLimit,
    header_limit::HeaderLimit,
    layout::{
        CONTINUATION, END_HEADERS, END_STREAM, FRAME_HEADER, HEADERS, PADDED, PREFACE, PRIORITY,
        PRIORITY_LENGTH, payload_length,
    },
};

/// A stream of HTTP/2 that merges incoming header frames and announces the limit on headers.
#[derive(Debug)]
pub(crate) struct HeaderBlocks<S> {
    io: S,
    /// The length of the longest frame that merging makes.
    max_frame: usize,
    position: Position,
    /// The first bytes of a frame header that has arrived in part.
    split: Split,
    /// Bytes that are read before all others.
    out: BytesMut,
    /// `None` once the limit has been written.
    announced: Option<AnnouncedLimit>,
}

/// The position of the next byte in the sequence of frames.
#[derive(Debug)]
enum Position {
    /// Before the header of a frame, or in a payload of which so many bytes are left.
    Passing { left: usize },
    /// In headers that are split into several frames.
    Block(Box<Block>),
}

/// The bytes of a frame header that arrives in parts.
#[derive(Debug, Default)]
struct Split {
    bytes: [u8; FRAME_HEADER],
    length: usize,
}

/// Headers in several frames.
#[derive(Debug)]
struct Block {
    stream: [u8; 4],
    /// END_STREAM, if the first frame has it.
    flags: u8,
    /// Whether a merged frame has been passed on.
    begun: bool,
    /// Bytes that are still to be passed on.
    held: BytesMut,
    /// How many empty CONTINUATION frames there were.
    empty: usize,
    at: At,
}

/// The position in headers that are split.
#[derive(Debug)]
enum At {
    Header(Split),
    PadLength(Frame),
    Priority { left: usize, frame: Frame },
    Fragment(Frame),
    Padding(Frame),
}

/// The parts of a frame of headers that are still to arrive.
#[derive(Debug, Clone, Copy)]
struct Frame {
    fragment: usize,
    padding: usize,
    prioritised: bool,
    ends: bool,
}

impl<S> HeaderBlocks<S> {
    /// Wraps the stream of the side that opened the connection.
    pub(crate) fn client(io: S, max_frame: u32, limit: HeaderLimit) -> Self {
        Self::new(io, max_frame, limit, 0, PREFACE)
    }

    /// Wraps the stream of the side that accepted the connection.
    pub(crate) fn server(io: S, max_frame: u32, limit: HeaderLimit) -> Self {
        Self::new(io, max_frame, limit, PREFACE, 0)
    }

    fn new(io: S, max_frame: u32, limit: HeaderLimit, preface_in: usize, preface_out: usize) -> Self {
        Self {
            io,
            max_frame: max_frame as usize,
            position: Position::Passing { left: preface_in },
            split: Split::default(),
            out: BytesMut::new(),
            announced: Some(AnnouncedLimit::new(preface_out, limit.bytes())),
        }
    }

    /// Follows incoming bytes and returns how many of them pass unchanged. The others must be given to [`take`](Self::take).
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let Position::Passing { left } = &mut self.position else { return 0 };
        let mut at = 0;
        loop {
            let passed = (*left).min(bytes.len() - at);
            *left -= passed;
            at += passed;
            let Some(header) = bytes[at..].first_chunk::<FRAME_HEADER>() else { return at };
            if begins_block(*header, self.max_frame) {
                return at;
            }
            *left = payload_length(*header);
            at += FRAME_HEADER;
        }
    }

    /// Takes the bytes that [`follow`](Self::follow) did not let pass.
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.position {
                Position::Passing { left } if *left > 0 => {
                    let passed = (*left).min(bytes.len());
                    *left -= passed;
                    self.out.extend_from_slice(&bytes[..passed]);
                    bytes.advance(passed);
                }
                Position::Passing { left } => {
                    let Some(header) = self.split.fill(&mut bytes) else { return };
                    if begins_block(header, self.max_frame) {
                        self.position = Position::Block(Box::new(Block::new(header)));
                    } else {
                        *left = payload_length(header);
                        self.out.extend_from_slice(&header);
                    }
                }
                Position::Block(block) => {
                    if let Some(left) = block.take(&mut bytes, self.max_frame, &mut self.out) {
                        self.position = Position::Passing { left };
                    }
                }
            }
        }
    }
}

impl Split {
    /// Takes the missing bytes. Returns the header once it is complete.
    fn fill(&mut self, bytes: &mut &[u8]) -> Option<[u8; FRAME_HEADER]> {
        let taken = bytes.len().min(FRAME_HEADER - self.length);
        self.bytes[self.length..self.length + taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
        bytes.advance(taken);
        (self.length == FRAME_HEADER).then(|| {
            self.length = 0;
            self.bytes
        })
    }
}

impl Block {
    fn new(header: [u8; FRAME_HEADER]) -> Self {
        let [.., flags, a, b, c, d] = header;
        let padded = flags & PADDED != 0;
        let prioritised = flags & PRIORITY != 0;
        let fragment = payload_length(header).saturating_sub(prefix(flags));
        let frame = Frame { fragment, padding: 0, prioritised, ends: false };
        let at = if padded { At::PadLength(frame) } else { At::after_padding(frame) };
        Self {
            stream: [a, b, c, d],
            flags: flags & END_STREAM,
            begun: false,
            held: BytesMut::new(),
            empty: 0,
            at,
        }
    }

    /// Takes bytes and passes merged frames on. At the end of the headers, returns how many bytes are left of a frame
    /// that follows and was begun here.
    fn take(&mut self, bytes: &mut &[u8], max_frame: usize, out: &mut BytesMut) -> Option<usize> {
        loop {
            if let Some(left) = self.step(bytes, max_frame, out) {
                return Some(left);
            }
            // An empty part needs no bytes.
            if bytes.is_empty() && self.at.needs_bytes() {
                return None;
            }
        }
    }

    /// Takes some bytes. `bytes` is not empty, unless the position [needs](At::needs_bytes) no bytes.
    fn step(&mut self, bytes: &mut &[u8], max_frame: usize, out: &mut BytesMut) -> Option<usize> {
        match &mut self.at {
            At::Header(split) => {
                let header = split.fill(bytes)?;
                let [.., kind, flags, a, b, c, d] = header;
                if kind != CONTINUATION || [a, b, c, d] != self.stream {
                    // A fault that ends the connection. The stack reports it better.
                    self.pass_on(false, max_frame, out);
                    out.extend_from_slice(&header);
                    return Some(payload_length(header));
                }
                let (fragment, ends) = (payload_length(header), flags & END_HEADERS != 0);
                if fragment == 0 && !ends {
                    self.empty += 1;
                    if self.empty > MAX_EMPTY {
                        // A malicious peer. The stack counts these frames and ends the connection.
                        self.pass_on(false, max_frame, out);
                        out.extend_from_slice(&header);
                    }
                    return None;
                }
                self.at = At::Fragment(Frame { fragment, padding: 0, prioritised: false, ends });
            }
            At::PadLength(frame) => {
                let mut frame = *frame;
                frame.padding = bytes[0].into();
                bytes.advance(1);
                // More padding than the frame is long is a fault, which the stack reports.
                frame.padding = frame.padding.min(frame.fragment);
                frame.fragment -= frame.padding;
                self.at = At::after_padding(frame);
            }
            At::Priority { left, frame } => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                bytes.advance(taken);
                if *left == 0 {
                    self.at = At::Fragment(*frame);
                }
            }
            At::Fragment(frame) => {
                let taken = bytes.len().min(frame.fragment);
                self.held.extend_from_slice(&bytes[..taken]);
                frame.fragment -= taken;
                bytes.advance(taken);
                if frame.fragment == 0 {
                    self.at = At::Padding(*frame);
                }
                while self.held.len() > max_frame {
                    self.pass_on_one(max_frame, false, out);
                }
            }
            At::Padding(frame) => {
                let taken = bytes.len().min(frame.padding);
                frame.padding -= taken;
                bytes.advance(taken);
            }
        }
        if let At::Padding(Frame { padding: 0, ends, .. }) = self.at {
            if ends {
                self.pass_on(true, max_frame, out);
                return Some(0);
            }
            self.at = At::Header(Split::default());
        }
        None
    }

    /// Passes on all held bytes.
    fn pass_on(&mut self, ends: bool, max_frame: usize, out: &mut BytesMut) {
        while self.held.len() > max_frame {
            self.pass_on_one(max_frame, false, out);
        }
        if ends || !self.begun || !self.held.is_empty() {
            self.pass_on_one(self.held.len(), ends, out);
        }
    }

    fn pass_on_one(&mut self, fragment: usize, ends: bool, out: &mut BytesMut) {
        let (kind, flags) = if self.begun { (CONTINUATION, 0) } else { (HEADERS, self.flags) };
        self.begun = true;
        // No frame is longer than 16 MiB.
        let [_, a, b, c] = (fragment as u32).to_be_bytes();
        out.extend_from_slice(&[a, b, c, kind, flags | if ends { END_HEADERS } else { 0 }]);
        out.extend_from_slice(&self.stream);
        out.extend_from_slice(&self.held[..fragment]);
        self.held.advance(fragment);
    }
}

impl At {
    fn after_padding(frame: Frame) -> Self {
        if frame.prioritised {
            Self::Priority { left: PRIORITY_LENGTH, frame }
        } else {
            Self::Fragment(frame)
        }
    }

    fn needs_bytes(&self) -> bool {
        match self {
            Self::Header(_) | Self::PadLength(_) | Self::Priority { .. } => true,
            Self::Fragment(frame) => frame.fragment > 0,
            Self::Padding(frame) => frame.padding > 0,
        }
    }
}

/// Whether a frame with this header begins headers that continue in another frame. The stack refuses a frame that is
/// too short for its flags, or too long.
fn begins_block(header: [u8; FRAME_HEADER], max_frame: usize) -> bool {
    let [_, _, _, kind, flags, ..] = header;
    kind == HEADERS
        && flags & END_HEADERS == 0
        && (prefix(flags)..=max_frame).contains(&payload_length(header))
}

/// The length of the fields before the header block in a HEADERS frame.
fn prefix(flags: u8) -> usize {
    let priority = if flags & PRIORITY == 0 { 0 } else { PRIORITY_LENGTH };
    usize::from(flags & PADDED != 0) + priority
}

impl<S: AsyncRead + Unpin> AsyncRead for HeaderBlocks<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if !this.out.is_empty() {
                let given = this.out.len().min(buf.remaining());
                buf.put_slice(&this.out[..given]);
                this.out.advance(given);
                if this.out.is_empty() {
                    this.out = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            // The first bytes of a frame header go before the bytes that are read now, so that nothing must be moved.
            let split = this.split.length;
            if split > 0 && buf.remaining() <= split {
                let mut few = [0; FRAME_HEADER];
                let mut few = ReadBuf::new(&mut few);
                ready!(Pin::new(&mut this.io).poll_read(cx, &mut few))?;
                if few.filled().is_empty() {
                    return Poll::Ready(Ok(()));
                }
                this.take(few.filled());
                continue;
            }
            buf.put_slice(&this.split.bytes[..split]);
            match Pin::new(&mut this.io).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {}
                other => {
                    buf.set_filled(before);
                    return other;
                }
            }
            if buf.filled().len() == before + split {
                // The end of the stream. The stack reports a frame that was cut.
                this.split.length = 0;
                return Poll::Ready(Ok(()));
            }
            this.split.length = 0;
            let passed = before + this.follow(&buf.filled()[before..]);
            if passed < buf.filled().len() {
                this.take(&buf.filled()[passed..]);
                buf.set_filled(passed);
            }
            if passed > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeaderBlocks<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(announced) = &mut this.announced {
            // The settings may come with the preface or after it.
            if let Some(preface) = announced.preface(buf) {
                let written = ready!(Pin::new(&mut this.io).poll_write(cx, preface))?;
                announced.wrote_preface(written);
                return Poll::Ready(Ok(written));
            }
            if let Some(rewritten) = announced.rewrite(buf) {
                let written = ready!(Pin::new(&mut this.io).poll_write(cx, &rewritten))?;
                announced.wrote_settings(written);
                return Poll::Ready(Ok(written));
            }
            this.announced = None;
        }
        Pin::new(&mut this.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.announced.is_some() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, first);
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// How many empty CONTINUATION frames the headers of one call may have. Empty frames cost the peer little.
const MAX_EMPTY: usize = 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::frames::{fuzzing::merged as read, layout::SETTINGS};

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[track_caller]
    fn check(before: &[Vec<u8>], after: &[Vec<u8>]) {
        let (before, after) = (before.concat(), after.concat());
        for chunk in [1, 2, 5, 9, 10, 17, before.len()] {
            for room in [1, 3, 8, 9, 10, 11, 64, 1024] {
                assert_eq!(read(&before, chunk, room), after, "{chunk} bytes at a time into {room}");
            }
        }
    }

    #[test]
    fn headers_in_many_frames_are_merged() {
        let (data, whole) = (frame(0, 0, b"twenty bytes of data"), frame(HEADERS, 4, b"headers"));
        let block: Vec<u8> = (0..40).collect();
        let pieces: Vec<_> = block[1..]
            .iter()
            .map(|byte| frame(CONTINUATION, if *byte == 39 { END_HEADERS } else { 0 }, &[*byte]))
            .collect();
        let empty = frame(CONTINUATION, 0, &[]);
        let before = [data.clone(), whole.clone(), frame(HEADERS, END_STREAM, &block[..1]), empty];
        let before = [&before[..], &pieces, &[data.clone(), whole.clone()]].concat();
        let after = [
            data.clone(),
            whole.clone(),
            frame(HEADERS, END_STREAM, &block[..16]),
            frame(CONTINUATION, 0, &block[16..32]),
            frame(CONTINUATION, END_HEADERS, &block[32..]),
            data,
            whole,
        ];
        check(&before, &after);
    }

    #[test]
    fn padding_and_priority_are_removed() {
        let padded = [&[3][..], &[0, 0, 0, 0, 16], b"some", b"%%%"].concat();
        for (before, after) in [
            (
                [frame(HEADERS, PADDED | PRIORITY, &padded), frame(CONTINUATION, 4, b" headers")],
                frame(HEADERS, 4, b"some headers"),
            ),
            ([frame(HEADERS, 0, b""), frame(CONTINUATION, 4, b"")], frame(HEADERS, 4, b"")),
            ([frame(HEADERS, PADDED, &[0]), frame(CONTINUATION, 4, b"h")], frame(HEADERS, 4, b"h")),
        ] {
            check(&before, &[after]);
        }
    }

    #[test]
    fn frames_that_break_the_rules_reach_the_stack() {
        let other = frame(0, 0, b"data");
        check(&[frame(HEADERS, 0, b"he"), other.clone()], &[frame(HEADERS, 0, b"he"), other]);
        let empty = frame(CONTINUATION, 0, &[]);
        let flood = [vec![frame(HEADERS, 0, b"he")], vec![empty.clone(); MAX_EMPTY + 3]].concat().concat();
        let passed = read(&flood, 4096, 4096);
        assert_eq!(passed, [frame(HEADERS, 0, b"he"), empty.repeat(3)].concat());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_and_the_cut_does_not_matter(
            bytes in prop::collection::vec(any::<u8>(), 0..600), chunk in 1_usize..80, room in 1_usize..80,
        ) {
            let whole = [frame(HEADERS, 0, b"h"), frame(CONTINUATION, 4, b"i"), bytes].concat();
            let (cut, at_once) = (read(&whole, chunk, room), read(&whole, whole.len(), 4096));
            // The beginning of a frame header that never ends may be dropped with the connection.
            prop_assert!(at_once.starts_with(&cut) || cut.starts_with(&at_once));
            prop_assert!(at_once.len().abs_diff(cut.len()) < FRAME_HEADER);
        }
    }

    #[tokio::test]
    async fn the_limit_is_announced() {
        let settings = |limit: u32| {
            let first =
                [&[0, 4, 0, 1, 0, 0][..], &[0, 6], &limit.to_be_bytes(), &[0, 5, 0, 0, 64, 0]].concat();
            [vec![b'P'; PREFACE], frame(SETTINGS, 0, &first), frame(SETTINGS, 1, &[])].concat()
        };
        for room in [1, 7, 40, 1000] {
            let (near, mut far) = tokio::io::duplex(room);
            let writes = tokio::spawn(async move {
                let mut near = HeaderBlocks::client(near, 16 << 10, HeaderLimit::new(100));
                near.write_all(&settings(400)).await.expect("written");
            });
            let mut written = Vec::new();
            far.read_to_end(&mut written).await.expect("read");
            writes.await.expect("no panic");
            assert_eq!(written, settings(100), "{room}");
        }
    }
}
