//! gRPC messages in a stream of HTTP/2 frames.

use std::collections::BTreeMap;

/// Counts the gRPC messages in one direction of a connection, without keeping or copying them.
///
/// It follows HTTP/2's frames by their lengths, and within DATA frames gRPC's messages by theirs. It takes any bytes:
/// what is no HTTP/2 or no gRPC gives a meaningless count, and nothing worse.
#[derive(Debug, Default)]
pub(super) struct MessageCounter {
    /// Bytes of the client's preface that are still to come.
    preface: usize,
    header: [u8; FRAME_HEADER],
    header_length: usize,
    frame: Frame,
    /// The messages of which a part has come, by their streams.
    begun: BTreeMap<u32, Message>,
    /// Whether a call's headers have come.
    headers: bool,
}

/// The frame whose payload is passing.
#[derive(Debug, Default)]
struct Frame {
    left: usize,
    is_data: bool,
    stream: u32,
    /// Whether the payload begins with the length of its padding.
    padding_follows: bool,
    padding: usize,
}

#[derive(Debug, Default)]
struct Message {
    prefix: [u8; MESSAGE_PREFIX],
    prefix_length: usize,
    left: usize,
}

impl MessageCounter {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// For the direction that begins with the client's preface.
    pub(super) fn after_preface() -> Self {
        Self { preface: PREFACE, ..Self::default() }
    }

    /// Whether anything has been said of a call: on the side that opened the connection, whether one was answered.
    pub(super) fn has_headers(&self) -> bool {
        self.headers
    }

    /// Takes the next bytes, and returns how many messages end in them.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut messages = 0;
        while !bytes.is_empty() {
            let taken = if self.preface > 0 {
                let taken = self.preface.min(bytes.len());
                self.preface -= taken;
                taken
            } else if self.frame.left == 0 {
                self.take_header(bytes)
            } else {
                let (taken, ended) = self.take_payload(bytes);
                messages += ended;
                taken
            };
            bytes = &bytes[taken..];
        }
        messages
    }

    fn take_header(&mut self, bytes: &[u8]) -> usize {
        let taken = fill(&mut self.header, &mut self.header_length, bytes);
        if self.header_length == FRAME_HEADER {
            self.header_length = 0;
            let [a, b, c, kind, flags, stream @ ..] = self.header;
            self.headers |= kind == HEADERS;
            self.frame = Frame {
                left: u32::from_be_bytes([0, a, b, c]) as usize,
                is_data: kind == DATA,
                stream: u32::from_be_bytes(stream),
                padding_follows: kind == DATA && flags & PADDED != 0,
                padding: 0,
            };
        }
        taken
    }

    fn take_payload(&mut self, bytes: &[u8]) -> (usize, u64) {
        let frame = &mut self.frame;
        if frame.padding_follows {
            frame.padding_follows = false;
            frame.padding = bytes[0].into();
            frame.left -= 1;
            return (1, 0);
        }
        let data = if frame.is_data { frame.left.saturating_sub(frame.padding) } else { 0 };
        if data == 0 {
            let taken = frame.left.min(bytes.len());
            frame.left -= taken;
            return (taken, 0);
        }
        let taken = data.min(bytes.len());
        frame.left -= taken;
        let stream = frame.stream;
        (taken, self.take_data(stream, &bytes[..taken]))
    }

    fn take_data(&mut self, stream: u32, mut bytes: &[u8]) -> u64 {
        let mut message = self.begun.remove(&stream).unwrap_or_default();
        let mut ended = 0;
        while !bytes.is_empty() {
            let taken = if message.prefix_length < MESSAGE_PREFIX {
                let taken = fill(&mut message.prefix, &mut message.prefix_length, bytes);
                let [_compressed, length @ ..] = message.prefix;
                message.left = u32::from_be_bytes(length) as usize;
                taken
            } else {
                let taken = message.left.min(bytes.len());
                message.left -= taken;
                taken
            };
            bytes = &bytes[taken..];
            if message.prefix_length == MESSAGE_PREFIX && message.left == 0 {
                ended += 1;
                message = Message::default();
            }
        }
        if message.prefix_length > 0 {
            if self.begun.len() >= MOST_BEGUN {
                // Streams that were reset within a message leave it here; the oldest stream is the likeliest.
                self.begun.pop_first();
            }
            self.begun.insert(stream, message);
        }
        ended
    }
}

/// Fills what is left of `buffer` from `bytes`, and returns how much that took.
fn fill(buffer: &mut [u8], length: &mut usize, bytes: &[u8]) -> usize {
    let taken = (buffer.len() - *length).min(bytes.len());
    buffer[*length..*length + taken].copy_from_slice(&bytes[..taken]);
    *length += taken;
    taken
}

const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const MESSAGE_PREFIX: usize = 5;

/// More messages are hardly ever under way at once, and each takes some bytes.
const MOST_BEGUN: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut frame = vec![a, b, c, kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn message(length: usize) -> Vec<u8> {
        let mut message = vec![0];
        message.extend(u32::try_from(length).expect("short").to_be_bytes());
        message.resize(MESSAGE_PREFIX + length, b'm');
        message
    }

    /// Seven messages on three streams: whole, empty, two in a frame, one in three frames, padded, interleaved.
    fn traffic() -> Vec<u8> {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let long = message(100);
        bytes.extend(frame(4, 0, 0, &[0; 12]));
        bytes.extend(frame(1, 4, 1, b"headers"));
        bytes.extend(frame(DATA, 0, 1, &message(3)));
        bytes.extend(frame(DATA, 0, 1, &[message(0), message(7)].concat()));
        bytes.extend(frame(DATA, 0, 3, &long[..2]));
        bytes.extend(frame(DATA, 0, 5, &message(1)));
        bytes.extend(frame(DATA, 0, 3, &long[2..50]));
        bytes.extend(frame(8, 0, 0, &[0; 4]));
        bytes.extend(frame(DATA, 0, 3, &long[50..]));
        bytes.extend(frame(DATA, PADDED, 5, &[&[4][..], &message(9), &[0; 4]].concat()));
        bytes.extend(frame(DATA, 1, 5, &message(2)));
        bytes.extend(frame(DATA, 1, 3, &[]));
        bytes
    }

    #[test]
    fn a_reset_stream_leaves_little_behind() {
        let mut counter = MessageCounter::new();
        for stream in 0..5000 {
            counter.count(&frame(DATA, 0, stream, &message(100)[..7]));
        }
        assert_eq!(counter.begun.len(), MOST_BEGUN);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_does_not_matter(cuts in prop::collection::vec(1_usize..60, 1..200)) {
            let traffic = traffic();
            let (mut counter, mut rest, mut messages) = (MessageCounter::after_preface(), &traffic[..], 0);
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                messages += counter.count(now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(messages, 7);
            prop_assert!(counter.begun.is_empty() && counter.has_headers());
        }

        #[test]
        fn any_bytes_are_taken(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let mut counter = MessageCounter::new();
            for chunk in chunks {
                counter.count(&chunk);
            }
        }
    }
}
