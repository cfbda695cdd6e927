//! One stream of a session, as a byte stream.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::shared::Shared;
use crate::state::Read;

/// One stream of a [`Session`](crate::Session): an ordered byte stream in both directions.
///
/// `AsyncWriteExt::shutdown` finishes this side's half. The peer's half can still be read. When the shutdown is done,
/// all written bytes have been handed to the operating system. A flush does not wait for that: written bytes leave as
/// soon as the connection takes them.
///
/// # Dropping a stream
/// - After a shutdown, or after the peer's half was read to its end, the stream ends without loss. All written bytes
///   still reach the peer. Bytes that the peer still sends are discarded. The stream is reset if the peer has not
///   finished after five minutes, or sends more than half a window.
/// - Otherwise the stream is reset at once, and the peer loses the bytes that it has not read.
///
/// When the session ends, bytes that have arrived can still be read. Then reads fail, unless the peer had finished the
/// stream.
pub struct Stream {
    id: u32,
    shared: Arc<Shared>,
    /// Bytes taken from the session that have not been read.
    current: Bytes,
}

impl Stream {
    pub(crate) fn new(id: u32, shared: Arc<Shared>) -> Self {
        Self { id, shared, current: Bytes::new() }
    }

    /// The stream's id on the wire: odd if the yamux client opened the stream, even if the server did.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Takes the next bytes from the session. Returns false at the end of the stream.
    fn poll_fill(&mut self, cx: &Context<'_>) -> Poll<io::Result<bool>> {
        let read = self.shared.change(|inner| {
            let read = inner.state.read(self.id);
            if let Ok(Read::Nothing) = read
                && let Some(stream) = inner.streams.get_mut(&self.id)
            {
                stream.reader = Some(cx.waker().clone());
            }
            read
        })?;
        match read {
            Read::Data(data) => {
                self.current = data;
                Poll::Ready(Ok(true))
            }
            Read::End => Poll::Ready(Ok(false)),
            Read::Nothing => Poll::Pending,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.current.is_empty() && !ready!(self.poll_fill(cx))? {
            return Poll::Ready(Ok(()));
        }
        let take = self.current.len().min(buffer.remaining());
        buffer.put_slice(&self.current[..take]);
        if take == self.current.len() {
            // Frees the memory now and not at the next read.
            self.current = Bytes::new();
        } else {
            self.current.advance(take);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let written = self.shared.change(|inner| {
            let written = inner.state.write(self.id, buffers);
            if let Ok(0) = written
                && let Some(stream) = inner.streams.get_mut(&self.id)
            {
                stream.writer = Some(cx.waker().clone());
            }
            written
        })?;
        if written == 0 { Poll::Pending } else { Poll::Ready(Ok(written)) }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.change(|inner| {
            inner.state.finish(self.id)?;
            if inner.state.fin(self.id).is_some_and(|fin| fin <= inner.control_written) {
                return Poll::Ready(Ok(()));
            }
            if inner.state.is_aborted()
                && let Some(reason) = inner.state.reason()
            {
                return Poll::Ready(Err(reason.to_io()));
            }
            inner.wake_closer(cx.waker());
            Poll::Pending
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let now = Instant::now().into_std();
        self.shared.change(|inner| {
            inner.streams.remove(&self.id);
            inner.state.detach(self.id, self.current.is_empty(), now);
        });
        self.shared.wake_driver();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}
