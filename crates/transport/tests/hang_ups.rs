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
    http2::{self, ChannelError, Connect, PluginChannel, Serving},
};
use tokio::{
    io::{AsyncWriteExt as _, copy, sink},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower_service::Service as _;

/// Connects to a peer that sends these bytes at once and hangs up.
#[derive(Clone)]
struct HangsUp {
    bytes: &'static [u8],
    dialled: Arc<AtomicUsize>,
}

impl HangsUp {
    fn sending(bytes: &'static [u8]) -> Self {
        Self { bytes, dialled: Arc::default() }
    }
}

impl Connect for HangsUp {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        self.dialled.fetch_add(1, Relaxed);
        let (near, mut far) = tokio::io::duplex(1024);
        far.write_all(self.bytes).await.expect("it fits");
        far.shutdown().await.expect("it can be shut");
        tokio::spawn(async move { copy(&mut far, &mut sink()).await });
        Ok(Security::Plain.client(Stream::other(near)).await?)
    }
}

/// Connects to a socket.
struct To(Endpoint);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(Security::Plain.client(dial(&self.0).await?).await?)
    }
}

/// Calls an unknown method, to which every HTTP/2 server responds.
async fn call(channel: &mut PluginChannel) -> Result<(), Box<dyn Error + Send + Sync>> {
    let calling = async {
        poll_fn(|cx| channel.poll_ready(cx)).await?;
        channel.call(Request::post("http://localhost/none/None").body(Body::empty())?).await?;
        Ok(())
    };
    timeout(TIMEOUT, calling).await.expect("the call ends")
}

fn is_hang_up(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(ChannelError::HangsUp)) || error.source().is_some_and(is_hang_up)
}

const TIMEOUT: Duration = Duration::from_secs(20);

/// The first frame of an HTTP/2 server, and a GOAWAY.
const SETTINGS_AND_GOAWAY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[tokio::test]
async fn a_peer_that_hangs_up_is_dialled_at_most_once_for_each_call() {
    for bytes in [&b""[..], b"SSH-2.0-nonsense\r\n", SETTINGS_AND_GOAWAY] {
        let (peer, settings) = (HangsUp::sending(bytes), http2::Settings::default());
        let connecting = http2::connect(peer.clone(), &settings);
        let channel = timeout(TIMEOUT, connecting).await.expect("in time");
        calls_end(&peer, channel.expect("it accepts connections")).await;
    }
}

#[tokio::test]
async fn a_lazy_channel_dials_a_peer_that_hangs_up_at_most_once_for_each_call() {
    for bytes in [&b""[..], b"SSH-2.0-nonsense\r\n", SETTINGS_AND_GOAWAY] {
        let peer = HangsUp::sending(bytes);
        calls_end(&peer, http2::connect_lazy(peer.clone(), &http2::Settings::default())).await;
    }
}

/// Checks that each call ends, and dials the peer at most once.
async fn calls_end(peer: &HangsUp, mut channel: PluginChannel) {
    let mut reported = 0;
    for calls in 1..=10 {
        let error = call(&mut channel).await.expect_err("it hung up");
        // A call that was in flight when the connection broke has another error.
        reported += usize::from(is_hang_up(&*error));
        let dialled = peer.dialled.load(Relaxed);
        assert!(dialled <= calls, "{dialled} times for {calls} calls, {:?}", peer.bytes);
    }
    assert!(reported > 0, "{:?}", peer.bytes);
}

/// Serves no services until it is aborted.
fn serve(path: &SocketPath) -> (JoinHandle<()>, Endpoint) {
    let listener = Listener::unix_at(path, None).expect("bound");
    let endpoint = listener.endpoint().clone();
    let serving = Serving::new(Services::new(), Security::Plain, CancellationToken::new());
    (tokio::spawn(http2::serve(listener, serving)), endpoint)
}

#[tokio::test]
async fn a_peer_that_has_answered_is_dialled_again_at_once() {
    let dir = SocketDir::private(None).expect("a directory");
    let path = SocketPath::new(dir.path().join("plugin")).expect("it fits");
    let (mut server, endpoint) = serve(&path);
    let mut channel = http2::connect(To(endpoint), &http2::Settings::default()).await.expect("connected");
    call(&mut channel).await.expect("answered");
    for _ in 0..5 {
        server.abort();
        let _ = server.await;
        server = serve(&path).0;
        // The call may be sent before the channel notices that the connection broke.
        while let Err(error) = call(&mut channel).await {
            assert!(!is_hang_up(&*error), "{error:?}");
        }
    }
}
