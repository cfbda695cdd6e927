//! The reflection call: the services that a plugin serves.

use std::time::Duration;

use http::uri::PathAndQuery;
use rpcplugin_transport::http2::PluginChannel;
use tokio::time::timeout;
use tonic::{Code, Request, Status, client::Grpc};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, ServerReflectionResponse, server_reflection_request::MessageRequest,
    server_reflection_response::MessageResponse,
};

/// Asks a plugin for the names of its services, in alphabetical order. `None` if the plugin has no reflection, or if its
/// reflection fails or takes longer than `limit`.
///
/// # Protocol
/// gRPC's server reflection. Its versions `v1` and `v1alpha` have the same messages on the wire. Python's library has only
/// the older version.
pub(crate) async fn services(channel: PluginChannel, limit: Duration) -> Option<Vec<String>> {
    let asked = async {
        for path in VERSIONS {
            match list(channel.clone(), path).await {
                Err(status) if status.code() == Code::Unimplemented => {}
                answered => return answered,
            }
        }
        Ok(None)
    };
    match timeout(limit, asked).await {
        Ok(Ok(services)) => services,
        Ok(Err(status)) => {
            tracing::debug!(%status, "the reflection of the plugin fails");
            None
        }
        Err(_) => {
            tracing::debug!(?limit, "the reflection of the plugin does not answer");
            None
        }
    }
}

async fn list(channel: PluginChannel, path: &'static str) -> Result<Option<Vec<String>>, Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = Grpc::new(channel).max_decoding_message_size(LONGEST);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
    let request = Request::new(tokio_stream::once(request));
    let mut responses = client.streaming(request, PathAndQuery::from_static(path), codec).await?.into_inner();
    let response = responses.message().await?.and_then(|response| response.message_response);
    let Some(MessageResponse::ListServicesResponse(listed)) = response else { return Ok(None) };
    let mut services: Vec<String> = listed.service.into_iter().map(|service| service.name).collect();
    services.sort_unstable();
    services.dedup();
    Ok(Some(services))
}

const VERSIONS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The longest response, in bytes: thousands of services.
const LONGEST: usize = 1 << 20;
