//! Byte streams that pass their calls on to another stream.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What [`Inspected`] does with the bytes that pass.
pub(crate) trait Inspect {
    /// Called after each read. `before` is the length of the filled part before it; the bytes behind it may be changed.
    fn on_read(&mut self, _outcome: &io::Result<()>, _buf: &mut ReadBuf<'_>, _before: usize) {}

    /// Called with bytes that have been written.
    fn on_write(&mut self, _bytes: &[u8]) {}

    /// Shuts down writing.
    fn poll_shutdown<S>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Pin::new(io).poll_shutdown(cx)
    }
}

/// A stream whose bytes pass an [`Inspect`].
#[derive(Debug)]
pub(crate) struct Inspected<S, I> {
    io: S,
    inspect: I,
}

impl<S, I> Inspected<S, I> {
    pub(crate) fn new(io: S, inspect: I) -> Self {
        Self { io, inspect }
    }

    pub(crate) fn into_inner(self) -> S {
        self.io
    }
}

impl<S: AsyncRead + Unpin, I: Inspect + Unpin> AsyncRead for Inspected<S, I> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let outcome = ready!(Pin::new(&mut this.io).poll_read(cx, buf));
        this.inspect.on_read(&outcome, buf, before);
        Poll::Ready(outcome)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, I: Inspect + Unpin> AsyncWrite for Inspected<S, I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.inspect.on_write(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))?;
        let mut left = written;
        for buf in bufs {
            let part = left.min(buf.len());
            this.inspect.on_write(&buf[..part]);
            left -= part;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.inspect.poll_shutdown(&mut this.io, cx)
    }
}

/// A stream whose first bytes were read before.
#[derive(Debug)]
pub(crate) struct Replayed<S> {
    first: Bytes,
    io: S,
}

impl<S> Replayed<S> {
    pub(crate) fn new(io: S, first: Bytes) -> Self {
        Self { first, io }
    }

    pub(crate) fn inner(&self) -> &S {
        &self.io
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Replayed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let length = this.first.len().min(buf.remaining());
        buf.put_slice(&this.first.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Replayed<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// Implements `AsyncRead` and `AsyncWrite` for a type that has one of several streams, by the enum of these.
macro_rules! dispatch_io {
    ($type:ty, $this:ident => $place:expr, $enum:ident { $($variant:ident),+ }) => {
        impl tokio::io::AsyncRead for $type {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let $this = self.get_mut();
                match &mut $place { $($enum::$variant(io) => std::pin::Pin::new(io).poll_read(cx, buf),)+ }
            }
        }

        impl tokio::io::AsyncWrite for $type {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let $this = self.get_mut();
                match &mut $place { $($enum::$variant(io) => std::pin::Pin::new(io).poll_write(cx, buf),)+ }
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let $this = self.get_mut();
                match &mut $place {
                    $($enum::$variant(io) => std::pin::Pin::new(io).poll_write_vectored(cx, bufs),)+
                }
            }

            fn is_write_vectored(&self) -> bool {
                let $this = self;
                match &$place { $($enum::$variant(io) => io.is_write_vectored(),)+ }
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let $this = self.get_mut();
                match &mut $place { $($enum::$variant(io) => std::pin::Pin::new(io).poll_flush(cx),)+ }
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                let $this = self.get_mut();
                match &mut $place { $($enum::$variant(io) => std::pin::Pin::new(io).poll_shutdown(cx),)+ }
            }
        }
    };
}
pub(crate) use dispatch_io;
