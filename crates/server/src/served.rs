//! Everything that a host can call.

use std::sync::Arc;

use rpcplugin_config::PluginConfig;
use rpcplugin_proto::{GrpcControllerServer, GrpcStdioServer};
use rpcplugin_transport::{MessageLimits, ServiceLayers, Services};

use crate::{
    context::PluginContext,
    controller::Controller,
    health::{HealthService, ServingStatus},
    output::Output,
    reflection,
    stdio::Stdio,
    under_way::UnderWay,
};

/// The plugin's own services, with the limits that are configured, and those of the protocol beside them.
///
/// A service of the plugin's own replaces one of the protocol with the same name.
pub(crate) fn services(
    own: Services,
    context: &PluginContext,
    config: &PluginConfig,
    descriptors: Vec<&'static [u8]>,
    output: &Arc<Output>,
    layers: &ServiceLayers,
    calls: &UnderWay,
) -> Services {
    let mut services = Services::new();
    if config.health {
        for name in own.names() {
            context.health.set_unless_known(name, ServingStatus::Serving);
        }
        services = services.add(HealthService::new(context.health.clone()));
    }
    services = services
        .merge(&context.broker.services())
        .add(GrpcControllerServer::new(Controller(context.ending.clone())))
        .add(GrpcStdioServer::new(Stdio(Arc::clone(output))))
        .merge(&limited(own, context, config, layers).layer(calls));
    if config.reflection {
        let mut names: Vec<_> = services.names().collect();
        names.extend(["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]);
        // In the order in which Go's plugins list them.
        names.sort_unstable();
        services = services.merge(&reflection::services(descriptors, names));
    }
    services
}

/// What is not limited costs nothing; a call without a trace hardly anything.
fn limited(
    own: Services,
    context: &PluginContext,
    config: &PluginConfig,
    layers: &ServiceLayers,
) -> Services {
    let bytes = |size: rpcplugin_config::ByteSize| size.as_u64();
    let limits = MessageLimits::new(
        config.max_receive_message_size.map(bytes),
        config.max_send_message_size.map(bytes),
    );
    let mut own = own.limited(limits);
    if let Some(limit) = &context.rate_limit {
        // Outside of the others: who is refused has cost nothing else.
        own = own.layer(limit);
    }
    // Outermost, so that what is refused is seen too.
    layers.wrap(own).traced()
}
