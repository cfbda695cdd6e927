//! The bytes that a connection has still to write.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// Bytes in the order in which they are written. Small frames are copied together, and large data is not copied.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Before `tail`.
    parts: VecDeque<Bytes>,
    tail: BytesMut,
    length: usize,
}

impl Output {
    /// How many bytes are to be written.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds small frames.
    pub(super) fn put(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let before = self.tail.len();
        write(&mut self.tail);
        self.length += self.tail.len() - before;
    }

    /// Adds data.
    pub(super) fn put_data(&mut self, data: Bytes) {
        if data.len() <= COPIED {
            self.put(|tail| tail.extend_from_slice(&data));
        } else {
            if !self.tail.is_empty() {
                self.parts.push_back(self.tail.split().freeze());
            }
            self.length += data.len();
            self.parts.push_back(data);
        }
    }

    /// Takes everything, as if it had been written.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn take_all(&mut self) -> Option<Bytes> {
        let mut all = BytesMut::new();
        self.parts.drain(..).for_each(|part| all.extend_from_slice(&part));
        all.extend_from_slice(&self.tail);
        self.tail.clear();
        self.length = 0;
        (!all.is_empty()).then(|| all.freeze())
    }

    /// Writes until everything is written or the stream has no room. Returns how many bytes were written with `count`.
    pub(super) fn poll_write<W: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        io: &mut W,
        cx: &mut Context<'_>,
        mut count: impl FnMut(usize),
    ) -> Poll<io::Result<()>> {
        while self.length > 0 {
            let written = if self.parts.is_empty() {
                ready!(Pin::new(&mut *io).poll_write(cx, &self.tail))?
            } else if io.is_write_vectored() {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let parts = self.parts.iter().map(|part| &part[..]).chain([&self.tail[..]]);
                let mut used = 0;
                for (slice, part) in slices.iter_mut().zip(parts) {
                    *slice = IoSlice::new(part);
                    used += 1;
                }
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..used]))?
            } else {
                let first = self.parts.front().map_or(&self.tail[..], |part| part);
                ready!(Pin::new(&mut *io).poll_write(cx, first))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            count(written);
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        self.length -= written;
        while let Some(part) = self.parts.front_mut() {
            if written < part.len() {
                part.advance(written);
                return;
            }
            written -= part.len();
            self.parts.pop_front();
        }
        if written == self.tail.len() && self.tail.capacity() <= KEPT {
            // The buffer is used again from its start.
            self.tail.clear();
        } else {
            self.tail.advance(written);
        }
    }
}

/// Data up to this length is copied beside the frames around it.
const COPIED: usize = 4 << 10;

/// How many parts are written at once.
const SLICES: usize = 32;

/// A larger buffer is freed when it has been written.
const KEPT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn bytes_are_written_in_order() {
        let (mut near, mut far) = tokio::io::duplex(1000);
        let mut output = Output::default();
        let mut expected = Vec::new();
        for (number, length) in [3, 10_000, 5, 7, 4096, 4097, 100_000, 0, 1].into_iter().enumerate() {
            let part = vec![number as u8; length];
            expected.extend_from_slice(&part);
            output.put_data(part.into());
        }
        assert_eq!(output.len(), expected.len());
        let (mut counted, mut read) = (0, vec![0; expected.len()]);
        let writing = poll_fn(|cx| output.poll_write(&mut near, cx, |written| counted += written));
        let (written, read_all) = tokio::join!(writing, far.read_exact(&mut read));
        assert!(written.is_ok() && read_all.is_ok());
        assert_eq!(read, expected);
        assert_eq!(counted, expected.len());
        assert!(output.is_empty());
    }
}
