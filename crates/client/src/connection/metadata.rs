//! The metadata call, and the check of what depends on it.

use std::time::Duration;

use rpcplugin_core::{PluginMetadata, semver::Version};
use rpcplugin_proto::{GetMetadataRequest, PluginMetadataClient};
use rpcplugin_transport::http2::PluginChannel;
use tokio::time::timeout;
use tonic::Code;

use super::open::{KnownMetadata, Opened};
use crate::{
    error::{MetadataCallError, RequirementFault},
    requirements::{Requirements, check_host},
};

/// Asks the plugin for its metadata. `None` if the plugin does not serve any.
async fn metadata(
    channel: PluginChannel,
    limit: Duration,
) -> Result<Option<PluginMetadata>, MetadataCallError> {
    let mut client = PluginMetadataClient::new(channel).max_decoding_message_size(LONGEST);
    let reported = match timeout(limit, client.get_metadata(GetMetadataRequest {})).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) if status.code() == Code::Unimplemented => return Ok(None),
        Ok(Err(status)) => return Err(status.into()),
        Err(_) => return Err(MetadataCallError::Timeout(limit)),
    };
    Ok(Some(PluginMetadata::parse(
        reported.name,
        &reported.version,
        reported.build,
        reported.capabilities,
        reported.minimum_host_version.as_deref(),
    )?))
}

/// The metadata of a plugin: what it answered before, or what it answers now.
pub(crate) async fn known(
    known: &KnownMetadata,
    channel: PluginChannel,
    limit: Duration,
) -> Result<Option<&PluginMetadata>, MetadataCallError> {
    Ok(known.get_or_try_init(|| metadata(channel, limit)).await?.as_ref())
}

impl Opened {
    /// Makes sure that host and plugin meet the requirements of each other. Calls the plugin only if there are any: if the host requires
    /// something of the plugin with this name, or has a version that the plugin may refuse.
    pub(crate) async fn check_requirements(
        &self,
        name: &str,
        requirements: Option<&Requirements>,
        host: Option<&Version>,
        limit: Duration,
    ) -> Result<(), RequirementFault> {
        let requirements = requirements.filter(|requirements| !requirements.is_empty());
        if requirements.is_none() && host.is_none() {
            return Ok(());
        }
        let known = known(&self.metadata, self.channel.clone(), limit).await?;
        if let Some(requirements) = requirements {
            requirements.check(name, known)?;
        }
        match (host, known) {
            (Some(host), Some(known)) => check_host(host, known),
            _ => Ok(()),
        }
    }
}

/// The longest response, in bytes. The limits of the values allow for half of it.
const LONGEST: usize = 64 * 1024;
