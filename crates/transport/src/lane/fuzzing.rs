//! Any bytes from a peer, on both sides of a connection.

use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, uri::PathAndQuery};

use super::{
    core::{Core, Role},
    frame::{self, Hello},
    limits::Limits,
};
use crate::frames::HeaderLimit;

/// Lets a side receive these bytes in pieces. Between the pieces it reads, responds, sends and drops calls, as the first byte of each
/// piece says.
///
/// # Panics
/// If the side keeps more than its limits allow.
#[cfg_attr(not(feature = "fuzzing"), expect(unreachable_pub, reason = "the fuzz targets use it"))]
pub fn receive(client: bool, pieces: &[&[u8]]) {
    let limits =
        Limits { call: 4096, connection: 8192, max_frame: 2048, max_headers: HeaderLimit::new(1024) };
    let role = if client { Role::Client } else { Role::Server };
    let mut core = Core::new(role, limits.hello(), None);
    let mut input = BytesMut::new();
    let mut hello = Core::new(role, limits.hello(), None);
    // The peer's own limits are those of this side, so that calls are possible.
    let _ = hello.output.take_all().map(|bytes| input.extend_from_slice(&bytes));
    let cx = Context::from_waker(Waker::noop());
    let mut known: Vec<u32> = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        if core.may_read() && core.receive(&mut input).is_err() {
            core.end(super::LaneError::Protocol("a fault"));
            break;
        }
        while let Some(accepted) = core.accepted.pop_front() {
            known.push(accepted.call);
        }
        let Some((action, _)) = piece.split_first() else { continue };
        let call = known.get(usize::from(action >> 4)).copied().unwrap_or(1);
        match action & 0xf {
            0 if client => {
                let path = PathAndQuery::from_static("/a.B/C");
                known.extend(core.open(&path, &HeaderMap::new(), false));
            }
            0 => core.respond(call, StatusCode::OK, &HeaderMap::new(), false),
            1 => drop(core.poll_data(call, &cx)),
            2 => drop(core.send_data(call, Bytes::from(vec![7; 3000]), false)),
            3 if !client => core.send_trailers(call, HeaderMap::new()),
            3 => drop(core.poll_response(call, &cx)),
            4 => core.drop_handle(call),
            5 => core.discard(call),
            6 => drop(core.poll_room(call, &cx)),
            7 => core.close(),
            8 => drop(core.take_trailers(call)),
            9 => {
                core.output.take_all();
                core.written();
                core.pump_queue();
            }
            _ => {}
        }
        assert!(
            input.len() <= 8192 + pieces.iter().map(|piece| piece.len()).max().unwrap_or(0),
            "unread bytes"
        );
        let kept: usize = core.calls.values().flat_map(|call| &call.incoming.data).map(Bytes::len).sum();
        assert!(kept <= 8192, "{kept} bytes are kept");
    }
}

/// Reads frames until the bytes end or are no frame. Each frame that is written again is read as the same frame.
///
/// # Panics
/// If it is not.
#[cfg_attr(not(feature = "fuzzing"), expect(dead_code, unreachable_pub, reason = "the fuzz targets use it"))]
pub fn read_frames(bytes: &[u8]) {
    let own = Hello { max_frame: 1 << 16, max_headers: 1 << 16, ..Hello::default() };
    let mut input = BytesMut::from(bytes);
    while let Ok(Some(frame)) = frame::decode(&mut input, &own) {
        let mut written = BytesMut::new();
        frame::encode(&frame, &mut written);
        let again = frame::decode(&mut written, &Hello { max_frame: u32::MAX, max_headers: u32::MAX, ..own });
        assert_eq!(again.ok().flatten().as_ref(), Some(&frame));
        assert!(written.is_empty(), "a frame is written as one frame");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lane::frame::Frame;

    proptest! {
        #[test]
        fn no_bytes_make_a_side_panic_or_grow(
            client in any::<bool>(),
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..40),
        ) {
            receive(client, &pieces.iter().map(|piece| &piece[..]).collect::<Vec<_>>());
        }

        #[test]
        fn no_frames_make_a_side_panic_or_grow(
            client in any::<bool>(),
            frames in prop::collection::vec((0_u8..8, 1_u32..6, any::<bool>(), 0_usize..1500, any::<u32>()), 0..80),
        ) {
            let pieces: Vec<Vec<u8>> = frames
                .into_iter()
                .map(|(kind, call, end, length, number)| {
                    let headers = HeaderMap::new();
                    let frame = match kind {
                        0 => Frame::Open { call, end, path: PathAndQuery::from_static("/a.B/C"), headers },
                        1 => Frame::Headers { call, end, status: StatusCode::OK, headers },
                        2 | 3 => Frame::Data { call, end, data: vec![1; length].into() },
                        4 => Frame::Trailers { call, headers },
                        5 => Frame::Reset { call, code: number % 16 },
                        6 => Frame::Credit { call, amount: number },
                        _ => Frame::Ping(number.into()),
                    };
                    let mut bytes = BytesMut::new();
                    frame::encode(&frame, &mut bytes);
                    bytes.to_vec()
                })
                .collect();
            receive(client, &pieces.iter().map(|piece| &piece[..]).collect::<Vec<_>>());
        }
    }
}
