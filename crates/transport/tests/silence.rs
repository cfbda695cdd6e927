//! Peers that connect and say nothing.

use std::time::Duration;

use rpcplugin_transport::{
    Listen, Security, Services, Stream,
    http2::{self, Serving},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::mpsc,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Streams as a test hands them in.
struct Handed(mpsc::UnboundedReceiver<Stream>);

impl Listen for Handed {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

struct Server {
    streams: mpsc::UnboundedSender<Stream>,
    shutdown: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Server {
    fn start(change: impl FnOnce(&mut Serving)) -> Self {
        let (streams, handed) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let mut serving = Serving::new(Services::new(), Security::Plain, shutdown.clone());
        change(&mut serving);
        let task = AbortOnDropHandle::new(tokio::spawn(http2::serve(Handed(handed), serving)));
        Self { streams, shutdown, task }
    }

    /// A connection of which the server has these bytes from the beginning.
    async fn connect(&self, words: &[u8]) -> DuplexStream {
        let (mut near, far) = tokio::io::duplex(1 << 16);
        near.write_all(words).await.expect("it fits");
        self.streams.send(Stream::other(far)).expect("the server runs");
        near
    }
}

/// Everything that the server says until it hangs up.
async fn until_the_end(mut stream: DuplexStream) -> Vec<u8> {
    let mut said = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("it hangs up").expect("readable");
    said
}

/// Reads until these bytes have come.
async fn until(stream: &mut DuplexStream, words: &[u8]) {
    let mut said = Vec::new();
    let reading = async {
        while !said.windows(words.len()).any(|window| window == words) {
            assert_ne!(stream.read_buf(&mut said).await.expect("readable"), 0, "it hung up after {said:?}");
        }
    };
    timeout(PATIENCE, reading).await.expect("an answer");
}

const PATIENCE: Duration = Duration::from_secs(30);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
const PONG: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0pingpong";

#[tokio::test]
async fn is_heard_for_so_long_before_the_first_words_and_for_ever_after() {
    let server = Server::start(|serving| serving.settings.handshake_timeout = Duration::from_millis(50));
    // A host that connects early and calls late has greeted at once.
    let mut early = server.connect(&[PREFACE, SETTINGS].concat()).await;
    for words in [&b""[..], &PREFACE[..PREFACE.len() - 1]] {
        until_the_end(server.connect(words).await).await;
    }
    early.write_all(PING).await.expect("it is open");
    until(&mut early, PONG).await;
}

#[tokio::test]
async fn delays_no_end() {
    let hour = Duration::from_secs(60 * 60);
    let server = Server::start(|serving| {
        serving.settings.handshake_timeout = hour;
        serving.grace = hour;
    });
    let mut silent = server.connect(b"").await;
    // Once its own settings are out, the server waits for the peer's.
    until(&mut silent, b"\x04\0\0\0\0\0").await;
    server.shutdown.cancel();
    timeout(PATIENCE, server.task).await.expect("it ends").expect("in good order");
    until_the_end(silent).await;
}
