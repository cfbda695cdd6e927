//! Channels whose calls carry headers.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Request, Response};
use rpcplugin_transport::{
    Listen, SecureStream, Security, Services, Stream,
    http2::{self, ChannelError, Choose, Connect, PluginChannel, Serving},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, server::NamedService};
use tower_service::Service;

/// A service that responds with the values of the header `x-test`, as the message of a status.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let values = request.headers().get_all("x-test").iter();
        let values: Vec<_> = values.map(|value| value.to_str().expect("text")).collect();
        std::future::ready(Ok(Status::aborted(values.join(",")).into_http()))
    }
}

/// The server's end of each connection.
struct Streams(mpsc::UnboundedReceiver<Stream>);

impl Listen for Streams {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

struct ToServer(mpsc::UnboundedSender<Stream>);

impl Connect for ToServer {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.0.send(Stream::other(far)).expect("it serves");
        Ok(Security::Plain.client(Stream::other(near)).await?)
    }
}

/// Chooses one channel, after a wait.
struct Chosen(PluginChannel);

impl Choose for Chosen {
    fn ready(&self) -> Option<PluginChannel> {
        None
    }

    fn wait(
        self: Arc<Self>,
        _: Option<tokio::time::Instant>,
    ) -> Pin<Box<dyn Future<Output = Result<PluginChannel, Status>> + Send>> {
        Box::pin(async move { Ok(self.0.clone()) })
    }
}

fn channel() -> PluginChannel {
    let (sender, streams) = mpsc::unbounded_channel();
    let services = Services::new().add(Echo);
    tokio::spawn(http2::serve(
        Streams(streams),
        Serving::new(services, Security::Plain, CancellationToken::new()),
    ));
    http2::connect_lazy(ToServer(sender), &http2::Settings::default())
}

fn with(channel: PluginChannel, value: &'static str) -> PluginChannel {
    channel.with_header(HeaderName::from_static("x-test"), HeaderValue::from_static(value))
}

/// Makes a call with this header of its own, and returns the header that the peer gets.
async fn received(mut channel: PluginChannel, own: Option<&str>) -> String {
    let mut request = Request::post("http://localhost/test.Echo/Call");
    if let Some(own) = own {
        request = request.header("x-test", own);
    }
    let calling = channel.call(request.body(Body::empty()).expect("a request"));
    let response = timeout(Duration::from_secs(60), calling).await.expect("in time").expect("a response");
    Status::from_header_map(response.headers()).expect("a status").message().to_owned()
}

#[tokio::test]
async fn every_call_carries_the_header_of_its_channel() {
    let plain = channel();
    let one = with(plain.clone(), "one");
    let other = with(one.clone(), "other");
    assert_eq!(received(one.clone(), None).await, "one");
    assert_eq!(received(one.clone(), Some("of the caller")).await, "one", "it is replaced");
    assert_eq!(received(other, None).await, "other");
    assert_eq!(received(one, None).await, "one");
    assert_eq!(received(plain.clone(), None).await, "");
    assert_eq!(received(plain, Some("of the caller")).await, "of the caller");
}

#[tokio::test]
async fn a_chosen_channel_adds_its_header_unless_there_is_one() {
    let chosen = || PluginChannel::chosen(Arc::new(Chosen(with(channel(), "inner"))));
    assert_eq!(received(chosen(), None).await, "inner");
    assert_eq!(received(with(chosen(), "outer"), None).await, "outer");
    assert_eq!(received(chosen(), Some("of the caller")).await, "of the caller");
}
