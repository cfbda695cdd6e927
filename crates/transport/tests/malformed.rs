//! Malformed responses.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, uri::PathAndQuery};
use http_body::Frame;
use rpcplugin_core::Endpoint;
use rpcplugin_transport::{
    Listener, SecureStream, Security, Services, SocketDir, dial,
    http2::{self, ChannelError, Connect, Serving},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower_service::Service;

/// Responds to each call with a status whose details are not base64.
#[derive(Clone)]
struct Malformed {
    /// Whether the status follows a response that has begun.
    in_trailers: bool,
}

impl NamedService for Malformed {
    const NAME: &'static str = "Malformed";
}

impl Service<Request<Body>> for Malformed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let mut status = HeaderMap::new();
        status.insert("grpc-status", "9".parse().expect("a value"));
        status.insert("grpc-message", "as%20it%20is".parse().expect("a value"));
        status.insert("grpc-status-details-bin", "%%% no base64 %%%".parse().expect("a value"));
        let mut response = if self.in_trailers {
            Response::new(Body::new(Trailers(Some(status))))
        } else {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = status;
            response
        };
        response.headers_mut().insert("content-type", "application/grpc".parse().expect("a value"));
        ready(Ok(response))
    }
}

struct Trailers(Option<HeaderMap>);

impl http_body::Body for Trailers {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.get_mut().0.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

struct To(Endpoint);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        Ok(Security::Plain.client(dial(&self.0).await?).await?)
    }
}

#[tokio::test]
async fn malformed_details_of_a_status_are_removed() {
    for in_trailers in [false, true] {
        let dir = SocketDir::private(None).expect("a directory");
        let listener = Listener::unix_in(&dir).expect("bound");
        let to = To(listener.endpoint().clone());
        let services = Services::new().add(Malformed { in_trailers });
        let serving = Serving::new(services, Security::Plain, CancellationToken::new());
        let _server = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));

        let channel = http2::connect(to, &http2::Settings::default()).await.expect("connected");
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.expect("ready");
        let path = PathAndQuery::from_static("/Malformed/Any");
        let answer: Result<tonic::Response<()>, Status> =
            client.unary(tonic::Request::new(()), path, tonic_prost::ProstCodec::default()).await;
        let status = answer.expect_err("a status");
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "as it is"));
        assert!(status.details().is_empty());
    }
}
