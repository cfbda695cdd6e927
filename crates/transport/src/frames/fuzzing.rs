//! What tests and the fuzz targets use of the frames: any bytes, in pieces of any size.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, ReadBuf};

use super::{header_blocks::HeaderBlocks, header_limit::HeaderLimit, message_counter::MessageCounter};

/// Returns what is read of these bytes when they arrive `step` at a time and are read `room` at a time. Frames of headers are merged.
///
/// # Panics
/// If a read fails.
#[cfg_attr(not(feature = "fuzzing"), expect(unreachable_pub, reason = "the fuzz targets use it"))]
pub fn merged(bytes: &[u8], step: usize, room: usize) -> Vec<u8> {
    let mut io = Pieces(bytes.chunks(step.max(1)).map(<[u8]>::to_vec).collect());
    let mut blocks = HeaderBlocks::client(&mut io, 16, HeaderLimit::new(100));
    let (mut all, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
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

/// Counts the messages in frames that come `step` bytes at a time.
#[cfg_attr(not(feature = "fuzzing"), expect(dead_code, unreachable_pub, reason = "the fuzz targets use it"))]
pub fn count_messages(bytes: &[u8], step: usize) -> u64 {
    let mut counter = MessageCounter::new();
    bytes.chunks(step.max(1)).map(|piece| counter.count(piece)).sum()
}

/// A stream whose reads return a piece each.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.0.pop_front() {
            let rest = piece.split_off(piece.len().min(buf.remaining()));
            buf.put_slice(&piece);
            if !rest.is_empty() {
                self.0.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}
