//! How a session uses its connection: what it writes and when, and how it ends it.

use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::frame::{Flags, HEADER_LEN, Header, Kind};

/// A connection that takes a few bytes at a time, and sends them only when it is flushed.
struct Reluctant {
    connection: DuplexStream,
    at_once: usize,
    /// Whether it takes several buffers at once.
    vectored: bool,
    unflushed: Vec<u8>,
}

impl Reluctant {
    fn pair(at_once: usize, vectored: bool) -> (Self, Self) {
        let (near, far) = duplex(64);
        let new = |connection| Self { connection, at_once, vectored, unflushed: Vec::new() };
        (new(near), new(far))
    }

    fn take_some(&mut self, buffers: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let before = self.unflushed.len();
        let bytes = buffers.iter().flat_map(|buffer| buffer.iter().copied());
        self.unflushed.extend(bytes.take(self.at_once));
        Poll::Ready(Ok(self.unflushed.len() - before))
    }
}

impl AsyncRead for Reluctant {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Reluctant {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        assert!(!self.vectored, "it takes several buffers at once");
        self.take_some(&[IoSlice::new(buffer)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.vectored, "it takes one buffer at a time");
        self.take_some(buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { connection, unflushed, .. } = &mut *self;
        while !unflushed.is_empty() {
            let written = ready!(Pin::new(&mut *connection).poll_write(cx, unflushed))?;
            unflushed.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_connection_that_takes_few_bytes_at_a_time_carries_them_all() {
    for vectored in [false, true] {
        for (at_once, max_frame, length) in
            [(1, 5, 300), (7, 1000, 10_000), (MIB, 1, 1000), (MIB, 1000, 10_000)]
        {
            let (near, far) = Reluctant::pair(at_once, vectored);
            let config = Config::default().with_max_frame(max_frame);
            let (client, server) = (Session::client(near, config.clone()), Session::server(far, config));
            let carrying = async {
                let (mut opened, mut accepted) = stream_pair(&client, &server).await;
                let mut received = Vec::new();
                opened.write_all(&pattern(1, length)).await.unwrap();
                let (shut_down, read) = tokio::join!(opened.shutdown(), accepted.read_to_end(&mut received));
                shut_down.unwrap();
                read.unwrap();
                assert!(received == pattern(1, length));
            };
            timeout(TIMEOUT, carrying).await.expect("all bytes arrive");
        }
    }
}

/// Reads frames until one is not data. Returns that frame, and how many bytes of data came before it.
async fn skip_data(connection: &mut DuplexStream) -> (Header, usize) {
    let mut skipped = 0;
    loop {
        let mut header = [0; HEADER_LEN];
        connection.read_exact(&mut header).await.unwrap();
        let header = Header::decode(header).unwrap();
        if header.kind != Kind::Data {
            return (header, skipped);
        }
        let mut payload = vec![0; header.length as usize];
        connection.read_exact(&mut payload).await.unwrap();
        skipped += payload.len();
    }
}

#[tokio::test]
async fn a_reply_to_a_ping_waits_for_little_data() {
    let (near, mut far) = duplex(1024);
    let client = Session::client(near, Config::default());
    let mut streams = Vec::new();
    for id in (1..40).step_by(2) {
        let (stream, opening) = tokio::join!(client.open(), skip_data(&mut far));
        assert_eq!(opening, (Header::window_update(Flags::SYN, id, 0), 0));
        streams.push(stream.unwrap());
    }
    for stream in &mut streams {
        stream.write_all(&[0; 250_000]).await.unwrap();
    }
    // The first frame has begun to arrive, so its batch is on its way before the ping.
    assert_eq!(far.read_u32().await.unwrap(), 0);
    far.read_exact(&mut [0; HEADER_LEN - 4 + 65_536]).await.unwrap();
    far.write_all(&Header::ping(7).encode()).await.unwrap();
    let (reply, waited) = timeout(TIMEOUT, skip_data(&mut far)).await.expect("the reply comes");
    assert_eq!(reply, Header::pong(7));
    assert!(waited <= 512 * 1024, "it came after {waited} of 5 000 000 bytes");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_closes_writes_everything_and_waits_for_the_end_of_the_peer() {
    let (near, mut far) = duplex(64);
    let client = Session::client(near, Config::default());
    let mut streams = Vec::new();
    for _ in 0..3 {
        let (stream, _) = tokio::join!(client.open(), skip_data(&mut far));
        streams.push(stream.unwrap());
    }
    for stream in &mut streams {
        stream.write_all(&[0; 200_000]).await.unwrap();
    }
    let start = Instant::now();
    let mut closing = tokio::spawn(async move { client.close().await });
    let (last, data) = skip_data(&mut far).await;
    assert_eq!((last, data), (Header::go_away(0), 600_000));
    assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "nothing follows");
    // The clock stands still while there is anything to do.
    assert_eq!(start.elapsed(), Duration::ZERO);
    timeout(Duration::from_millis(900), &mut closing).await.expect_err("the peer may still send");
    drop(far);
    closing.await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(900));
}

#[tokio::test]
async fn streams_that_wait_are_counted() {
    let (client, server) = pair();
    let (mut opened, mut accepted) = stream_pair(&client, &server).await;
    assert_eq!(server.waiting(), 0);
    let _held = [client.open_soon().await.unwrap(), client.open_soon().await.unwrap()];
    opened.write_all(b"x").await.unwrap();
    accepted.read_u8().await.unwrap();
    assert_eq!(server.waiting(), 2);
    assert_eq!(server.try_accept().map(|stream| stream.id()), Some(3));
    assert_eq!(server.waiting(), 1);
}

#[tokio::test]
async fn a_session_without_handles_and_streams_ends() {
    // No ping of its own makes the session look at its users.
    let (client, mut peer) = RawPeer::against_client(Config::default().without_keepalive());
    peer.send("000200010000000000000007").await;
    peer.expect("000200020000000000000007").await;
    drop(client);
    peer.expect("000300000000000000000000").await;
    peer.expect_end().await;
}
