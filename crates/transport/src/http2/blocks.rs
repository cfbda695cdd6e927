//! Headers of a call, in whatever frames they come.
//!
//! HTTP/2 lets a peer cut the headers of a call into a HEADERS frame and any number of CONTINUATION frames; Go cuts them every
//! 16 KiB. Rust's HTTP/2 stack counts these frames, and ends the connection, with every call on it, above a number that
//! follows from sizes: six for ours. It also ends the connection where headers are four times as long as allowed. So the bytes
//! that come in are looked at on their way: headers in several frames are put together into the fewest that may be, and the
//! stack is given four times the limit that the peer is announced, so that what is longer can be refused by itself.
//!
//! Frames are followed by their lengths, which costs a few instructions each. Only headers in several frames are copied.
//! At most one frame's length of them is held.
//!
//! # Protocol
//! RFC 9113, sections 4.1 (frames), 6.2 (HEADERS), 6.5.2 (settings) and 6.10 (CONTINUATION).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, Uri};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::Status;

/// How long the headers of a call may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderLimit(u32);

impl HeaderLimit {
    /// At most so many bytes, as HTTP/2 counts them.
    pub(crate) fn new(bytes: u32) -> Self {
        Self(bytes)
    }

    /// What the HTTP/2 stack is given, so that headers that are too long still arrive and can be refused one by one.
    pub(crate) fn for_stack(self) -> u32 {
        self.0.saturating_mul(SLACK)
    }

    /// Why a request with these headers is refused, if it is.
    pub(crate) fn refuse(self, uri: &Uri, headers: &HeaderMap) -> Option<Status> {
        let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
        self.judge(path + uri.authority().map_or(0, |authority| authority.as_str().len()), headers)
    }

    /// Returns the status for an answer whose headers or trailers are too long.
    pub(crate) fn refuse_answer(self, headers: &HeaderMap) -> Option<Status> {
        self.judge(0, headers)
    }

    fn judge(self, more: usize, headers: &HeaderMap) -> Option<Status> {
        // The length of a field, as RFC 9113 (6.5.2) has it.
        let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
        let length = fields.sum::<usize>() + more;
        let limit = self.0 as usize;
        (length > limit).then(|| {
            Status::resource_exhausted(format!(
                "the headers of the call have {length} bytes; http2.max_headers allows {limit}"
            ))
        })
    }
}

/// How many times as long as allowed headers may be before they end the connection.
const SLACK: u32 = 4;

/// A stream of HTTP/2 whose headers come in as few frames as can be, and which announces the limit for them that holds.
#[derive(Debug)]
pub(crate) struct Blocks<S> {
    io: S,
    /// The longest frame that is made.
    max_frame: usize,
    place: Place,
    /// The beginning of a frame header whose rest has not come.
    split: Split,
    /// What is to be read before anything else.
    out: BytesMut,
    announcement: Option<Announcement>,
}

/// Where in the sequence of frames the next byte stands.
#[derive(Debug)]
enum Place {
    /// Before the header of a frame, or in a payload of which so much is left.
    Passing { left: usize },
    /// In headers that come in several frames.
    Block(Box<Block>),
}

/// Bytes of a frame header that was cut.
#[derive(Debug, Default)]
struct Split {
    bytes: [u8; FRAME_HEADER],
    length: usize,
}

/// Headers in several frames.
#[derive(Debug)]
struct Block {
    stream: [u8; 4],
    /// Of the flags of the first frame, those that count: whether the call's direction ends with these headers.
    flags: u8,
    /// Whether the first frame has been passed on.
    begun: bool,
    /// What is still to be passed on.
    held: BytesMut,
    empty: usize,
    at: At,
}

/// Where in such headers.
#[derive(Debug)]
enum At {
    Header(Split),
    PadLength(Frame),
    Priority { left: usize, frame: Frame },
    Fragment(Frame),
    Padding(Frame),
}

/// What is still to come of a frame of headers.
#[derive(Debug, Clone, Copy)]
struct Frame {
    fragment: usize,
    padding: usize,
    prioritised: bool,
    ends: bool,
}

impl<S> Blocks<S> {
    /// The side that opened the connection.
    pub(crate) fn client(io: S, max_frame: u32, limit: HeaderLimit) -> Self {
        Self::new(io, max_frame, limit, 0, PREFACE)
    }

    /// The side that accepted it.
    pub(crate) fn server(io: S, max_frame: u32, limit: HeaderLimit) -> Self {
        Self::new(io, max_frame, limit, PREFACE, 0)
    }

    fn new(io: S, max_frame: u32, limit: HeaderLimit, preface_in: usize, preface_out: usize) -> Self {
        Self {
            io,
            max_frame: max_frame as usize,
            place: Place::Passing { left: preface_in },
            split: Split::default(),
            out: BytesMut::new(),
            announcement: Some(Announcement::new(preface_out, limit.0)),
        }
    }

    /// Follows bytes that came in, and returns how many of them pass as they are. The others are for
    /// [`take`](Self::take).
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let Place::Passing { left } = &mut self.place else { return 0 };
        let mut at = 0;
        loop {
            let passed = (*left).min(bytes.len() - at);
            *left -= passed;
            at += passed;
            let Some(header) = bytes[at..].first_chunk::<FRAME_HEADER>() else { return at };
            if begins_block(*header, self.max_frame) {
                return at;
            }
            *left = length(*header);
            at += FRAME_HEADER;
        }
    }

    /// Takes in what [`follow`](Self::follow) did not let pass.
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Passing { left } if *left > 0 => {
                    let passed = (*left).min(bytes.len());
                    *left -= passed;
                    self.out.extend_from_slice(&bytes[..passed]);
                    bytes.advance(passed);
                }
                Place::Passing { left } => {
                    let Some(header) = self.split.fill(&mut bytes) else { return };
                    if begins_block(header, self.max_frame) {
                        self.place = Place::Block(Box::new(Block::new(header)));
                    } else {
                        *left = length(header);
                        self.out.extend_from_slice(&header);
                    }
                }
                Place::Block(block) => {
                    if let Some(left) = block.take(&mut bytes, self.max_frame, &mut self.out) {
                        self.place = Place::Passing { left };
                    }
                }
            }
        }
    }
}

impl Split {
    /// Takes what is missing. The whole of it, once it is there.
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
        let fragment = length(header).saturating_sub(prefix(flags));
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

    /// Takes bytes, and passes on what it can. When the headers are over, returns what is left of the frame after them, if it
    /// is not theirs.
    fn take(&mut self, bytes: &mut &[u8], max_frame: usize, out: &mut BytesMut) -> Option<usize> {
        loop {
            if let Some(left) = self.step(bytes, max_frame, out) {
                return Some(left);
            }
            // What has no length needs no bytes.
            if bytes.is_empty() && self.at.needs_bytes() {
                return None;
            }
        }
    }

    /// Takes some bytes, of which there are some, unless nothing [needs](At::needs_bytes) any.
    fn step(&mut self, bytes: &mut &[u8], max_frame: usize, out: &mut BytesMut) -> Option<usize> {
        match &mut self.at {
            At::Header(split) => {
                let header = split.fill(bytes)?;
                let [.., kind, flags, a, b, c, d] = header;
                if kind != CONTINUATION || [a, b, c, d] != self.stream {
                    // A fault that ends the connection. The stack says so better.
                    self.pass_on(false, max_frame, out);
                    out.extend_from_slice(&header);
                    return Some(length(header));
                }
                let (fragment, ends) = (length(header), flags & END_HEADERS != 0);
                if fragment == 0 && !ends {
                    self.empty += 1;
                    if self.empty > MAX_EMPTY {
                        // A peer that means harm. The stack counts these, and ends the connection.
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
                // More padding than there is frame is a fault; what can be decoded of it will say so.
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

    /// Passes on all that is held.
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

fn length([a, b, c, ..]: [u8; FRAME_HEADER]) -> usize {
    u32::from_be_bytes([0, a, b, c]) as usize
}

/// Whether headers begin that do not end in the same frame. A frame that is too short for what it says, or too long, is for the
/// stack to refuse.
fn begins_block(header: [u8; FRAME_HEADER], max_frame: usize) -> bool {
    let [_, _, _, kind, flags, ..] = header;
    kind == HEADERS && flags & END_HEADERS == 0 && (prefix(flags)..=max_frame).contains(&length(header))
}

/// How much of a HEADERS frame stands before the headers themselves.
fn prefix(flags: u8) -> usize {
    let priority = if flags & PRIORITY == 0 { 0 } else { PRIORITY_LENGTH };
    usize::from(flags & PADDED != 0) + priority
}

impl<S: AsyncRead + Unpin> AsyncRead for Blocks<S> {
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
            // The frame header that was cut goes before what comes now, so that nothing has to be moved.
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
                // The end. What is left of a frame is for the stack to judge.
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

/// The limit for headers in the settings that this side sends first, which the stack writes as what it was given.
#[derive(Debug)]
struct Announcement {
    /// What is still to be written before the settings.
    preface: usize,
    /// Where the value stands in what is written then; looked for with the first bytes.
    at: Option<usize>,
    value: [u8; 4],
    written: usize,
}

impl Announcement {
    fn new(preface: usize, limit: u32) -> Self {
        Self { at: None, preface, value: limit.to_be_bytes(), written: 0 }
    }

    /// The first bytes of these, with the value corrected. `None` when there is nothing to correct, from now on.
    fn correct(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.written == 0 {
            self.at = Self::find(bytes);
        }
        let at = self.at?;
        let end = (at + self.value.len()).checked_sub(self.written).filter(|end| *end > 0)?;
        let mut bytes = bytes[..end.min(bytes.len())].to_vec();
        for (byte, correct) in self.value.iter().enumerate() {
            if let Some(byte) = (at + byte).checked_sub(self.written).and_then(|at| bytes.get_mut(at)) {
                *byte = *correct;
            }
        }
        Some(bytes)
    }

    fn find(bytes: &[u8]) -> Option<usize> {
        let (header, payload) = bytes.split_first_chunk::<FRAME_HEADER>()?;
        let settings = payload.get(..length(*header)).filter(|_| header[3] == SETTINGS)?;
        let nth = settings.chunks_exact(SETTING).position(|setting| setting[..2] == MAX_HEADER_LIST_SIZE)?;
        Some(FRAME_HEADER + nth * SETTING + 2)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Blocks<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(announcement) = &mut this.announcement {
            if announcement.preface > 0 {
                // The settings may come with it or after it.
                let preface = &buf[..buf.len().min(announcement.preface)];
                let written = ready!(Pin::new(&mut this.io).poll_write(cx, preface))?;
                announcement.preface -= written;
                return Poll::Ready(Ok(written));
            }
            if let Some(corrected) = announcement.correct(buf) {
                let written = ready!(Pin::new(&mut this.io).poll_write(cx, &corrected))?;
                announcement.written += written;
                return Poll::Ready(Ok(written));
            }
            this.announcement = None;
        }
        Pin::new(&mut this.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.announcement.is_some() {
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

const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
const PRIORITY_LENGTH: usize = 5;
const SETTING: usize = 6;
const MAX_HEADER_LIST_SIZE: [u8; 2] = [0, 6];

/// CONTINUATION frames with nothing in them, for the headers of one call. They bring nothing and cost the peer little.
const MAX_EMPTY: usize = 1000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[a, b, c, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// What is read of these bytes, which come `chunk` at a time and are read `room` at a time.
    fn read(bytes: &[u8], chunk: usize, room: usize) -> Vec<u8> {
        let mut io = chunks(bytes, chunk);
        let mut blocks = Blocks::client(&mut io, 16, HeaderLimit::new(100));
        let (mut all, mut cx) = (Vec::new(), Context::from_waker(std::task::Waker::noop()));
        loop {
            let mut buf = vec![0; room];
            let mut buf = ReadBuf::new(&mut buf);
            match Pin::new(&mut blocks).poll_read(&mut cx, &mut buf) {
                Poll::Ready(Ok(())) if buf.filled().is_empty() => return all,
                Poll::Ready(Ok(())) => all.extend_from_slice(buf.filled()),
                other => panic!("{other:?}"),
            }
        }
    }

    struct Chunks(std::collections::VecDeque<Vec<u8>>);

    fn chunks(bytes: &[u8], chunk: usize) -> Chunks {
        Chunks(bytes.chunks(chunk).map(<[u8]>::to_vec).collect())
    }

    impl AsyncRead for Chunks {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(mut chunk) = self.0.pop_front() {
                let rest = chunk.split_off(chunk.len().min(buf.remaining()));
                buf.put_slice(&chunk);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
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
    fn headers_in_many_frames_come_in_few() {
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
    fn padding_and_priority_are_left_out() {
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
    fn what_breaks_the_rules_is_for_the_stack_to_judge() {
        let other = frame(0, 0, b"data");
        check(&[frame(HEADERS, 0, b"he"), other.clone()], &[frame(HEADERS, 0, b"he"), other]);
        let empty = frame(CONTINUATION, 0, &[]);
        let flood = [vec![frame(HEADERS, 0, b"he")], vec![empty.clone(); MAX_EMPTY + 3]].concat().concat();
        let passed = read(&flood, 4096, 4096);
        assert_eq!(passed, [frame(HEADERS, 0, b"he"), empty.repeat(3)].concat());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_and_any_cut_gives_the_same(
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
    async fn the_limit_that_holds_is_announced() {
        let settings = |limit: u32| {
            let first =
                [&[0, 4, 0, 1, 0, 0][..], &[0, 6], &limit.to_be_bytes(), &[0, 5, 0, 0, 64, 0]].concat();
            [vec![b'P'; PREFACE], frame(SETTINGS, 0, &first), frame(SETTINGS, 1, &[])].concat()
        };
        for room in [1, 7, 40, 1000] {
            let (near, mut far) = tokio::io::duplex(room);
            let writes = tokio::spawn(async move {
                let mut near = Blocks::client(near, 16 << 10, HeaderLimit::new(100));
                near.write_all(&settings(400)).await.expect("written");
            });
            let mut written = Vec::new();
            far.read_to_end(&mut written).await.expect("read");
            writes.await.expect("no panic");
            assert_eq!(written, settings(100), "{room}");
        }
    }

    #[test]
    fn lengths_are_those_of_http2() {
        let mut headers = HeaderMap::new();
        headers.insert("name", "value".parse().expect("a value"));
        assert!(HeaderLimit::new(41).refuse_answer(&headers).is_none());
        let refused = HeaderLimit::new(40).refuse_answer(&headers).expect("too long");
        assert_eq!(refused.message(), "the headers of the call have 41 bytes; http2.max_headers allows 40");
    }
}
