//! Closing a connection so that its peer can read to the end what was sent.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A stream that is closed for writing first, and for reading when the peer has hung up too.
///
/// Whoever writes to a connection that is closed is told so at once, and gives up with it what has come and has not been
/// read yet. HTTP/2 peers write while they read. So the last words of a plugin would be lost on a host that is slow to hear
/// them.
#[derive(Debug)]
pub(crate) struct Lingering<S> {
    io: S,
    /// Whether the peer has been told that nothing more comes.
    told: bool,
    /// Runs out for a peer that does not hang up.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    pub(crate) fn new(io: S) -> Self {
        Self { io, told: false, patience: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
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
        let this = self.get_mut();
        if !this.told {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
            this.told = true;
        }
        let patience = this.patience.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        loop {
            if patience.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut unheard = [MaybeUninit::uninit(); 4096];
            let mut unheard = ReadBuf::uninit(&mut unheard);
            match ready!(Pin::new(&mut this.io).poll_read(cx, &mut unheard)) {
                Ok(()) if !unheard.filled().is_empty() => {}
                // It has hung up, in whatever way.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// How long a peer may take to hang up. One that listens needs a moment; one that is stopped must not hold up an end.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
        time::Instant,
    };

    use super::*;

    #[tokio::test]
    async fn a_peer_that_writes_while_it_reads_hears_the_last_word() {
        for _ in 0..50 {
            let (ours, mut theirs) = UnixStream::pair().expect("a pair");
            let closing = tokio::spawn(async move {
                let mut ours = Lingering::new(ours);
                ours.write_all(&[7; 100_000]).await.expect("there is room, or a reader");
                ours.shutdown().await.expect("closed");
            });
            let mut heard = vec![0; 1000];
            loop {
                theirs.write_all(b"go on").await.expect("it is not closed before everything was read");
                match theirs.read(&mut heard).await.expect("readable") {
                    0 => break,
                    _ => tokio::task::yield_now().await,
                }
            }
            drop(theirs);
            closing.await.expect("no panic");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_hang_up_is_not_waited_for_long() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"unheard").await.expect("there is room");
        let begun = Instant::now();
        Lingering::new(ours).shutdown().await.expect("closed");
        assert_eq!(begun.elapsed(), PATIENCE);
        assert_eq!(theirs.read(&mut [0]).await.expect("readable"), 0);
    }
}
