//! Peers that accept connections and hang up.

use std::{
    error::Error,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use rpcplugin_core::{Endpoint, SocketPath};
use rpcplugin_transport::{
    Listener, SecureStream, Security, Services, SocketDir, Stream, dial,
    http2::{self, Connect, ChannelError, PluginChannel, Serving},
};
use tokio::{
    io::{AsyncWriteExt as _, copy, sink},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower_service::Service as _;

/// A way to a peer that says something as soon as it is connected to, and hangs up.
#[derive(Clone)]
struct HangsUp {
    words: &'static [u8],
    dialled: Arc<AtomicUsize>,
}

impl HangsUp {
    fn saying(words: &'static [u8]) -> Self {
        Self { words, dialled: Arc::default() }
    }
}

impl Connect for HangsUp {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        self.dialled.fetch_add(1, Relaxed);
        let (near, mut far) = tokio::io::duplex(1024);
        far.write_all(self.words).await.expect("it fits");
        far.shutdown().await.expect("it can be shut");
        tokio::spawn(async move { copy(&mut far, &mut sink()).await });
        Ok(Security::Plain.client(Stream::other(near)).await?)
    }
}

/// A way to a socket.
struct To(Endpoint);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(Security::Plain.client(dial(&self.0).await?).await?)
    }
}

/// A call to a method that nobody serves: whoever speaks HTTP/2 answers it.
async fn call(channel: &mut PluginChannel) -> Result<(), Box<dyn Error + Send + Sync>> {
    let calling = async {
        poll_fn(|cx| channel.poll_ready(cx)).await?;
        channel.call(Request::post("http://localhost/none/None").body(Body::empty())?).await?;
        Ok(())
    };
    timeout(PATIENCE, calling).await.expect("a call comes to its end")
}

fn is_hang_up(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(ChannelError::HangsUp)) || error.source().is_some_and(is_hang_up)
}

const PATIENCE: Duration = Duration::from_secs(20);

/// HTTP/2's first frame, and a good-bye.
const SETTINGS_AND_GOAWAY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[tokio::test]
async fn are_not_dialled_for_ever() {
    for words in [&b""[..], b"SSH-2.0-nonsense\r\n", SETTINGS_AND_GOAWAY] {
        let (peer, settings) = (HangsUp::saying(words), http2::Settings::default());
        let connecting = http2::connect(peer.clone(), &settings);
        let channel = timeout(PATIENCE, connecting).await.expect("in time");
        calls_end(&peer, channel.expect("it accepts connections")).await;
    }
}

#[tokio::test]
async fn are_not_dialled_for_ever_by_lazy_channels() {
    for words in [&b""[..], b"SSH-2.0-nonsense\r\n", SETTINGS_AND_GOAWAY] {
        let peer = HangsUp::saying(words);
        calls_end(&peer, http2::connect_lazy(peer.clone(), &http2::Settings::default())).await;
    }
}

/// Whoever calls has the peer tried again, but once.
async fn calls_end(peer: &HangsUp, mut channel: PluginChannel) {
    let mut told = 0;
    for calls in 1..=10 {
        let error = call(&mut channel).await.expect_err("it hung up");
        // A call that was on its way when the connection broke is told of that.
        told += usize::from(is_hang_up(&*error));
        let dialled = peer.dialled.load(Relaxed);
        assert!(dialled <= calls, "{dialled} times for {calls} calls, {:?}", peer.words);
    }
    assert!(told > 0, "{:?}", peer.words);
}

/// Serves no service at all until it is aborted.
fn serve(path: &SocketPath) -> (JoinHandle<()>, Endpoint) {
    let listener = Listener::unix_at(path, None).expect("bound");
    let endpoint = listener.endpoint().clone();
    let serving = Serving::new(Services::new(), Security::Plain, CancellationToken::new());
    (tokio::spawn(http2::serve(listener, serving)), endpoint)
}

#[tokio::test]
async fn after_an_answer_are_dialled_again_at_once() {
    let dir = SocketDir::private(None).expect("a directory");
    let path = SocketPath::new(dir.path().join("plugin")).expect("it fits");
    let (mut server, endpoint) = serve(&path);
    let mut channel = http2::connect(To(endpoint), &http2::Settings::default()).await.expect("connected");
    call(&mut channel).await.expect("answered");
    for _ in 0..5 {
        server.abort();
        let _ = server.await;
        server = serve(&path).0;
        // The call may be on its way before it is noticed that the connection broke.
        while let Err(error) = call(&mut channel).await {
            assert!(!is_hang_up(&*error), "{error:?}");
        }
    }
}
