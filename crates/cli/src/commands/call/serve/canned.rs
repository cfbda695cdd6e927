//! A service that returns the same responses to every call.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use prost::bytes::Bytes;
use prost_reflect::MethodDescriptor;
use tokio::sync::mpsc;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, StreamingService},
};

use super::super::method;
use crate::{
    calls::BytesCodec,
    protojson::{self, Style, Types},
};

/// The methods of a service by their paths.
#[derive(Debug, Clone)]
pub(super) struct Canned {
    methods: Arc<BTreeMap<String, Reply>>,
    called: mpsc::Sender<String>,
}

/// A method and its encoded responses.
#[derive(Debug, Clone)]
struct Reply {
    method: MethodDescriptor,
    responses: Vec<Vec<u8>>,
    called: mpsc::Sender<String>,
}

impl Canned {
    /// Makes a service without methods. It describes each call to `called`.
    pub(super) fn new(called: mpsc::Sender<String>) -> Self {
        Self { methods: Arc::default(), called }
    }

    pub(super) fn insert(&mut self, method: MethodDescriptor, responses: Vec<Vec<u8>>) {
        let path = method::path(&method).to_string();
        let reply = Reply { method, responses, called: self.called.clone() };
        Arc::make_mut(&mut self.methods).insert(path, reply);
    }
}

impl Service<http::Request<Body>> for Canned {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let reply = self.methods.get(path).cloned();
        if reply.is_none() {
            let _ = self.called.try_send(format!("{}, which has no response", path.trim_start_matches('/')));
        }
        Box::pin(async move {
            Ok(match reply {
                // A call with streams works for methods without streams too.
                Some(reply) => Grpc::new(BytesCodec).streaming(reply, request).await,
                None => {
                    Status::unimplemented("the file of --serve has no response for the method").into_http()
                }
            })
        })
    }
}

impl StreamingService<Bytes> for Reply {
    type Response = Vec<u8>;
    type ResponseStream = tokio_stream::Iter<std::vec::IntoIter<Result<Vec<u8>, Status>>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let reply = self.clone();
        Box::pin(async move {
            let mut requests = request.into_inner();
            while let Some(message) = requests.message().await? {
                // Calls beyond the capacity are not printed.
                let _ = reply.called.try_send(reply.text(&message));
            }
            let responses: Vec<_> = reply.responses.into_iter().map(Ok).collect();
            Ok(Response::new(tokio_stream::iter(responses)))
        })
    }
}

impl Reply {
    /// Returns the method and the request as JSON.
    fn text(&self, message: &[u8]) -> String {
        let name = method::name(&self.method);
        let (types, style) =
            (Types::new(self.method.parent_pool()), Style { pretty: false, defaults: false });
        match protojson::write(message, &self.method.input(), &types, style) {
            Ok(json) if json.get().len() <= LONGEST => format!("{name} {}", json.get()),
            _ => format!("{name} with {} bytes", message.len()),
        }
    }
}

/// The longest request that is printed, in bytes.
const LONGEST: usize = 2000;
