//! The metadata service, which reports what the plugin is.

use rpcplugin_core::PluginMetadata;
use rpcplugin_proto::{GetMetadataRequest, GetMetadataResponse, PluginMetadata as PluginMetadataService};
use tonic::{Request, Response, Status};

/// Reports the metadata of the plugin.
///
/// # Protocol
/// `rpcplugin.v1.PluginMetadata`, which go-plugin does not have.
pub(crate) struct Metadata(GetMetadataResponse);

impl Metadata {
    pub(crate) fn new(metadata: &PluginMetadata) -> Self {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self(GetMetadataResponse {
            name: metadata.name().to_owned(),
            version: metadata.version().to_string(),
            build: metadata.build_facts().map(owned).collect(),
            capabilities: metadata.capabilities().map(str::to_owned).collect(),
            minimum_host_version: metadata.minimum_host_version().map(ToString::to_string),
        })
    }
}

#[tonic::async_trait]
impl PluginMetadataService for Metadata {
    async fn get_metadata(
        &self,
        _: Request<GetMetadataRequest>,
    ) -> Result<Response<GetMetadataResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}
