//! Waiting awake for the next bytes of the peer.
//!
//! A peer on another core often answers sooner than this core falls asleep and wakes again. A stream that waits awake keeps the runtime
//! from sleeping for some microseconds after a write. In the meantime the runtime asks the system for events, and runs all tasks that are
//! ready. Decision 30 has the reasons and the figures.

mod choice;

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

use choice::{Choice, LONGEST};

/// A stream that waits awake where that is faster.
#[derive(Debug)]
pub(crate) struct Awake<S> {
    io: S,
    choice: Choice,
    /// The task that waits for bytes.
    reader: Option<Waker>,
    /// The time of the first write since the last read.
    written: Option<Instant>,
    /// How long a wait is awake.
    limit: Duration,
}

impl<S> Awake<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, choice: Choice::default(), reader: None, written: None, limit: LONGEST }
    }

    fn on_write(&mut self) {
        if self.written.is_some() {
            return;
        }
        self.written = Some(Instant::now());
        if self.choice.is_awake()
            && let Some(reader) = &self.reader
        {
            wake_after_events(reader);
        }
    }

    fn on_read(&mut self) {
        if let Some(written) = self.written.take() {
            self.choice.add(written.elapsed());
        }
    }

    fn on_wait(&mut self, cx: &Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            None => self.reader = Some(cx.waker().clone()),
        }
        if self.choice.is_awake() && self.written.is_some_and(|written| written.elapsed() < self.limit) {
            wake_after_events(cx.waker());
        }
    }
}

/// Wakes a task when the runtime has run the tasks that are ready and has asked the system for events. The runtime does not sleep.
fn wake_after_events(waker: &Waker) {
    // The first poll is all that a yield needs.
    let _ = pin!(yield_now()).poll(&mut Context::from_waker(waker));
}

impl<S: AsyncRead + Unpin> AsyncRead for Awake<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if read.is_ready() {
            this.on_read();
        } else {
            this.on_wait(cx);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Awake<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf))?;
        this.on_write();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))?;
        this.on_write();
        Poll::Ready(Ok(written))
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::timeout,
    };

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// A stream that wakes no task. It has a byte when it has been polled for one a number of times.
    struct Silent {
        polls: u32,
        ready_after: u32,
    }

    impl AsyncRead for Silent {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.polls += 1;
            if self.polls < self.ready_after {
                return Poll::Pending;
            }
            self.polls = 0;
            buf.put_slice(&[0]);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Silent {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A stream that waits awake the next time.
    async fn awake() -> Awake<Silent> {
        let mut stream = Awake::new(Silent { polls: 0, ready_after: 1 });
        while !stream.choice.is_awake() {
            stream.write_u8(0).await.unwrap();
            stream.read_u8().await.unwrap();
        }
        stream
    }

    #[tokio::test]
    async fn a_wait_awake_needs_no_event() {
        let mut stream = awake().await;
        stream.io.ready_after = 3;
        // However busy the machine is.
        stream.limit = TIMEOUT;
        stream.write_u8(0).await.unwrap();
        timeout(TIMEOUT, stream.read_u8()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_wait_asleep_needs_an_event() {
        let mut stream = Awake::new(Silent { polls: 0, ready_after: 3 });
        stream.write_u8(0).await.unwrap();
        assert!(timeout(Duration::from_millis(20), stream.read_u8()).await.is_err());
        // The timeout polls once before it waits, and once at its end.
        assert!(stream.io.polls <= 2, "{}", stream.io.polls);
    }

    #[tokio::test]
    async fn a_wait_without_a_write_is_asleep() {
        let mut stream = awake().await;
        stream.io.ready_after = 3;
        assert!(timeout(Duration::from_millis(20), stream.read_u8()).await.is_err());
        assert!(stream.io.polls <= 2, "{}", stream.io.polls);
    }

    #[tokio::test]
    async fn a_long_wait_falls_asleep() {
        let mut stream = awake().await;
        stream.io.ready_after = u32::MAX;
        stream.write_u8(0).await.unwrap();
        assert!(timeout(Duration::from_millis(20), stream.read_u8()).await.is_err());
        let polls = stream.io.polls;
        assert!(timeout(Duration::from_millis(20), stream.read_u8()).await.is_err());
        assert!(stream.io.polls <= polls + 2, "{} after {polls}", stream.io.polls);
    }
}
