//! How often each side writes to its connection: each write wakes the peer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use rpcplugin_transport::{
    Listen, SecureStream, Security, Services, Stream,
    http2::{self, ChannelError, Connect, Lane, PluginChannel, Serving},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::mpsc,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::body::Body;
use tower_service::Service;

/// Sends the message of each call back. Waits once before it responds if it is slow.
#[derive(Clone)]
struct Echo {
    slow: bool,
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let slow = self.slow;
        Box::pin(async move {
            let message = request.into_body().collect().await.expect("a whole message").to_bytes();
            if slow {
                tokio::task::yield_now().await;
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let body = Full::new(message).with_trailers(std::future::ready(Some(Ok(trailers))));
            let mut response = Response::new(Body::new(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            Ok(response)
        })
    }
}

/// Counts the writes to a stream.
struct Counted {
    stream: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct Streams(mpsc::UnboundedReceiver<Stream>);

impl Listen for Streams {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

struct ToServer {
    streams: mpsc::UnboundedSender<Stream>,
    by_client: Arc<AtomicUsize>,
    by_server: Arc<AtomicUsize>,
}

impl Connect for ToServer {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let far = Counted { stream: far, writes: Arc::clone(&self.by_server) };
        self.streams.send(Stream::other(far)).expect("it serves");
        let near = Counted { stream: near, writes: Arc::clone(&self.by_client) };
        Ok(Security::Plain.client(Stream::other(near)).await?)
    }
}

async fn echo(channel: &mut PluginChannel, path: &str) {
    let message = Bytes::from_static(b"\0\0\0\0\x05hello");
    let request = Request::post(path).body(Body::new(Full::new(message.clone()))).expect("a request");
    let calling = async {
        let response = channel.call(request).await.expect("a response");
        response.into_body().collect().await.expect("a whole response")
    };
    let body = timeout(Duration::from_secs(60), calling).await.expect("in time");
    assert_eq!(body.trailers().expect("the end")["grpc-status"], "0");
    assert_eq!(body.to_bytes(), message);
}

#[tokio::test]
async fn each_side_writes_once_for_a_call_with_one_message() {
    for lane in [Lane::Off, Lane::Used] {
        each_side_writes_once(lane).await;
    }
}

async fn each_side_writes_once(lane: Lane) {
    let (streams, accepted) = mpsc::unbounded_channel();
    let (by_client, by_server) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let to = ToServer { streams, by_client: Arc::clone(&by_client), by_server: Arc::clone(&by_server) };
    let services = Services::new()
        .add_named("test.Fast", Echo { slow: false })
        .add_named("test.Slow", Echo { slow: true });
    let mut serving = Serving::new(services, Security::Plain, CancellationToken::new());
    serving.settings.lane = lane;
    let settings = serving.settings.clone();
    let _server = AbortOnDropHandle::new(tokio::spawn(http2::serve(Streams(accepted), serving)));
    let mut channel = http2::connect(to, &settings).await.expect("connected");
    // The first call comes with the settings of the connection and their acknowledgement.
    echo(&mut channel, "http://localhost/test.Fast/Echo").await;
    echo(&mut channel, "http://localhost/test.Fast/Echo").await;
    for path in ["http://localhost/test.Fast/Echo", "http://localhost/test.Slow/Echo"] {
        let before = [&by_client, &by_server].map(|writes| writes.load(Relaxed));
        for _ in 0..CALLS {
            echo(&mut channel, path).await;
        }
        let after = [&by_client, &by_server].map(|writes| writes.load(Relaxed));
        assert_eq!([after[0] - before[0], after[1] - before[1]], [CALLS, CALLS], "{path} {lane:?}");
    }
}

/// So many that the lane answers the last ones in the task of the connection.
const CALLS: usize = 40;
