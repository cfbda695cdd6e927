//! The first bytes of a connection, which say whether it carries HTTP/2 or the lane.

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncReadExt as _;

use super::linger::Linger;
use crate::{
    awake::Awake,
    http2::settings::{Lane, Settings},
    io::Inspected,
    lane::{self, Beginning, LaneError, LaneServer, MAGIC},
    meter::LaneCounts,
    tls::SecureStream,
};

/// A connection whose first bytes have arrived.
pub(super) enum Begun {
    /// Anything but the lane.
    Http2(SecureStream),
    Lane(LaneServer),
    /// The peer has closed the connection before it sent anything.
    HungUp,
}

/// Waits for the first bytes of a connection, unless this side accepts only HTTP/2.
///
/// There is no timeout: the caller gives up.
pub(super) async fn beginning(stream: SecureStream, settings: &Settings) -> Result<Begun, LaneError> {
    if settings.lane == Lane::Off {
        return Ok(Begun::Http2(stream));
    }
    let (mut stream, rewrite) = stream.unchanged();
    let mut first = BytesMut::with_capacity(FIRST);
    loop {
        match stream.read_buf(&mut first).await? {
            0 if first.is_empty() => return Ok(Begun::HungUp),
            0 => break,
            _ => {}
        }
        match lane::beginning(&first) {
            Beginning::Unknown => {}
            Beginning::Other => break,
            Beginning::Lane => {
                first.advance(MAGIC.len());
                let counts = settings.meter.as_ref().map(|meter| {
                    let counts = LaneCounts::new(meter);
                    counts.bytes_received(MAGIC.len());
                    counts
                });
                let stream = Inspected::new(Awake::new(stream), Linger::default());
                return Ok(Begun::Lane(LaneServer::new(stream, first, settings.lane_limits(), counts)?));
            }
        }
    }
    Ok(Begun::Http2(stream.replaying(first.freeze(), rewrite)))
}

/// How many bytes are read at once.
const FIRST: usize = 4 << 10;
