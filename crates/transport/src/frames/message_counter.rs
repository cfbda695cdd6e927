//! Counts gRPC messages in a stream of HTTP/2 frames.

use std::collections::BTreeMap;

use super::layout::{DATA, FRAME_HEADER, HEADERS, PADDED, PREFACE, payload_length};

/// Counts the gRPC messages in one direction of a connection, without keeping or copying them.
///
/// It follows HTTP/2's frames by their lengths, and gRPC's messages in DATA frames by theirs. It takes any bytes: the
/// count means nothing for bytes that are not HTTP/2 or not gRPC.
#[derive(Debug, Default)]
pub(crate) struct MessageCounter {
    /// How many bytes of the client's preface are still to arrive.
    preface: usize,
    header: [u8; FRAME_HEADER],
    header_length: usize,
    frame: Frame,
    /// The messages that have arrived in part, by their streams.
    partial: BTreeMap<u32, Message>,
    /// Whether headers have arrived.
    headers: bool,
}

/// The frame whose payload is arriving.
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
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Counts the direction that begins with the client's preface.
    pub(crate) fn after_preface() -> Self {
        Self { preface: PREFACE, ..Self::default() }
    }

    /// Whether headers have passed. In the direction from a server, this means that it has responded to a call.
    pub(crate) fn has_headers(&self) -> bool {
        self.headers
    }

    /// Takes the next bytes and returns how many messages end in them.
    pub(crate) fn count(&mut self, mut bytes: &[u8]) -> u64 {
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
            let [_, _, _, kind, flags, stream @ ..] = self.header;
            self.headers |= kind == HEADERS;
            self.frame = Frame {
                left: payload_length(self.header),
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
        let mut message = self.partial.remove(&stream).unwrap_or_default();
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
            if self.partial.len() >= MAX_PARTIAL {
                // A stream that was reset within a message leaves the message here, most likely the oldest stream.
                self.partial.pop_first();
            }
            self.partial.insert(stream, message);
        }
        ended
    }
}

/// Fills the rest of `buffer` from `bytes` and returns how many bytes were taken.
fn fill(buffer: &mut [u8], length: &mut usize, bytes: &[u8]) -> usize {
    let taken = (buffer.len() - *length).min(bytes.len());
    buffer[*length..*length + taken].copy_from_slice(&bytes[..taken]);
    *length += taken;
    taken
}

const MESSAGE_PREFIX: usize = 5;

/// How many messages may be in parts at once. More are hardly ever in flight, and each costs some bytes.
const MAX_PARTIAL: usize = 1024;

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

    /// Returns seven messages on three streams: whole, empty, two in a frame, one in three frames, padded, interleaved.
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
    fn reset_streams_use_little_memory() {
        let mut counter = MessageCounter::new();
        for stream in 0..5000 {
            counter.count(&frame(DATA, 0, stream, &message(100)[..7]));
        }
        assert_eq!(counter.partial.len(), MAX_PARTIAL);
    }

    proptest! {
        #[test]
        fn the_cut_of_the_bytes_does_not_matter(cuts in prop::collection::vec(1_usize..60, 1..200)) {
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
            prop_assert!(counter.partial.is_empty() && counter.has_headers());
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
