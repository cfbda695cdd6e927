//! The service by which a host makes, lists and removes instances.

use std::{pin::Pin, sync::Arc, time::Duration};

use rpcplugin_core::{InstanceConfiguration, InstanceId};
use rpcplugin_proto::{
    CreateInstanceRequest, CreateInstanceResponse, InstancesServer, ListInstancesRequest,
    ListInstancesResponse, RemoveInstanceRequest, RemoveInstanceResponse,
};
use rpcplugin_transport::{MessageLimits, Services};
use tonic::{Request, Response, Status};

use super::{
    registry::{Registry, Removed},
    spec::InstanceSpec,
    status,
};

/// Instances of any type, as a plugin serves them.
pub(crate) trait ServeInstances: Send + Sync {
    /// Returns the service. A removal may take `grace`.
    fn services(&self, grace: Duration, limits: MessageLimits) -> Services;

    /// Makes no further instances, and asks long calls to end.
    fn begin_shutdown(&self);

    /// Removes all instances. Ends within the grace.
    fn shut_down(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Returns the service for these instances. Without a limit on received messages, a configuration may have 4 MiB.
pub(super) fn services<T: Send + Sync + 'static>(
    registry: &Arc<Registry<T>>,
    limits: MessageLimits,
) -> Services {
    let limits = MessageLimits::new(limits.receive.or(Some(LARGEST)), limits.send);
    let server = InstancesServer::new(InstancesService(Arc::clone(registry)));
    // The limit of tonic has another code than the limit around the service.
    Services::new().add(server.max_decoding_message_size(usize::MAX)).limited(limits)
}

struct InstancesService<T>(Arc<Registry<T>>);

#[tonic::async_trait]
impl<T: Send + Sync + 'static> rpcplugin_proto::Instances for InstancesService<T> {
    async fn create(
        &self,
        request: Request<CreateInstanceRequest>,
    ) -> Result<Response<CreateInstanceResponse>, Status> {
        let CreateInstanceRequest { id, configuration, content_type } = request.into_inner();
        let configuration = InstanceConfiguration::new(content_type, configuration);
        self.0.create(InstanceSpec::new(parse(&id)?, configuration)).await?;
        Ok(Response::new(CreateInstanceResponse {}))
    }

    async fn remove(
        &self,
        request: Request<RemoveInstanceRequest>,
    ) -> Result<Response<RemoveInstanceResponse>, Status> {
        let RemoveInstanceRequest { id, grace_ms } = request.into_inner();
        let id = parse(&id)?;
        let grace = if grace_ms == 0 { Duration::MAX } else { Duration::from_millis(grace_ms) };
        let removal = self.0.remove(id.as_str(), grace).ok_or_else(|| status::unknown(id.as_str()))?;
        let in_use = removal.ended().await == Removed::InUse;
        Ok(Response::new(RemoveInstanceResponse { in_use }))
    }

    async fn list(
        &self,
        _: Request<ListInstancesRequest>,
    ) -> Result<Response<ListInstancesResponse>, Status> {
        let ids = self.0.ids().into_iter().map(|id| id.as_str().to_owned()).collect();
        Ok(Response::new(ListInstancesResponse { ids }))
    }
}

fn parse(id: &str) -> Result<InstanceId, Status> {
    InstanceId::new(id).map_err(|error| Status::invalid_argument(error.to_string()))
}

/// The largest message without a setting: 4 MiB, as in gRPC.
const LARGEST: u64 = 4 * 1024 * 1024;
