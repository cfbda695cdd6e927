//! The requests that a host makes about the instances of its plugin.

use std::{pin::Pin, sync::Arc, time::Duration};

use rpcplugin_config::{ByteSize, HostConfig};
use rpcplugin_core::{InstanceConfiguration, InstanceId};
use rpcplugin_proto::{CreateInstanceRequest, InstancesClient, ListInstancesRequest, RemoveInstanceRequest};
use rpcplugin_transport::http2::PluginChannel;
use tokio::time::{Instant, timeout};
use tonic::{Request, Response, Status};

use super::instance::{InstanceRemoval, RemoveInstance};
use crate::error::{InstanceError, InstanceRequest};

/// The limits of requests, by the host's configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InstanceLimits {
    /// How long an instance may take to be made.
    pub(crate) create: Duration,
    /// How long any other answer may take.
    admin: Duration,
    /// How long the calls to a removed instance may go on.
    grace: Duration,
    max_receive: usize,
    max_send: usize,
}

/// Makes requests on one channel.
#[derive(Debug, Clone)]
pub(crate) struct InstanceRequests {
    channel: PluginChannel,
    limits: InstanceLimits,
}

impl InstanceLimits {
    pub(crate) fn new(config: &HostConfig) -> Self {
        let size = |size: Option<ByteSize>| size.map_or(usize::MAX, ByteSize::as_usize);
        Self {
            create: config.launch_timeout,
            admin: config.admin_timeout,
            grace: config.grace,
            max_receive: size(config.max_receive_message_size),
            max_send: size(config.max_send_message_size),
        }
    }
}

impl InstanceRequests {
    pub(crate) fn new(channel: PluginChannel, limits: InstanceLimits) -> Self {
        Self { channel, limits }
    }

    /// Creates an instance, within this time.
    pub(crate) async fn create(
        &self,
        id: &InstanceId,
        configuration: &InstanceConfiguration,
        limit: Duration,
    ) -> Result<(), InstanceError> {
        let size = configuration.bytes().len() + configuration.content_type().len() + ENVELOPE;
        if size > self.limits.max_send {
            let why = format!("the request has {size} bytes, and the host sends {}", self.limits.max_send);
            return Err(InstanceError::Limit { id: id.clone(), source: Status::resource_exhausted(why) });
        }
        let message = CreateInstanceRequest {
            id: id.as_str().to_owned(),
            configuration: configuration.bytes().to_vec(),
            content_type: configuration.content_type().to_owned(),
        };
        let mut client = self.client();
        let create = move |request| async move { client.create(request).await };
        bounded(InstanceRequest::Create(id), limit, message, create).await.map(drop)
    }

    pub(crate) async fn list(&self) -> Result<Vec<InstanceId>, InstanceError> {
        let mut client = self.client();
        let list = move |request| async move { client.list(request).await };
        let ids = bounded(InstanceRequest::List, self.limits.admin, ListInstancesRequest {}, list).await?.ids;
        ids.into_iter().map(|id| InstanceId::new(id).map_err(InstanceError::from)).collect()
    }

    pub(crate) async fn remove(&self, id: &InstanceId) -> Result<InstanceRemoval, InstanceError> {
        let grace = self.limits.grace;
        // 0 stands for the plugin's own grace.
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX).max(1);
        let message = RemoveInstanceRequest { id: id.as_str().to_owned(), grace_ms };
        let mut client = self.client();
        let limit = grace.saturating_add(self.limits.admin);
        let remove = move |request| async move { client.remove(request).await };
        let response = bounded(InstanceRequest::Remove(id), limit, message, remove).await?;
        Ok(if response.in_use { InstanceRemoval::InUse } else { InstanceRemoval::Unused })
    }

    fn client(&self) -> InstancesClient<PluginChannel> {
        InstancesClient::new(self.channel.clone()).max_decoding_message_size(self.limits.max_receive)
    }
}

impl RemoveInstance for InstanceRequests {
    fn remove(
        self: Arc<Self>,
        id: InstanceId,
    ) -> Pin<Box<dyn Future<Output = Result<InstanceRemoval, InstanceError>> + Send>> {
        Box::pin(async move { Self::remove(&self, &id).await })
    }
}

/// The bytes of a request beside the configuration, at most.
const ENVELOPE: usize = InstanceId::MAX_LEN + 24;

/// Makes a call that both sides end after this time.
async fn bounded<Q, R, F>(
    about: InstanceRequest<'_>,
    limit: Duration,
    message: Q,
    call: impl FnOnce(Request<Q>) -> F,
) -> Result<R, InstanceError>
where
    F: Future<Output = Result<Response<R>, Status>>,
{
    let begun = Instant::now();
    let mut request = Request::new(message);
    request.set_timeout(limit);
    match timeout(limit, call(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(InstanceError::of(about, status, begun.elapsed(), limit)),
        Err(_) => Err(InstanceError::Timeout(limit)),
    }
}
