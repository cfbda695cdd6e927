//! Sessions over in-memory connections.

mod connections;

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::{Config, Error, ProtocolError, Session, Stream};

const MIB: usize = 1024 * 1024;

/// Far more than any of these tests needs. A test that hangs fails after it.
const TIMEOUT: Duration = Duration::from_secs(60);

fn pair() -> (Session, Session) {
    pair_with(Config::default(), 64 * 1024)
}

fn pair_with(config: Config, pipe: usize) -> (Session, Session) {
    let (near, far) = duplex(pipe);
    (Session::client(near, config.clone()), Session::server(far, config))
}

async fn stream_pair(client: &Session, server: &Session) -> (Stream, Stream) {
    let (opened, accepted) = tokio::join!(client.open(), server.accept());
    (opened.unwrap(), accepted.unwrap())
}

/// Returns bytes that differ between streams and between positions.
fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|index| (index.wrapping_mul(31) ^ (index >> 8) ^ seed.wrapping_mul(97)) as u8).collect()
}

/// A peer whose frames a test writes and reads itself.
struct RawPeer(DuplexStream);

impl RawPeer {
    fn against_client(config: Config) -> (Session, Self) {
        let (near, far) = duplex(MIB);
        (Session::client(near, config), Self(far))
    }

    fn against_server(config: Config) -> (Session, Self) {
        let (near, far) = duplex(MIB);
        (Session::server(near, config), Self(far))
    }

    async fn expect(&mut self, hex: &str) {
        let mut bytes = vec![0; hex.len() / 2];
        timeout(TIMEOUT, self.0.read_exact(&mut bytes)).await.expect("the frame arrives in time").unwrap();
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, hex);
    }

    async fn expect_end(&mut self) {
        let mut rest = Vec::new();
        timeout(TIMEOUT, self.0.read_to_end(&mut rest)).await.expect("the end arrives in time").unwrap();
        assert_eq!(rest, b"");
    }

    async fn send(&mut self, hex: &str) {
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        self.0.write_all(&bytes).await.unwrap();
    }
}

#[tokio::test]
async fn a_whole_stream_uses_the_frames_of_a_go_peer() {
    let (client, mut peer) = RawPeer::against_client(Config::default());
    let mut stream = client.open().await.unwrap();
    peer.expect("000100010000000100000000").await;
    peer.send("000100020000000100000000").await;
    stream.write_all(b"123456789").await.unwrap();
    peer.expect("000000000000000100000009").await;
    peer.expect("313233343536373839").await;
    peer.send("00000000000000010000000268690001000400000001").await;
    peer.send("00000000").await;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hi");
    stream.shutdown().await.unwrap();
    peer.expect("000100040000000100000000").await;
    stream.shutdown().await.unwrap();
    drop(stream);
    peer.send("000200010000000000000007").await;
    peer.expect("000200020000000000000007").await;
    let (closed, ()) = tokio::join!(timeout(TIMEOUT, client.close()), async {
        peer.expect("000300000000000000000000").await;
        peer.expect_end().await;
        drop(peer);
    });
    closed.unwrap();
}

#[tokio::test]
async fn a_larger_window_is_announced_with_the_first_frame() {
    let config = Config::default().with_receive_window(MIB as u32);
    let (client, mut peer) = RawPeer::against_client(config.clone());
    let _stream = client.open().await.unwrap();
    peer.expect("0001000100000001000c0000").await;

    let (server, mut peer) = RawPeer::against_server(config);
    peer.send("000100010000000100000000").await;
    let _stream = server.accept().await.unwrap();
    peer.expect("0001000200000001000c0000").await;
}

#[tokio::test]
async fn a_peer_that_does_not_speak_yamux_receives_a_go_away() {
    let (server, mut peer) = RawPeer::against_server(Config::default());
    peer.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    peer.expect("000300000000000000000001").await;
    peer.expect_end().await;
    drop(peer);
    assert!(matches!(server.closed().await, Error::Protocol(ProtocolError::UnknownVersion(80))));
    assert!(server.accept().await.is_none());
    assert!(server.open().await.is_err());
}

#[tokio::test]
async fn after_a_go_away_streams_go_on_and_no_stream_is_opened() {
    let (client, mut peer) = RawPeer::against_client(Config::default());
    let mut stream = client.open().await.unwrap();
    peer.send("000300000000000000000000").await;
    peer.send("00000000000000010000000131").await;
    assert_eq!(stream.read_u8().await.unwrap(), b'1');
    assert!(matches!(client.open().await, Err(Error::PeerGoingAway)));
    assert!(!client.is_closed());
}

#[tokio::test]
async fn an_unanswered_ping_ends_the_session() {
    let config = Config::default().with_keepalive(Duration::from_millis(5), Duration::from_secs(1));
    let (client, mut peer) = RawPeer::against_client(config);
    for question in 0..20 {
        peer.expect(&format!("0002000100000000{question:08x}")).await;
        assert!(!client.is_closed());
        peer.send(&format!("0002000200000000{question:08x}")).await;
    }
    let reason = timeout(TIMEOUT, client.closed()).await.expect("the silence was noticed");
    assert!(matches!(reason, Error::KeepaliveTimeout(_)));
    peer.expect("000200010000000000000014").await;
    peer.expect_end().await;
}

#[tokio::test]
async fn a_dropped_stream_that_the_peer_never_finishes_is_reset() {
    // The driver's timer is set to the ping in an hour and must be set to an earlier time.
    let mut config = Config::default().with_keepalive(Duration::from_secs(3600), Duration::from_secs(10));
    config.linger = Duration::from_millis(20);
    let (client, mut peer) = RawPeer::against_client(config);
    let mut stream = client.open().await.unwrap();
    peer.expect("000100010000000100000000").await;
    stream.shutdown().await.unwrap();
    peer.expect("000100040000000100000000").await;
    let start = Instant::now();
    drop(stream);
    peer.expect("000100080000000100000000").await;
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_carry_a_mebibyte_each_way_at_once() {
    const STREAMS: usize = 64;
    let (client, server) = pair();
    let serving = tokio::spawn(async move {
        let mut echoes = JoinSet::new();
        for _ in 0..STREAMS {
            let stream = server.accept().await.unwrap();
            echoes.spawn(async move {
                let (mut from, mut to) = tokio::io::split(stream);
                tokio::io::copy(&mut from, &mut to).await.unwrap();
                to.shutdown().await.unwrap();
            });
        }
        echoes.join_all().await;
        server
    });
    let mut clients = JoinSet::new();
    for seed in 0..STREAMS {
        let stream = client.open().await.unwrap();
        assert_eq!(stream.id() as usize, 2 * seed + 1);
        clients.spawn(async move {
            let data = pattern(seed, MIB);
            let (mut from, mut to) = tokio::io::split(stream);
            let mut received = Vec::new();
            let (sent, read) = tokio::join!(
                async {
                    to.write_all(&data).await?;
                    to.shutdown().await
                },
                from.read_to_end(&mut received)
            );
            sent.unwrap();
            read.unwrap();
            assert!(received == data, "stream {seed} was damaged");
        });
    }
    timeout(TIMEOUT, clients.join_all()).await.expect("all streams finished in time");
    let server = serving.await.unwrap();
    let (a, b) = tokio::join!(client.closed(), server.close());
    let ((), Error::PeerClosed) = (b, a) else { panic!("the client saw another end") };
}

#[tokio::test]
async fn both_sides_open_streams_at_once() {
    let (client, server) = pair();
    let mut held = Vec::new();
    for round in 0..100 {
        let (opened, accepted) = stream_pair(&client, &server).await;
        assert_eq!((opened.id(), accepted.id()), (2 * round + 1, 2 * round + 1));
        let (opened, accepted) = (stream_pair(&server, &client).await, (opened, accepted));
        assert_eq!(opened.0.id(), 2 * round + 2);
        held.push((opened, accepted));
    }
}

#[tokio::test]
async fn a_blocked_reader_holds_up_only_its_own_stream() {
    let (client, server) = pair();
    let (mut stuck, _unread) = stream_pair(&client, &server).await;
    let (mut free, mut reader) = stream_pair(&client, &server).await;
    let filling = tokio::spawn(async move { stuck.write_all(&vec![0; 4 * MIB]).await });
    let data = pattern(1, 4 * MIB);
    let mut received = vec![0; data.len()];
    let (sent, read) =
        tokio::join!(free.write_all(&data), timeout(TIMEOUT, reader.read_exact(&mut received)));
    sent.unwrap();
    read.expect("the other stream did not wait").unwrap();
    assert!(received == data);
    assert!(!filling.is_finished());
    filling.abort();
}

#[tokio::test]
async fn reading_goes_on_while_a_write_is_blocked() {
    // The pipe holds at most one frame. This end of it is not read before the peer's data has been read.
    let (near, mut far) = duplex(1024);
    let client = Session::client(near, Config::default());
    let mut stream = client.open().await.unwrap();
    stream.write_all(&vec![1; 128 * 1024]).await.unwrap();
    far.write_all(b"\0\0\0\0\0\0\0\x01\0\0\0\x02hi").await.unwrap();
    let mut text = [0; 2];
    timeout(TIMEOUT, stream.read_exact(&mut text)).await.expect("the data arrives").unwrap();
    assert_eq!(&text, b"hi");
}

#[tokio::test]
async fn a_shut_down_stream_still_reads() {
    let (client, server) = pair();
    let (mut opened, mut accepted) = stream_pair(&client, &server).await;
    opened.write_all(b"question").await.unwrap();
    opened.shutdown().await.unwrap();
    assert_eq!(opened.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let mut text = String::new();
    accepted.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "question");
    accepted.write_all(b"answer").await.unwrap();
    // Everything has been read, so the stream ends without a reset.
    drop(accepted);
    text.clear();
    opened.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "answer");
}

#[tokio::test]
async fn a_stream_dropped_before_its_end_is_reset() {
    let (client, server) = pair();
    let (opened, mut accepted) = stream_pair(&client, &server).await;
    drop(opened);
    assert_eq!(accepted.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(accepted.write(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(!client.is_closed() && !server.is_closed());
}

#[tokio::test]
async fn a_reset_wakes_a_writer_that_waits_for_room() {
    let (client, server) = pair();
    let (mut opened, accepted) = stream_pair(&client, &server).await;
    let writing = tokio::spawn(async move { opened.write_all(&vec![0; 2 * MIB]).await });
    tokio::task::yield_now().await;
    drop(accepted);
    let error = timeout(TIMEOUT, writing).await.expect("the writer is woken").unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn close_sends_written_data_and_ends_all_streams() {
    let (client, server) = pair();
    let (mut opened, mut accepted) = stream_pair(&client, &server).await;
    let (mut unfinished, mut other) = stream_pair(&client, &server).await;
    opened.write_all(&pattern(3, 200_000)).await.unwrap();
    opened.shutdown().await.unwrap();
    unfinished.write_all(b"half").await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.accept().await.is_none() }
    });
    timeout(TIMEOUT, client.close()).await.expect("closing ends");
    assert!(client.is_closed());
    assert!(waiting.await.unwrap());
    assert!(matches!(client.closed().await, Error::Closed));
    assert!(matches!(client.open().await, Err(Error::Closed)));
    assert_eq!(opened.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);

    assert!(matches!(server.closed().await, Error::PeerClosed));
    let mut received = Vec::new();
    accepted.read_to_end(&mut received).await.unwrap();
    assert!(received == pattern(3, 200_000));
    let mut half = [0; 4];
    other.read_exact(&mut half).await.unwrap();
    assert_eq!(&half, b"half");
    assert_eq!(other.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn close_returns_soon_when_the_peer_does_not_read() {
    let (near, _far) = duplex(16);
    let client = Session::client(near, Config::default());
    timeout(TIMEOUT, client.close()).await.expect("closing ends");
}

#[tokio::test]
async fn the_end_of_the_connection_ends_all_streams() {
    let (near, far) = duplex(MIB);
    let client = Session::client(near, Config::default());
    let mut stream = client.open().await.unwrap();
    let opener = tokio::spawn({
        let client = client.clone();
        async move { client.accept().await.is_none() }
    });
    drop(far);
    assert!(matches!(client.closed().await, Error::PeerClosed));
    assert!(opener.await.unwrap());
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(stream.write_all(b"x").await.is_err());
}

#[tokio::test]
async fn the_last_stream_keeps_a_dropped_session_alive() {
    let (client, server) = pair();
    let (mut opened, mut accepted) = stream_pair(&client, &server).await;
    drop(client);
    opened.write_all(b"still here").await.unwrap();
    opened.shutdown().await.unwrap();
    drop(opened);
    let mut text = String::new();
    accepted.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "still here");
    assert!(matches!(timeout(TIMEOUT, server.closed()).await.unwrap(), Error::PeerClosed));
}

#[tokio::test]
async fn a_session_without_handles_refuses_streams_and_ends() {
    let (client, server) = pair();
    let (_opened, accepted) = stream_pair(&client, &server).await;
    let mut waiting = client.open().await.unwrap();
    drop(server);
    assert_eq!(waiting.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let mut refused = client.open().await.unwrap();
    assert_eq!(refused.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    drop(accepted);
    assert!(matches!(timeout(TIMEOUT, client.closed()).await.unwrap(), Error::PeerClosed));
}

#[tokio::test]
async fn open_returns_when_the_frame_is_on_the_wire() {
    // Room for exactly one frame.
    let (near, far) = duplex(12);
    let (client, mut peer) = (Session::client(near, Config::default()), RawPeer(far));
    let _first = client.open().await.unwrap();
    let second = tokio::spawn({
        let client = client.clone();
        async move { client.open().await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!second.is_finished());
    peer.expect("000100010000000100000000").await;
    timeout(TIMEOUT, second).await.expect("there was room again").unwrap().unwrap();
    peer.expect("000100010000000300000000").await;
}

#[tokio::test]
async fn the_last_data_of_a_closing_peer_is_read_although_writes_fail() {
    let (near, mut far) = duplex(MIB);
    let client = Session::client(near, Config::default().with_receive_window(MIB as u32));
    let mut stream = client.open().await.unwrap();
    far.write_all(&[&[0, 0, 0, 0, 0, 0, 0, 1, 0, 9, 0x27, 0xc0][..], &pattern(5, 600_000)].concat())
        .await
        .unwrap();
    drop(far);
    stream.write_all(b"too late").await.unwrap();
    let mut received = vec![0; 600_000];
    stream.read_exact(&mut received).await.unwrap();
    assert!(received == pattern(5, 600_000));
    assert!(matches!(client.closed().await, Error::PeerClosed));
}

#[tokio::test]
async fn open_waits_when_the_peer_acknowledges_nothing() {
    let (client, server) = pair_with(Config::default().with_backlog(2), 64 * 1024);
    let _first = client.open().await.unwrap();
    let _second = client.open().await.unwrap();
    let third = tokio::spawn({
        let client = client.clone();
        async move { client.open().await.map(|stream| stream.id()) }
    });
    tokio::task::yield_now().await;
    assert!(!third.is_finished());
    let _accepted = server.accept().await.unwrap();
    assert_eq!(timeout(TIMEOUT, third).await.expect("there was room again").unwrap().unwrap(), 5);
}

#[tokio::test]
async fn the_end_of_the_runtime_ends_the_session() {
    let (near, _far) = duplex(64);
    let session = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { Session::client(near, Config::default()) })
    })
    .join()
    .unwrap();
    assert!(session.is_closed());
    assert!(matches!(session.closed().await, Error::Closed));
}

#[tokio::test]
async fn a_burst_of_pings_is_answered() {
    let (session, peer) = RawPeer::against_server(Config::default());
    let (mut reader, mut writer) = tokio::io::split(peer.0);
    let pings: u32 = 100_000;
    let asking = async {
        let burst: Vec<u8> =
            (0..pings).flat_map(|value| crate::frame::Header::ping(value).encode()).collect();
        writer.write_all(&burst).await.unwrap();
    };
    let reading = async {
        let mut answers = vec![0; pings as usize * crate::frame::HEADER_LEN];
        reader.read_exact(&mut answers).await.unwrap();
        assert!(answers.ends_with(&(pings - 1).to_be_bytes()));
    };
    timeout(TIMEOUT, async { tokio::join!(asking, reading) }).await.expect("every ping has its answer");
    assert!(!session.is_closed());
}

#[tokio::test]
async fn a_shutdown_is_done_when_everything_has_been_written() {
    // The connection has room for a few bytes only.
    let (client, server) = pair_with(Config::default(), 64);
    let (mut to, mut from) = stream_pair(&client, &server).await;
    let data = pattern(1, 100 * 1024);
    to.write_all(&data).await.unwrap();
    timeout(TIMEOUT, to.shutdown()).await.unwrap().unwrap();
    // All bytes have arrived, except those that the connection holds. This side has nothing left to do.
    let mut received = Vec::new();
    let reading = from.read_to_end(&mut received);
    timeout(TIMEOUT, reading).await.unwrap().unwrap();
    assert_eq!(received, data);

    // A session that ends wakes the waiting tasks.
    let (near, far) = duplex(64);
    let stuck = Session::client(near, Config::default());
    let mut stream = stuck.open().await.unwrap();
    stream.write_all(&data).await.unwrap();
    let closing = async {
        tokio::task::yield_now().await;
        drop(far);
    };
    let (shut_down, ()) = timeout(TIMEOUT, async { tokio::join!(stream.shutdown(), closing) }).await.unwrap();
    shut_down.expect_err("the session has ended");
}

#[tokio::test]
async fn a_closer_does_not_keep_the_session_open() {
    let (client, server) = pair();
    let (stream, _accepted) = stream_pair(&client, &server).await;
    let closer = client.closer();
    drop(client);
    drop(stream);
    // The last stream has been dropped, so the session has ended.
    timeout(TIMEOUT, server.closed()).await.unwrap();
    timeout(TIMEOUT, closer.close()).await.unwrap();

    let (client, server) = pair();
    let (_stream, _accepted) = stream_pair(&client, &server).await;
    timeout(TIMEOUT, client.closer().close()).await.unwrap();
    assert!(client.is_closed());
    timeout(TIMEOUT, server.closed()).await.unwrap();
}
