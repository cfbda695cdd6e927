//! Frames that are written to the connection in one call.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

use crate::frame::HEADER_LEN;
use crate::shared::Shared;
use crate::state::Frame;

/// Frames that are being written.
#[derive(Default)]
pub(crate) struct Batch {
    /// The frames, for a connection that writes several buffers at once.
    frames: VecDeque<Frame>,
    /// How many bytes of the first frame have been written.
    offset: usize,
    /// The frames copied together, for any other connection.
    flat: BytesMut,
    /// The number of the last frame without data in the batch, until the batch has been written.
    control: Option<u64>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.control.is_none()
    }

    pub(crate) fn is_written(&self) -> bool {
        self.frames.is_empty() && self.flat.is_empty()
    }

    /// Takes the next frames. Returns false if there is no frame.
    pub(crate) fn fill(&mut self, shared: &Shared, vectored: bool) -> bool {
        let control = shared.drive(|inner| {
            let mut bytes = 0;
            while bytes < BATCH_BYTES
                && self.frames.len() < BATCH_FRAMES
                && let Some(frame) = inner.state.next_frame()
            {
                bytes += HEADER_LEN + frame.payload.len();
                self.frames.push_back(frame);
            }
            inner.state.control_taken()
        });
        if self.frames.is_empty() {
            return false;
        }
        if !vectored {
            for frame in self.frames.drain(..) {
                self.flat.extend_from_slice(&frame.header);
                self.flat.extend_from_slice(&frame.payload);
            }
        }
        self.control = Some(control);
        true
    }

    /// Writes once.
    pub(crate) fn poll_write<T: AsyncWrite>(
        &mut self,
        connection: Pin<&mut T>,
        cx: &mut Context<'_>,
    ) -> io::Result<Poll<()>> {
        let written = if self.flat.is_empty() {
            let mut slices = [IoSlice::new(&[]); 2 * BATCH_FRAMES];
            let mut count = 0;
            let mut skip = self.offset;
            for frame in &self.frames {
                for part in [&frame.header[..], &frame.payload[..]] {
                    let skipped = skip.min(part.len());
                    skip -= skipped;
                    if skipped < part.len() {
                        slices[count] = IoSlice::new(&part[skipped..]);
                        count += 1;
                    }
                }
            }
            connection.poll_write_vectored(cx, &slices[..count])?
        } else {
            connection.poll_write(cx, &self.flat)?
        };
        match written {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(0) => Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(bytes) => {
                self.advance(bytes);
                Ok(Poll::Ready(()))
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        if !self.flat.is_empty() {
            self.flat.advance(bytes);
            return;
        }
        self.offset += bytes;
        while let Some(frame) = self.frames.front()
            && self.offset >= HEADER_LEN + frame.payload.len()
        {
            self.offset -= HEADER_LEN + frame.payload.len();
            self.frames.pop_front();
        }
    }

    /// Records that the batch has been written and flushed.
    pub(crate) fn finish(&mut self, shared: &Shared) {
        if let Some(control) = self.control.take() {
            let mut inner = shared.lock();
            if inner.control_written != control {
                inner.control_written = control;
                let closers = std::mem::take(&mut inner.closers);
                drop(inner);
                shared.written.notify_waiters();
                closers.into_iter().for_each(Waker::wake);
            }
        }
    }
}

/// How many bytes are written at once. The last frame of a batch may exceed it.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_FRAMES: usize = 64;
