//! Peers that connect and send nothing.

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

/// Accepts the streams that a test sends.
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

    /// Connects, with these bytes as the first of the connection.
    async fn connect(&self, bytes: &[u8]) -> DuplexStream {
        let (mut near, far) = tokio::io::duplex(1 << 16);
        near.write_all(bytes).await.expect("it fits");
        self.streams.send(Stream::other(far)).expect("the server runs");
        near
    }
}

/// Reads everything until the server hangs up.
async fn until_the_end(mut stream: DuplexStream) -> Vec<u8> {
    let mut read = Vec::new();
    timeout(TIMEOUT, stream.read_to_end(&mut read)).await.expect("it hangs up").expect("readable");
    read
}

/// Reads until these bytes have arrived.
async fn until(stream: &mut DuplexStream, bytes: &[u8]) {
    let mut read = Vec::new();
    let reading = async {
        while !read.windows(bytes.len()).any(|window| window == bytes) {
            assert_ne!(stream.read_buf(&mut read).await.expect("readable"), 0, "it hung up after {read:?}");
        }
    };
    timeout(TIMEOUT, reading).await.expect("an answer");
}

const TIMEOUT: Duration = Duration::from_secs(30);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
const PONG: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0pingpong";

#[tokio::test]
async fn the_handshake_timeout_ends_with_the_preface() {
    let server = Server::start(|serving| serving.settings.handshake_timeout = Duration::from_millis(50));
    // A host that connects early and calls late has sent the preface at once.
    let mut early = server.connect(&[PREFACE, SETTINGS].concat()).await;
    for bytes in [&b""[..], &PREFACE[..PREFACE.len() - 1]] {
        until_the_end(server.connect(bytes).await).await;
    }
    early.write_all(PING).await.expect("it is open");
    until(&mut early, PONG).await;
}

#[tokio::test]
async fn a_silent_peer_does_not_delay_the_shutdown() {
    let hour = Duration::from_secs(60 * 60);
    let server = Server::start(|serving| {
        serving.settings.handshake_timeout = hour;
        serving.grace = hour;
    });
    let mut silent = server.connect(b"").await;
    // The server has sent its settings and waits for those of the peer.
    until(&mut silent, b"\x04\0\0\0\0\0").await;
    server.shutdown.cancel();
    timeout(TIMEOUT, server.task).await.expect("it ends").expect("no panic");
    until_the_end(silent).await;
}
