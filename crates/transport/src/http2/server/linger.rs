//! Closes a connection so that its peer can read everything that was sent.

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

use crate::io::Inspect;

/// Closes a stream for writing first, and for reading when the peer has closed its side.
///
/// A peer that writes to a closed connection gets an error at once, and then drops the bytes that it has received and
/// not read. HTTP/2 peers write while they read. So a slow host would lose the last messages of a plugin.
#[derive(Debug, Default)]
pub(super) struct Linger {
    /// Whether writing has been shut down.
    shut_down: bool,
    /// Fires if the peer does not close its side in time.
    timeout: Option<Pin<Box<Sleep>>>,
}

impl Inspect for Linger {
    fn poll_shutdown<S>(&mut self, io: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if !self.shut_down {
            ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
            self.shut_down = true;
        }
        let timeout = self.timeout.get_or_insert_with(|| Box::pin(sleep(LINGER_TIMEOUT)));
        loop {
            if timeout.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut unread = [MaybeUninit::uninit(); 4096];
            let mut unread = ReadBuf::uninit(&mut unread);
            match ready!(Pin::new(&mut *io).poll_read(cx, &mut unread)) {
                Ok(()) if !unread.filled().is_empty() => {}
                // The peer has closed its side, or the connection broke.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// How long a peer may take to close its side. A peer that reads needs a moment. A stopped peer must not delay the shutdown.
const LINGER_TIMEOUT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        time::Instant,
    };

    use super::*;
    use crate::io::Inspected;

    #[tokio::test]
    async fn a_peer_that_writes_while_it_reads_receives_the_last_bytes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        for _ in 0..50 {
            let (ours, theirs) = tokio::join!(listener.accept(), TcpStream::connect(address));
            let ((ours, _), mut theirs) = (ours.expect("accepted"), theirs.expect("connected"));
            let closing = tokio::spawn(async move {
                let mut ours = Inspected::new(ours, Linger::default());
                ours.write_all(&[7; 100_000]).await.expect("there is room, or a reader");
                ours.shutdown().await.expect("closed");
            });
            let mut received = vec![0; 1000];
            loop {
                theirs
                    .write_all(b"go on")
                    .await
                    .expect("the connection stays open until everything was read");
                match theirs.read(&mut received).await.expect("readable") {
                    0 => break,
                    _ => tokio::task::yield_now().await,
                }
            }
            drop(theirs);
            closing.await.expect("no panic");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_close_its_side_delays_the_end_briefly() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        theirs.write_all(b"unread").await.expect("there is room");
        let begun = Instant::now();
        Inspected::new(ours, Linger::default()).shutdown().await.expect("closed");
        assert_eq!(begun.elapsed(), LINGER_TIMEOUT);
        assert_eq!(theirs.read(&mut [0]).await.expect("readable"), 0);
    }
}
