//! What comes in, so that a reader's memory grows with what has arrived and not with what was announced.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use crate::http2::scan::{Begun, Over, Scan};

/// An incoming body of gRPC that is safe to read for decoders that reserve what a message's prefix announces, as tonic's
/// do: `response.map(|body| Gathered::new(body, limit))`.
///
/// The bytes of a message above 8 KiB are held back until half of it has come, so five bytes that announce 4 GiB cost five
/// bytes. What was held goes on without a copy and makes room as it is read, so the message that has come in half is not in
/// memory twice. Bytes of messages that lie whole in a frame pass as they are.
///
/// Held frames count as read: HTTP/2's window is given back for them.
///
/// # Errors
/// To the reader come, as a [`Status`] within the error:
/// - RESOURCE_EXHAUSTED, in grpc-go's words, for a message above the limit, by its prefix, after the messages before it;
/// - INTERNAL where the body ends within a message and no status of the peer says why;
///
/// and what the body itself fails with.
#[derive(Debug)]
pub struct Gathered<B> {
    body: B,
    scan: Scan,
    /// Frames that wait for more of their message, or to be read.
    held: Held,
    /// The length of a message above the limit, once everything before it is read.
    over: Option<u32>,
    /// An error has been given, and nothing comes after that.
    failed: bool,
}

/// Frames in their order.
#[derive(Debug, Default)]
struct Held {
    frames: VecDeque<Bytes>,
    /// The end of what is held, as long as it comes in small frames: to keep each on its own would take more than they have
    /// brought, and keep the whole buffer that each was read into.
    small: BytesMut,
    /// How many of the first frames may be read.
    free: usize,
}

impl<B> Gathered<B> {
    /// This body, with messages of at most `limit` bytes: as they are on the wire, before decompression. Without a limit it
    /// is gRPC's own in practice, 2 GiB: no implementation of protocol buffers takes more.
    #[must_use]
    pub fn new(body: B, limit: Option<u64>) -> Self {
        Self {
            body,
            scan: Scan::new(limit.unwrap_or(LARGEST)),
            held: Held::default(),
            over: None,
            failed: false,
        }
    }

    /// What the bytes come from.
    pub(crate) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// Takes a frame, and returns what may be read of it now.
    fn take(&mut self, mut data: Bytes) -> Option<Bytes> {
        match self.scan.take(&data) {
            Ok(()) => {}
            Err(Over { start, length }) => {
                self.over = Some(length);
                data.truncate(start);
                if data.is_empty() && self.held.is_empty() {
                    return None;
                }
            }
        }
        let wanting = match self.scan.begun() {
            Some(begun) if self.over.is_none() && !begun.may_be_read() => Some(begun.start),
            _ => None,
        };
        match wanting {
            None if self.held.is_empty() => Some(data),
            None => {
                self.held.push(data);
                self.held.free();
                None
            }
            // All of this frame belongs to the message that is held already, or begins a message.
            Some(0) => {
                self.held.push(data);
                None
            }
            Some(start) => {
                let before = data.split_to(start);
                let now = if self.held.is_empty() {
                    Some(before)
                } else {
                    self.held.push(before);
                    self.held.free();
                    None
                };
                self.held.push(data);
                now
            }
        }
    }

    /// Why the body must not end now, whatever its trailers.
    fn cut_short(&self, trailers: Option<&HeaderMap>) -> Option<Status> {
        let failed = |trailers: &HeaderMap| trailers.get("grpc-status").is_some_and(|code| code != "0");
        if !self.scan.is_within() || trailers.is_some_and(failed) {
            return None;
        }
        Some(Status::internal(match self.scan.begun() {
            Some(Begun { length, come, .. }) => {
                format!("the stream ended within a message: {come} of its {length} bytes came")
            }
            None => "the stream ended within the prefix of a message".to_owned(),
        }))
    }
}

impl Begun {
    /// Whether what its reader reserves is little, or has mostly come.
    fn may_be_read(&self) -> bool {
        self.length <= SMALL || self.come >= self.length / 2
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.small.is_empty()
    }

    fn push(&mut self, data: Bytes) {
        if data.len() < SMALL_FRAME {
            if self.small.len() + data.len() > SMALL_FRAMES {
                self.flush();
            }
            self.small.extend_from_slice(&data);
        } else {
            self.flush();
            self.frames.push_back(data);
        }
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.frames.push_back(std::mem::take(&mut self.small).freeze());
        }
    }

    /// Lets everything be read that is held now.
    fn free(&mut self) {
        self.flush();
        self.free = self.frames.len();
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.free == 0 {
            return None;
        }
        self.free -= 1;
        let next = self.frames.pop_front();
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
        next
    }
}

impl<B> Body for Gathered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        loop {
            if let Some(data) = this.held.next() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if this.failed {
                return Poll::Ready(None);
            }
            if let Some(length) = this.over {
                this.failed = true;
                let limit = this.scan.limit();
                return Poll::Ready(Some(Err(Status::resource_exhausted(format!(
                    // The words are grpc-go's.
                    "grpc: received message larger than max ({length} vs. {limit})"
                ))
                .into())));
            }
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                // What is held can never be a message, and its reader would reserve what never comes.
                None => {
                    let cut_short = this.cut_short(None);
                    this.failed = cut_short.is_some();
                    return Poll::Ready(cut_short.map(|status| Err(status.into())));
                }
            };
            match frame.into_data() {
                Ok(data) => {
                    if let Some(data) = this.take(data) {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                }
                Err(frame) => {
                    let cut_short = this.cut_short(frame.trailers_ref());
                    this.failed = cut_short.is_some();
                    return Poll::Ready(Some(cut_short.map_or(Ok(frame), |status| Err(status.into()))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over.is_none() && self.held.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.held.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}

/// The longest message without a limit: what protocol buffers, and with them go-plugin, can have.
const LARGEST: u64 = 1 << 31;

/// A message of this length is read as it comes: it fits the buffer that tonic makes for each call anyway.
const SMALL: u32 = 8 << 10;

/// A frame that is copied rather than kept.
const SMALL_FRAME: usize = 2 << 10;

/// How much of small frames is put together.
const SMALL_FRAMES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;
    use crate::http2::scan::message;

    type Source = StreamBody<Frames>;

    /// Frames that are there, or, when they are used up, the end or silence.
    struct Frames {
        frames: VecDeque<Frame<Bytes>>,
        ends: bool,
    }

    impl futures_core::Stream for Frames {
        type Item = Result<Frame<Bytes>, Status>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            match self.frames.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None if self.ends => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn body(frames: impl IntoIterator<Item = Frame<Bytes>>, ends: bool) -> Gathered<Source> {
        let frames = frames.into_iter().collect();
        Gathered::new(StreamBody::new(Frames { frames, ends }), None)
    }

    fn data(bytes: &[u8]) -> Frame<Bytes> {
        Frame::data(Bytes::copy_from_slice(bytes))
    }

    /// What can be read without more coming in, and the end of it.
    fn read(body: &mut Gathered<Source>) -> (Vec<Bytes>, Option<Status>) {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut all = Vec::new();
        loop {
            match Pin::new(&mut *body).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => all.push(data),
                    Err(_) => return (all, None),
                },
                Poll::Ready(Some(Err(error))) => return (all, Some(Status::from_error(error))),
                Poll::Ready(None) | Poll::Pending => return (all, None),
            }
        }
    }

    fn trailers(code: &str) -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().expect("a value"));
        Frame::trailers(trailers)
    }

    #[test]
    fn what_is_announced_is_not_passed_on_before_half_of_it_has_come() {
        let whole = message(100_000);
        for cut in [6, 20_000, 49_000] {
            assert!(read(&mut body([data(&whole[..cut])], false)).0.is_empty(), "{cut}");
        }
        let (passed, _) = read(&mut body([data(&whole[..20_000]), data(&whole[20_000..60_000])], false));
        assert_eq!(passed.concat(), whole[..60_000]);
    }

    #[test]
    fn messages_before_one_that_is_held_are_not_held() {
        let bytes = [message(3), message(40), message(100_000)[..50].to_vec()].concat();
        let (passed, _) = read(&mut body([data(&bytes)], false));
        assert_eq!(passed.concat(), bytes[..5 + 3 + 5 + 40]);
    }

    #[test]
    fn the_end_of_one_large_message_frees_it_where_the_next_begins() {
        let large = message(100_000);
        let frames = [&large[..7], &[&large[7..], &large[..7]].concat()];
        let (passed, _) = read(&mut body(frames.map(data), false));
        assert_eq!(passed.concat(), large);
    }

    #[test]
    fn a_whole_message_passes_without_a_copy() {
        let frame = Bytes::from(message(200_000));
        let (passed, _) = read(&mut body([Frame::data(frame.clone())], false));
        assert_eq!(passed[0].as_ptr(), frame.as_ptr());
    }

    #[test]
    fn frames_that_were_held_are_not_copied_and_small_ones_are_few() {
        let whole = Bytes::from(message(1 << 20));
        let frames =
            (0..whole.len()).step_by(1 << 14).map(|at| whole.slice(at..whole.len().min(at + (1 << 14))));
        let (passed, _) = read(&mut body(frames.map(Frame::data), false));
        assert_eq!(passed[0].as_ptr(), whole.as_ptr());
        assert_eq!(passed.concat(), whole);

        let mut small = body(whole[..600_000].chunks(10).map(data), false);
        let (passed, _) = read(&mut small);
        assert_eq!(passed.concat(), whole[..600_000]);
        assert!(passed[0].len() > 60_000);
    }

    #[test]
    fn an_end_within_a_message_reserves_nothing_and_is_said() {
        for announced in [[0, 0xff, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff], [0, 1, 0, 0]] {
            let bytes = [&[0][..], &announced, &[1]].concat();
            let (passed, error) = read(&mut body([data(&bytes)], true));
            assert!(passed.is_empty());
            let error = error.expect("an error");
            assert!(error.code() == Code::Internal && error.message().contains("1 of its"), "{error:?}");
            let (passed, error) = read(&mut body([data(&bytes), trailers("0")], true));
            assert!(passed.is_empty());
            assert_eq!(error.expect("an error").code(), Code::Internal);
            // The peer says why.
            let (passed, error) = read(&mut body([data(&bytes), trailers("14")], true));
            assert!(passed.is_empty() && error.is_none());
        }
    }

    #[test]
    fn what_no_message_may_have_is_refused_at_once() {
        let (passed, error) = read(&mut body([data(&[0, 0xff, 0xff, 0xff, 0xff, 1])], false));
        assert!(passed.is_empty());
        assert_eq!(error.expect("an error").code(), Code::ResourceExhausted);
    }

    #[test]
    fn a_limit_holds_and_what_stands_before_is_read() {
        let bytes = [message(3), message(30), message(31)].concat();
        for chunk in [1, 4, 7, 1000] {
            let frames = bytes.chunks(chunk).map(data).collect();
            let mut body = Gathered::new(StreamBody::new(Frames { frames, ends: true }), Some(30));
            let (passed, error) = read(&mut body);
            let passed = passed.concat();
            assert!(passed.len() >= 43 && bytes.starts_with(&passed), "{chunk}");
            let error = error.expect("an error");
            assert_eq!(error.code(), Code::ResourceExhausted);
            assert_eq!(error.message(), "grpc: received message larger than max (31 vs. 30)");
        }
    }

    #[tokio::test]
    async fn what_is_no_grpc_passes_as_it_is() {
        let text = b"AAAAAAAAAAAA as base64 of something".repeat(10);
        let body = body(text.chunks(7).map(data), true);
        assert_eq!(body.collect().await.expect("no error").to_bytes(), text);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_reordered(
            lengths in prop::collection::vec(prop_oneof![0_usize..40, 8000_usize..40_000], 1..6),
            chunks in prop::collection::vec(prop_oneof![1_usize..9, 1_usize..20_000], 1..30),
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let (mut frames, mut rest) = (Vec::new(), &bytes[..]);
            for chunk in chunks.iter().cycle() {
                let (now, later) = rest.split_at((*chunk).min(rest.len()));
                frames.push(data(now));
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let (passed, error) = read(&mut body(frames, true));
            prop_assert!(error.is_none());
            prop_assert_eq!(passed.concat(), bytes);
        }
    }
}
