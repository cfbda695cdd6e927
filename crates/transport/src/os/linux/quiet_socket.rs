//! A Unix socket that wakes its process when there is something to read, and not each time the peer has read something.
//!
//! When a peer reads from a Unix socket, Linux reports that there is room to write, whether or not a write waits for
//! room. tokio's stream asks for both kinds of events from its first moment. So each write of a call costs this process
//! a wake-up of its own, in which nothing is done. On TCP such an event comes only after a write that found no room.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, unix::AsyncFd},
    net::{UnixStream, unix::pipe},
    time::{Sleep, sleep},
};

use crate::os::descriptors::async_fd;

/// Takes over the socket of a stream.
///
/// # Errors
/// When the operating system cannot watch the socket.
pub(crate) fn quiet(stream: UnixStream) -> io::Result<QuietSocket> {
    let socket = pipe::Receiver::from_owned_fd_unchecked(stream.into_std()?.into())?;
    Ok(QuietSocket { socket, room: None })
}

/// A connected Unix socket.
#[derive(Debug)]
pub(crate) struct QuietSocket {
    /// The socket, of which only the events for reading are asked for. Reading it is like reading a pipe.
    socket: pipe::Receiver,
    /// Waits for room, after a write that found none.
    room: Option<Room>,
}

/// How a write waits for room.
#[derive(Debug)]
enum Room {
    /// By events, on a duplicate of the descriptor. `found` counts the last writes that found room at once.
    Events { duplicate: AsyncFd<OwnedFd>, found: u8 },
    /// By trying again, because there was no descriptor left for the duplicate.
    Retry(Pin<Box<Sleep>>),
}

impl QuietSocket {
    fn poll_send(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match &mut self.room {
                None => match send(self.socket.as_fd(), bufs) {
                    Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
                        self.room = Some(Room::of(self.socket.as_fd()));
                    }
                    sent => return Poll::Ready(sent),
                },
                Some(Room::Events { duplicate, found }) => {
                    let mut ready = ready!(duplicate.poll_write_ready(cx))?;
                    match ready.try_io(|socket| send(socket.as_fd(), bufs)) {
                        Ok(sent) => {
                            *found += 1;
                            if *found > ENOUGH {
                                self.room = None;
                            }
                            return Poll::Ready(sent);
                        }
                        Err(_full) => *found = 0,
                    }
                }
                Some(Room::Retry(sleep)) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.room = None;
                }
            }
        }
    }
}

impl Room {
    fn of(socket: BorrowedFd<'_>) -> Self {
        let duplicate = socket.try_clone_to_owned();
        match duplicate.and_then(|duplicate| async_fd(duplicate, Interest::WRITABLE)) {
            Ok(duplicate) => Self::Events { duplicate, found: 0 },
            Err(_) => Self::Retry(Box::pin(sleep(RETRY))),
        }
    }
}

fn send(socket: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let send =
        || rustix::net::sendmsg(socket, bufs, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL);
    Ok(rustix::io::retry_on_intr(send)?)
}

/// After so many writes that found room at once, no events are asked for any more.
const ENOUGH: u8 = 64;

/// How long a write waits for room of which no event can be had.
const RETRY: Duration = Duration::from_millis(1);

impl AsyncRead for QuietSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for QuietSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(rustix::net::shutdown(&self.socket, Shutdown::Write)?))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pair() -> (QuietSocket, QuietSocket) {
        let (near, far) = UnixStream::pair().expect("a pair");
        (quiet(near).expect("watched"), quiet(far).expect("watched"))
    }

    #[tokio::test]
    async fn bytes_pass_in_both_directions_whatever_the_room() {
        let (mut near, mut far) = pair();
        let bytes: Vec<u8> = (0..8_000_000_u32).map(|n| (n / 7) as u8).collect();
        let sent = bytes.clone();
        let echoing = tokio::spawn(async move {
            let mut received = Vec::new();
            far.read_to_end(&mut received).await.expect("readable");
            far.write_all(&received).await.expect("there is a reader");
            far.shutdown().await.expect("closed");
        });
        near.write_all(&sent).await.expect("there is a reader");
        assert!(near.room.is_some(), "so many bytes have to wait for room");
        near.shutdown().await.expect("closed");
        let mut received = Vec::new();
        near.read_to_end(&mut received).await.expect("readable");
        assert!(received == bytes);
        echoing.await.expect("no panic");
    }

    #[tokio::test]
    async fn events_for_room_are_asked_for_while_writes_find_none() {
        let (mut near, mut far) = pair();
        near.write_all(b"small").await.expect("there is room");
        assert!(near.room.is_none());
        far.read_exact(&mut [0; 5]).await.expect("readable");
        let large = vec![1; 4_000_000];
        let mut received = vec![0; large.len()];
        let (sent, read) = tokio::join!(near.write_all(&large), far.read_exact(&mut received));
        sent.expect("there is a reader");
        read.expect("readable");
        assert!(near.room.is_some());
        for _ in 0..=ENOUGH {
            near.write_all(b"small").await.expect("there is room");
            far.read_exact(&mut [0; 5]).await.expect("readable");
        }
        assert!(near.room.is_none());
    }

    #[tokio::test]
    async fn a_write_that_waits_without_events_tries_again() {
        let (mut near, mut far) = pair();
        near.room = Some(Room::Retry(Box::pin(sleep(RETRY))));
        near.write_all(b"hello").await.expect("there is room");
        assert!(near.room.is_none());
        far.read_exact(&mut [0; 5]).await.expect("readable");
    }

    #[tokio::test]
    async fn the_end_of_the_peer_ends_reading_and_writing() {
        let (mut near, far) = pair();
        let large = vec![1; 4_000_000];
        let (written, ()) = tokio::join!(near.write_all(&large), async {
            tokio::task::yield_now().await;
            drop(far);
        });
        assert_eq!(written.expect_err("no reader").kind(), io::ErrorKind::BrokenPipe);
        // Bytes that the peer has not read make the end a reset.
        assert_eq!(near.read(&mut [0; 5]).await.unwrap_or_default(), 0);
    }
}
