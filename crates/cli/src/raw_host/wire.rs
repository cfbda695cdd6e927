//! Calls of go-plugin's own services, with their messages.

use std::time::Duration;

use http::uri::PathAndQuery;
use rpcplugin::PluginChannel;
use tonic::{Request, Status, Streaming, client::Grpc};
use tonic_prost::ProstCodec;

/// `plugin.Empty`, and `google.protobuf.Empty`, which is the same on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Empty {}

/// `plugin.StdioData`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StdioData {
    #[prost(int32, tag = "1")]
    pub(crate) channel: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) data: Vec<u8>,
}

/// `plugin.ConnInfo`, with the field that is used here.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ConnInfo {
    #[prost(uint32, tag = "1")]
    pub(crate) service_id: u32,
}

/// `grpc.health.v1.HealthCheckRequest` with an unknown field, which receivers ignore.
#[derive(Clone, PartialEq, prost::Message)]
struct PaddedHealthCheck {
    #[prost(string, tag = "1")]
    service: String,
    #[prost(bytes = "vec", tag = "1000")]
    padding: Vec<u8>,
}

/// Makes a health call with a request of at least `bytes` bytes.
pub(crate) async fn padded_health(channel: PluginChannel, bytes: usize) -> Result<(), Status> {
    let mut grpc = ready(channel).await?;
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let padded = PaddedHealthCheck { service: "plugin".to_owned(), padding: vec![0; bytes] };
    grpc.unary(Request::new(padded), path, ProstCodec::<_, Empty>::default()).await.map(|_| ())
}

/// Calls `GRPCController.Shutdown`. Many plugins exit before they respond.
pub(crate) async fn shut_down(channel: PluginChannel) -> Result<(), Status> {
    let mut grpc = ready(channel).await?;
    let path = PathAndQuery::from_static("/plugin.GRPCController/Shutdown");
    let mut request = Request::new(Empty {});
    request.set_timeout(Duration::from_secs(5));
    grpc.unary(request, path, ProstCodec::<Empty, Empty>::default()).await.map(|_| ())
}

/// Opens the stdio stream. A plugin made with go-plugin responds with its first output, not before.
pub(crate) async fn stdio_stream(channel: PluginChannel) -> Result<Streaming<StdioData>, Status> {
    let mut grpc = ready(channel).await?;
    let path = PathAndQuery::from_static("/plugin.GRPCStdio/StreamStdio");
    let answer = grpc.server_streaming(Request::new(Empty {}), path, ProstCodec::default()).await;
    answer.map(tonic::Response::into_inner)
}

/// Opens the broker stream and sends nothing. A plugin made with go-plugin responds with its first message, not before.
pub(crate) async fn broker_stream(channel: PluginChannel) -> Result<Streaming<ConnInfo>, Status> {
    let mut grpc = ready(channel).await?;
    let path = PathAndQuery::from_static("/plugin.GRPCBroker/StartStream");
    let silent = futures_util::stream::pending::<ConnInfo>();
    let answer = grpc.streaming(Request::new(silent), path, ProstCodec::default()).await;
    answer.map(tonic::Response::into_inner)
}

/// Calls a method that no plugin has.
pub(crate) async fn unknown_method(channel: PluginChannel) -> Result<(), Status> {
    let mut grpc = ready(channel).await?;
    let path = PathAndQuery::from_static("/rpcplugin.conformance.NoSuchService/NoSuchMethod");
    grpc.unary(Request::new(Empty {}), path, ProstCodec::<Empty, Empty>::default()).await.map(|_| ())
}

async fn ready(channel: PluginChannel) -> Result<Grpc<PluginChannel>, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    Ok(grpc)
}
