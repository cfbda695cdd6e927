//! The services that every plugin offers to its host beside its own.

mod controller;
mod health;
mod metadata;
mod reflection;
mod stdio;

use std::sync::Arc;

use rpcplugin_broker::Broker;
use rpcplugin_config::PluginConfig;
use rpcplugin_core::PluginMetadata;
use rpcplugin_proto::{GrpcControllerServer, GrpcStdioServer, METADATA_DESCRIPTOR_SET, PluginMetadataServer};
use rpcplugin_transport::Services;

pub use health::{Health, ServingStatus};

use self::{controller::Controller, health::HealthService, metadata::Metadata, stdio::Stdio};
use crate::{instances::ServeInstances, layers, shutdown::Shutdown, stdio::CaptureBuffer};

/// The parts of the plugin on which the built-in services work.
pub(crate) struct BuiltIn<'a> {
    pub(crate) health: &'a Health,
    pub(crate) broker: &'a Broker,
    pub(crate) shutdown: &'a Shutdown,
    pub(crate) output: &'a Arc<CaptureBuffer>,
    pub(crate) instances: Option<&'a dyn ServeInstances>,
    /// What the plugin is. The service is served only with it.
    pub(crate) metadata: Option<&'a PluginMetadata>,
}

impl BuiltIn<'_> {
    /// The built-in services together with the plugin's own. If both have a service of the same name, the plugin's own
    /// is served.
    pub(crate) fn with(
        self,
        own: &Services,
        config: &PluginConfig,
        mut descriptors: Vec<&'static [u8]>,
    ) -> Services {
        let mut services = Services::new();
        if config.health {
            for name in own.names() {
                self.health.set_unless_known(name, ServingStatus::Serving);
            }
            services = services.add(HealthService::new(self.health.clone()));
        }
        services = services
            .merge(&self.broker.services())
            .add(GrpcControllerServer::new(Controller(self.shutdown.clone())))
            .add(GrpcStdioServer::new(Stdio(Arc::clone(self.output))));
        if let Some(instances) = self.instances {
            services = services.merge(&instances.services(config.grace, layers::message_limits(config)));
        }
        if let Some(metadata) = self.metadata {
            services = services.add(PluginMetadataServer::new(Metadata::new(metadata)));
            descriptors.push(METADATA_DESCRIPTOR_SET);
        }
        services = services.merge(own);
        if config.reflection {
            let mut names: Vec<_> = services.names().collect();
            names.extend(["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]);
            // In the order in which Go's plugins list them.
            names.sort_unstable();
            services = services.merge(&reflection::services(descriptors, names));
        }
        services
    }
}
