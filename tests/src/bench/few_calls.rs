//! Echo, Count and Sum of the kit without layers. Both this library and tonic alone serve them, so that the difference is
//! the library.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use tokio_stream::StreamExt as _;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::http,
    server::{Grpc, NamedService},
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

use crate::pb::{CountRequest, CountResponse, EchoRequest, EchoResponse, SumRequest, SumResponse};

/// A service with three methods.
#[derive(Debug, Clone)]
pub(crate) struct FewCalls;

impl NamedService for FewCalls {
    const NAME: &'static str = "conformance.v1.Kit";
}

impl Service<http::Request<Body>> for FewCalls {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match request.uri().path() {
            "/conformance.v1.Kit/Echo" => Box::pin(async {
                Ok(Grpc::new(ProstCodec::default()).unary(service_fn(echo), request).await)
            }),
            "/conformance.v1.Kit/Count" => Box::pin(async {
                Ok(Grpc::new(ProstCodec::default()).server_streaming(service_fn(count), request).await)
            }),
            "/conformance.v1.Kit/Sum" => Box::pin(async {
                let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(usize::MAX);
                Ok(grpc.client_streaming(service_fn(sum), request).await)
            }),
            _ => Box::pin(std::future::ready(Ok(Status::unimplemented("").into_http()))),
        }
    }
}

async fn echo(request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
    Ok(Response::new(EchoResponse { data: request.into_inner().data }))
}

type Counted = Pin<Box<dyn tokio_stream::Stream<Item = Result<CountResponse, Status>> + Send>>;

async fn count(request: Request<CountRequest>) -> Result<Response<Counted>, Status> {
    let CountRequest { from, n, pad_bytes, .. } = request.into_inner();
    let values = tokio_stream::iter(from..).take(usize::try_from(n).unwrap_or(usize::MAX));
    let messages = values
        .map(move |value| Ok(CountResponse { value, pad: vec![value as u8; pad_bytes as usize].into() }));
    Ok(Response::new(Box::pin(messages)))
}

async fn sum(request: Request<Streaming<SumRequest>>) -> Result<Response<SumResponse>, Status> {
    let mut values = request.into_inner();
    let mut answer = SumResponse::default();
    while let Some(SumRequest { value }) = values.message().await? {
        answer.sum = answer.sum.wrapping_add(value);
        answer.count += 1;
    }
    Ok(Response::new(answer))
}
