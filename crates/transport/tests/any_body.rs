//! Services and clients that another version of tonic generated: their bodies are of other types.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use rpcplugin_core::Endpoint;
use rpcplugin_transport::{
    Listener, SecureStream, Security, Services, SocketDir, dial,
    http2::{self, ChannelError, Connect, PluginChannel, Serving},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::Code;
use tower_service::Service;

/// Responds with one message, in a body of a foreign type. It has no name in its type.
#[derive(Clone)]
struct Foreign;

type ForeignBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

impl<B: http_body::Body> Service<Request<B>> for Foreign {
    type Response = Response<ForeignBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<ForeignBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let path = request.uri().path().to_owned();
        let body = Full::new(framed(path.as_bytes())).with_trailers(ready(Some(Ok(trailers))));
        let mut response = Response::new(body.boxed_unsync());
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        ready(Ok(response))
    }
}

/// A message with the prefix of gRPC.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    Bytes::from([&[0], length.as_slice(), message].concat())
}

struct To(Endpoint);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(Security::Plain.client(dial(&self.0).await?).await?)
    }
}

/// A call as a foreign client makes it. Returns the headers, the data and the trailers of the response.
async fn call(channel: &PluginChannel, path: &str) -> (HeaderMap, Bytes, Option<HeaderMap>) {
    let mut channel = channel.clone().any_body();
    let request = Request::post(format!("http://any{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(framed(b"hello")))
        .expect("a request");
    let Ok(response) = Service::call(&mut channel, request).await;
    let (parts, body) = response.into_parts();
    let Ok(body) = body.collect().await;
    let trailers = body.trailers().cloned();
    (parts.headers, body.to_bytes(), trailers)
}

fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

#[tokio::test]
async fn foreign_services_and_clients_call_each_other() {
    let dir = SocketDir::private(None).expect("a directory");
    let listener = Listener::unix_in(&dir).expect("bound");
    let to = To(listener.endpoint().clone());
    let services = Services::new().add_named("foreign.v1.Echo", Foreign);
    assert_eq!(services.names().collect::<Vec<_>>(), ["foreign.v1.Echo"]);
    let serving = Serving::new(services, Security::Plain, CancellationToken::new());
    let server = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));
    let channel = http2::connect(to, &http2::Settings::default()).await.expect("connected");

    let (headers, data, trailers) = call(&channel, "/foreign.v1.Echo/Path").await;
    assert_eq!(code(&headers), None);
    assert_eq!(data, framed(b"/foreign.v1.Echo/Path"));
    assert_eq!(trailers.as_ref().and_then(code), Some(Code::Ok));

    let (headers, data, _) = call(&channel, "/other.v1.Echo/Path").await;
    assert_eq!((code(&headers), data.len()), (Some(Code::Unimplemented), 0));

    // A call that fails on this side has a response too.
    server.abort();
    let _ = server.await;
    drop(dir);
    let (headers, data, _) = call(&channel, "/foreign.v1.Echo/Path").await;
    assert_eq!((code(&headers), data.len()), (Some(Code::Unavailable), 0), "{headers:?}");
}
