//! Incoming bodies whose readers use memory for bytes that have arrived, and not for bytes that were announced.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::message_scan::{MessageScan, PartialMessage, TooLong};

/// An incoming gRPC body that is safe for decoders that reserve the announced length of a message, as tonic's decoders do:
/// `response.map(|body| IncomingBody::new(body, limit))`.
///
/// The bytes of a message above 8 KiB are held back until half of the message has arrived. So five bytes that announce
/// 4 GiB cost five bytes. Held frames are passed on without a copy and freed as they are read, so no message is in
/// memory twice. A message within one frame passes unchanged.
///
/// Held frames count as read: HTTP/2's window is granted again for them.
///
/// # Errors
/// The reader receives the errors of the body, and these as a [`Status`] within the error:
/// - RESOURCE_EXHAUSTED, in grpc-go's words, for a message above the limit. The messages before it are read first.
/// - INTERNAL if the body ends within a message and the peer has sent no status for that.
#[derive(Debug)]
pub struct IncomingBody<B> {
    body: B,
    scan: MessageScan,
    /// Frames that wait for the rest of their message, or to be read.
    held: Held,
    /// The length of a message above the limit. The error follows the messages before it.
    too_long: Option<u32>,
    /// Whether an error has been returned. Nothing follows it.
    failed: bool,
}

/// Frames in the order of their arrival.
#[derive(Debug, Default)]
struct Held {
    frames: VecDeque<Bytes>,
    /// The last frames, if they are small. They are copied together, because each would keep the whole buffer into
    /// which it was read.
    small: BytesMut,
    /// How many of the first frames may be read.
    free: usize,
}

impl<B> IncomingBody<B> {
    /// Wraps a body. A message may have at most `limit` bytes on the wire, before decompression. Without a limit it may
    /// have 2 GiB, the maximum of protocol buffers.
    #[must_use]
    pub fn new(body: B, limit: Option<u64>) -> Self {
        Self {
            body,
            scan: MessageScan::new(limit.unwrap_or(LARGEST)),
            held: Held::default(),
            too_long: None,
            failed: false,
        }
    }

    /// The body that is wrapped.
    pub(crate) fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// Takes a frame and returns the part of it that may be read now.
    fn take(&mut self, mut data: Bytes) -> Option<Bytes> {
        match self.scan.take(&data) {
            Ok(()) => {}
            Err(TooLong { start, length }) => {
                self.too_long = Some(length);
                data.truncate(start);
                if data.is_empty() && self.held.is_empty() {
                    return None;
                }
            }
        }
        let held_from = match self.scan.partial() {
            Some(partial) if self.too_long.is_none() && !partial.may_be_read() => Some(partial.start),
            _ => None,
        };
        match held_from {
            None if self.held.is_empty() => Some(data),
            None => {
                self.held.push(data);
                self.held.free();
                None
            }
            // The whole frame belongs to a message that is held already, or begins a message.
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

    /// Returns the status for a body that ends within a message, unless its trailers have an error.
    fn cut_short(&self, trailers: Option<&HeaderMap>) -> Option<Status> {
        let failed = |trailers: &HeaderMap| trailers.get("grpc-status").is_some_and(|code| code != "0");
        if !self.scan.is_within() || trailers.is_some_and(failed) {
            return None;
        }
        Some(Status::internal(match self.scan.partial() {
            Some(PartialMessage { length, arrived, .. }) => {
                format!("the stream ended within a message: {arrived} of its {length} bytes arrived")
            }
            None => "the stream ended within the prefix of a message".to_owned(),
        }))
    }
}

impl PartialMessage {
    /// Whether the reader reserves little memory, or half of the message has arrived.
    fn may_be_read(&self) -> bool {
        self.length <= SMALL || self.arrived >= self.length / 2
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

    /// Allows everything that is held now to be read.
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

impl<B> Body for IncomingBody<B>
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
            if let Some(length) = this.too_long {
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
                // The held bytes are not passed on: their reader would reserve memory for bytes that do not arrive.
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
        self.too_long.is_none() && self.held.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.held.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}

/// The longest message without a limit: the maximum of protocol buffers, and so of go-plugin.
const LARGEST: u64 = 1 << 31;

/// A message up to this length is read as it arrives. It fits into the buffer that tonic makes for each call anyway.
const SMALL: u32 = 8 << 10;

/// Frames below this length are copied.
const SMALL_FRAME: usize = 2 << 10;

/// How many bytes of small frames are copied together.
const SMALL_FRAMES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;
    use crate::call::message_scan::message;

    type Source = StreamBody<Frames>;

    /// Frames that have arrived. After them the stream ends or stays pending.
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

    fn body(frames: impl IntoIterator<Item = Frame<Bytes>>, ends: bool) -> IncomingBody<Source> {
        let frames = frames.into_iter().collect();
        IncomingBody::new(StreamBody::new(Frames { frames, ends }), None)
    }

    fn data(bytes: &[u8]) -> Frame<Bytes> {
        Frame::data(Bytes::copy_from_slice(bytes))
    }

    /// Reads all frames that are ready, and the error after them.
    fn read(body: &mut IncomingBody<Source>) -> (Vec<Bytes>, Option<Status>) {
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
    fn a_message_is_passed_on_when_half_of_it_has_arrived() {
        let whole = message(100_000);
        for cut in [6, 20_000, 49_000] {
            assert!(read(&mut body([data(&whole[..cut])], false)).0.is_empty(), "{cut}");
        }
        let (passed, _) = read(&mut body([data(&whole[..20_000]), data(&whole[20_000..60_000])], false));
        assert_eq!(passed.concat(), whole[..60_000]);
    }

    #[test]
    fn messages_before_a_held_message_pass() {
        let bytes = [message(3), message(40), message(100_000)[..50].to_vec()].concat();
        let (passed, _) = read(&mut body([data(&bytes)], false));
        assert_eq!(passed.concat(), bytes[..5 + 3 + 5 + 40]);
    }

    #[test]
    fn a_frame_that_ends_a_large_message_and_begins_another_passes_the_first() {
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
    fn large_held_frames_are_not_copied_and_small_frames_are_merged() {
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
    fn an_end_within_a_message_is_an_error_and_reserves_nothing() {
        for announced in [[0, 0xff, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff], [0, 1, 0, 0]] {
            let bytes = [&[0][..], &announced, &[1]].concat();
            let (passed, error) = read(&mut body([data(&bytes)], true));
            assert!(passed.is_empty());
            let error = error.expect("an error");
            assert!(error.code() == Code::Internal && error.message().contains("1 of its"), "{error:?}");
            let (passed, error) = read(&mut body([data(&bytes), trailers("0")], true));
            assert!(passed.is_empty());
            assert_eq!(error.expect("an error").code(), Code::Internal);
            // The peer has sent the reason.
            let (passed, error) = read(&mut body([data(&bytes), trailers("14")], true));
            assert!(passed.is_empty() && error.is_none());
        }
    }

    #[test]
    fn a_message_above_the_maximum_is_refused_at_once() {
        let (passed, error) = read(&mut body([data(&[0, 0xff, 0xff, 0xff, 0xff, 1])], false));
        assert!(passed.is_empty());
        assert_eq!(error.expect("an error").code(), Code::ResourceExhausted);
    }

    #[test]
    fn a_message_above_the_limit_is_refused_after_the_messages_before_it() {
        let bytes = [message(3), message(30), message(31)].concat();
        for chunk in [1, 4, 7, 1000] {
            let frames = bytes.chunks(chunk).map(data).collect();
            let mut body = IncomingBody::new(StreamBody::new(Frames { frames, ends: true }), Some(30));
            let (passed, error) = read(&mut body);
            let passed = passed.concat();
            assert!(passed.len() >= 43 && bytes.starts_with(&passed), "{chunk}");
            let error = error.expect("an error");
            assert_eq!(error.code(), Code::ResourceExhausted);
            assert_eq!(error.message(), "grpc: received message larger than max (31 vs. 30)");
        }
    }

    #[tokio::test]
    async fn a_body_that_is_not_grpc_passes_unchanged() {
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
