//! Handlers that panic.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, stream};
use rpcplugin::{
    Services,
    transport::{Listener, Security, SocketDir, http2},
};
use rpcplugin_tests::pb::{
    CloseRequest, CloseResponse, GreetRequest, GreetResponse, TicksRequest, TicksResponse,
    sub_client::SubClient,
    sub_server::{Sub, SubServer},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Code, Request, Response, Status};

use crate::support::To;

/// A service that panics as its requests demand.
#[derive(Debug)]
struct Panics;

#[tonic::async_trait]
impl Sub for Panics {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let name = request.into_inner().name;
        assert_ne!(name, "assert", "of an assertion");
        match name.split_once(' ') {
            Some(("later", words)) => {
                tokio::task::yield_now().await;
                panic!("{words}")
            }
            Some(("now", words)) => panic!("{words}"),
            Some(("value", _)) => std::panic::panic_any(7),
            _ => Ok(Response::new(GreetResponse { text: name })),
        }
    }

    type TicksStream = Pin<Box<dyn Stream<Item = Result<TicksResponse, Status>> + Send>>;

    async fn ticks(&self, request: Request<TicksRequest>) -> Result<Response<Self::TicksStream>, Status> {
        let n = request.into_inner().n;
        let ticks = stream::iter(0..100).then(move |tick| async move {
            tokio::task::yield_now().await;
            assert!(tick < n, "at tick {tick}");
            Ok(TicksResponse::default())
        });
        Ok(Response::new(ticks.boxed()))
    }

    async fn close(&self, _: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_call_and_no_other() {
    let dir = SocketDir::private(None).unwrap();
    let listener = Listener::unix_in(&dir).unwrap();
    let endpoint = listener.endpoint().clone();
    let services = Services::new().add(SubServer::new(Panics));
    let serving = http2::Serving::new(services, Security::Plain, CancellationToken::new());
    let _server = AbortOnDropHandle::new(tokio::spawn(http2::serve(listener, serving)));
    let channel = http2::connect(To(endpoint), &http2::Settings::default()).await.unwrap();
    let mut client = SubClient::new(channel);

    let mut other = client.ticks(TicksRequest { n: 100 }).await.unwrap().into_inner();
    other.message().await.unwrap().expect("a tick");
    for (name, says) in [
        ("now it breaks", "the handler panicked: it breaks"),
        ("later it breaks\nin two lines", "the handler panicked: it breaks\nin two lines"),
        ("value", "value"),
        ("value of another kind", "the handler panicked"),
    ] {
        match client.greet(GreetRequest { name: name.to_owned() }).await {
            Ok(answer) => assert_eq!(answer.into_inner().text, says),
            Err(status) => {
                assert_eq!((status.code(), status.message()), (Code::Internal, says));
            }
        }
    }
    let asserted = client.greet(GreetRequest { name: "assert".to_owned() }).await.unwrap_err();
    assert!(asserted.message().contains("of an assertion"), "{asserted}");
    for n in [0, 1, 7] {
        let mut ticks = client.ticks(TicksRequest { n }).await.unwrap().into_inner();
        for _ in 0..n {
            ticks.message().await.unwrap().expect("a tick");
        }
        let status = ticks.message().await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.message(), format!("the handler panicked: at tick {n}"));
    }
    let mut ticks = 1;
    while other.message().await.unwrap().is_some() {
        ticks += 1;
    }
    assert_eq!(ticks, 100, "the other call continues");
}
