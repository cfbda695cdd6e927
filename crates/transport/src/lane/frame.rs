//! The frames of the lane, as values and as bytes.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, uri::PathAndQuery};

use super::{headers, malformed::Malformed};

/// The length of a frame's header: kind, flags, the number of the call, and the length of the payload.
pub(super) const FRAME_HEADER: usize = 10;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// The first frame of each side.
    Hello(Hello),
    /// Begins a call.
    Open {
        call: u32,
        end: bool,
        path: PathAndQuery,
        headers: HeaderMap,
    },
    /// Begins a response.
    Headers {
        call: u32,
        end: bool,
        status: StatusCode,
        headers: HeaderMap,
    },
    /// A part of a body.
    Data {
        call: u32,
        end: bool,
        data: Bytes,
    },
    /// Ends a body.
    Trailers {
        call: u32,
        headers: HeaderMap,
    },
    /// Ends a call in both directions.
    Reset {
        call: u32,
        code: u32,
    },
    /// Allows more of a body. Call 0 stands for the connection.
    Credit {
        call: u32,
        amount: u32,
    },
    /// Later calls than `last` are not processed.
    GoAway {
        last: u32,
        code: u32,
    },
    Ping(u64),
    Pong(u64),
}

/// The limits that a side announces in its first frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// The credit of each call.
    pub(super) call_credit: u32,
    /// The credit of the connection.
    pub(super) connection_credit: u32,
    /// The longest payload of a frame with data.
    pub(super) max_frame: u32,
    /// The longest payload of a frame with headers.
    pub(super) max_headers: u32,
    /// How many calls may be open at once.
    pub(super) max_calls: u32,
}

const HELLO: u8 = 0;
const OPEN: u8 = 1;
const HEADERS: u8 = 2;
const DATA: u8 = 3;
const TRAILERS: u8 = 4;
const RESET: u8 = 5;
const CREDIT: u8 = 6;
const GO_AWAY: u8 = 7;
const PING: u8 = 8;
const PONG: u8 = 9;

/// The sender's body ends with this frame.
const END: u8 = 1;

/// The length of the payload of [`Frame::Hello`].
const HELLO_LENGTH: usize = 20;

/// Takes the next frame from the front of `buffer`. `None` if it has not arrived completely. `own` are the limits that this
/// side has announced.
pub(super) fn decode(buffer: &mut BytesMut, own: &Hello) -> Result<Option<Frame>, Malformed> {
    let Some((header, _)) = buffer.split_first_chunk::<FRAME_HEADER>() else { return Ok(None) };
    let [kind, flags, a, b, c, d, e, f, g, h] = *header;
    let (call, length) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    let end = match (flags, kind) {
        (0, _) => false,
        (END, OPEN | HEADERS | DATA) => true,
        _ => return Err(Malformed::Flags),
    };
    let (fixed, limit) = match kind {
        HELLO => (Some(HELLO_LENGTH), 0),
        OPEN | HEADERS | TRAILERS => (None, own.max_headers),
        DATA => (None, own.max_frame),
        RESET | CREDIT => (Some(4), 0),
        GO_AWAY | PING | PONG => (Some(8), 0),
        _ => return Err(Malformed::Kind),
    };
    let of_connection = matches!(kind, HELLO | GO_AWAY | PING | PONG);
    if kind != CREDIT && (call == 0) != of_connection {
        return Err(Malformed::Call);
    }
    match fixed {
        Some(fixed) if length as usize != fixed => return Err(Malformed::Length),
        None if length > limit => return Err(Malformed::TooLong),
        _ => {}
    }
    let whole = FRAME_HEADER + length as usize;
    if buffer.len() < whole {
        buffer.reserve(whole - buffer.len());
        return Ok(None);
    }
    buffer.advance(FRAME_HEADER);
    let mut payload = buffer.split_to(length as usize).freeze();
    Ok(Some(match kind {
        HELLO => Frame::Hello(Hello {
            call_credit: payload.get_u32(),
            connection_credit: payload.get_u32(),
            max_frame: payload.get_u32(),
            max_headers: payload.get_u32(),
            max_calls: payload.get_u32(),
        }),
        OPEN => {
            let length = headers::take_length(&mut payload)?;
            let path = payload.split_to(length);
            let path = PathAndQuery::from_maybe_shared(path).map_err(|_| Malformed::Path)?;
            Frame::Open { call, end, path, headers: headers::decode(payload)? }
        }
        HEADERS => {
            if payload.len() < 2 {
                return Err(Malformed::Length);
            }
            let status = StatusCode::from_u16(payload.get_u16()).map_err(|_| Malformed::Status)?;
            Frame::Headers { call, end, status, headers: headers::decode(payload)? }
        }
        DATA => Frame::Data { call, end, data: payload },
        TRAILERS => Frame::Trailers { call, headers: headers::decode(payload)? },
        RESET => Frame::Reset { call, code: payload.get_u32() },
        CREDIT => Frame::Credit { call, amount: payload.get_u32() },
        GO_AWAY => Frame::GoAway { last: payload.get_u32(), code: payload.get_u32() },
        PING => Frame::Ping(payload.get_u64()),
        _ => Frame::Pong(payload.get_u64()),
    }))
}

/// Writes a frame.
pub(super) fn encode(frame: &Frame, out: &mut BytesMut) {
    match frame {
        Frame::Hello(hello) => {
            put_header(out, HELLO, false, 0, HELLO_LENGTH);
            for number in [
                hello.call_credit,
                hello.connection_credit,
                hello.max_frame,
                hello.max_headers,
                hello.max_calls,
            ] {
                out.put_u32(number);
            }
        }
        Frame::Open { call, end, path, headers } => put_open(out, *call, *end, path, headers),
        Frame::Headers { call, end, status, headers } => put_headers(out, *call, *end, *status, headers),
        Frame::Data { call, end, data } => {
            put_data_header(out, *call, *end, data.len());
            out.put_slice(data);
        }
        Frame::Trailers { call, headers } => put_trailers(out, *call, headers),
        Frame::Reset { call, code } => {
            put_header(out, RESET, false, *call, 4);
            out.put_u32(*code);
        }
        Frame::Credit { call, amount } => {
            put_header(out, CREDIT, false, *call, 4);
            out.put_u32(*amount);
        }
        Frame::GoAway { last, code } => {
            put_header(out, GO_AWAY, false, 0, 8);
            out.put_u32(*last);
            out.put_u32(*code);
        }
        Frame::Ping(number) => {
            put_header(out, PING, false, 0, 8);
            out.put_u64(*number);
        }
        Frame::Pong(number) => {
            put_header(out, PONG, false, 0, 8);
            out.put_u64(*number);
        }
    }
}

/// Writes the frame that begins a call.
pub(super) fn put_open(out: &mut BytesMut, call: u32, end: bool, path: &PathAndQuery, headers: &HeaderMap) {
    with_length(out, OPEN, end, call, |out| {
        headers::put_text(out, path.as_str().as_bytes());
        headers::encode(out, headers);
    });
}

/// Writes the frame that begins a response.
pub(super) fn put_headers(out: &mut BytesMut, call: u32, end: bool, status: StatusCode, headers: &HeaderMap) {
    with_length(out, HEADERS, end, call, |out| {
        out.put_u16(status.as_u16());
        headers::encode(out, headers);
    });
}

/// Writes the frame that ends a response.
pub(super) fn put_trailers(out: &mut BytesMut, call: u32, headers: &HeaderMap) {
    with_length(out, TRAILERS, false, call, |out| headers::encode(out, headers));
}

/// Writes the header of a frame with data. The data follows.
pub(super) fn put_data_header(out: &mut BytesMut, call: u32, end: bool, length: usize) {
    put_header(out, DATA, end, call, length);
}

fn put_header(out: &mut BytesMut, kind: u8, end: bool, call: u32, length: usize) {
    out.put_u8(kind);
    out.put_u8(if end { END } else { 0 });
    out.put_u32(call);
    // Frames are never longer: data is cut, and headers are limited.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

/// Writes a frame and then the length of its payload.
fn with_length(out: &mut BytesMut, kind: u8, end: bool, call: u32, payload: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    put_header(out, kind, end, call, 0);
    payload(out);
    let length = u32::try_from(out.len() - start - FRAME_HEADER).unwrap_or(u32::MAX);
    out[start + FRAME_HEADER - 4..start + FRAME_HEADER].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Hello = Hello {
        call_credit: 1 << 16,
        connection_credit: 1 << 20,
        max_frame: 1 << 16,
        max_headers: 1 << 16,
        max_calls: 100,
    };

    fn header_map() -> impl Strategy<Value = HeaderMap> {
        let name = prop_oneof![
            Just("grpc-status".to_owned()),
            Just("content-type".to_owned()),
            "[a-z][a-z0-9-]{0,300}"
        ];
        let value = prop::collection::vec(prop_oneof![Just(b'\t'), 32_u8..=126, 128_u8..=255], 0..50);
        prop::collection::vec((name, value), 0..10).prop_map(|fields| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                let name = HeaderName::try_from(name).expect("a name");
                headers.append(name, HeaderValue::from_bytes(&value).expect("a value"));
            }
            headers
        })
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let call = 1..u32::MAX;
        let data = prop::collection::vec(any::<u8>(), 0..500).prop_map(Bytes::from);
        let path = "/[a-z./]{0,40}".prop_map(|path| PathAndQuery::try_from(path).expect("a path"));
        prop_oneof![
            any::<[u32; 5]>().prop_map(
                |[call_credit, connection_credit, max_frame, max_headers, max_calls]| {
                    Frame::Hello(Hello { call_credit, connection_credit, max_frame, max_headers, max_calls })
                }
            ),
            (call.clone(), any::<bool>(), path, header_map())
                .prop_map(|(call, end, path, headers)| Frame::Open { call, end, path, headers }),
            (call.clone(), any::<bool>(), 100_u16..1000, header_map()).prop_map(
                |(call, end, status, headers)| {
                    let status = StatusCode::from_u16(status).expect("in range");
                    Frame::Headers { call, end, status, headers }
                }
            ),
            (call.clone(), any::<bool>(), data).prop_map(|(call, end, data)| Frame::Data { call, end, data }),
            (call.clone(), header_map()).prop_map(|(call, headers)| Frame::Trailers { call, headers }),
            (call, any::<u32>()).prop_map(|(call, code)| Frame::Reset { call, code }),
            any::<[u32; 2]>().prop_map(|[call, amount]| Frame::Credit { call, amount }),
            any::<[u32; 2]>().prop_map(|[last, code]| Frame::GoAway { last, code }),
            any::<u64>().prop_map(Frame::Ping),
            any::<u64>().prop_map(Frame::Pong),
        ]
    }

    proptest! {
        #[test]
        fn frames_are_read_as_they_were_written(frames in prop::collection::vec(frame(), 0..20), cut in 1_usize..100) {
            let mut bytes = BytesMut::new();
            frames.iter().for_each(|frame| encode(frame, &mut bytes));
            let (mut read, mut arrived) = (Vec::new(), BytesMut::new());
            for piece in bytes.chunks(cut) {
                arrived.extend_from_slice(piece);
                while let Some(frame) = decode(&mut arrived, &LIMITS).expect("well-formed") {
                    read.push(frame);
                }
            }
            prop_assert!(arrived.is_empty());
            prop_assert_eq!(read, frames);
        }

        #[test]
        fn any_bytes_are_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = decode(&mut bytes, &LIMITS) {
                let mut again = BytesMut::new();
                encode(&frame, &mut again);
                prop_assert_eq!(decode(&mut again, &LIMITS), Ok(Some(frame)));
            }
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_by_its_header() {
        let at = |kind: u8, call: u32, length: u32| {
            let mut bytes = BytesMut::from(&[kind, 0][..]);
            bytes.put_u32(call);
            bytes.put_u32(length);
            decode(&mut bytes, &LIMITS)
        };
        assert_eq!(at(DATA, 1, (1 << 16) + 1), Err(Malformed::TooLong));
        assert_eq!(at(OPEN, 1, (1 << 16) + 1), Err(Malformed::TooLong));
        assert_eq!(at(DATA, 1, 1 << 16), Ok(None));
        assert_eq!(at(DATA, 0, 1), Err(Malformed::Call));
        assert_eq!(at(PING, 1, 8), Err(Malformed::Call));
        assert_eq!(at(PING, 0, 9), Err(Malformed::Length));
        assert_eq!(at(10, 0, 0), Err(Malformed::Kind));
        let mut flagged = BytesMut::from(&[DATA, 2, 0, 0, 0, 1, 0, 0, 0, 0][..]);
        assert_eq!(decode(&mut flagged, &LIMITS), Err(Malformed::Flags));
    }
}
