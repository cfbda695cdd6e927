//! Protocols that are written once and served by many plugins.

use rpcplugin_core::Versions;
use rpcplugin_transport::Services;

use crate::context::PluginContext;

/// An application's protocol as a value: what a library hands out to those who write plugins for it.
///
/// The names of the services are those of the services themselves; health and reflection learn them from there.
///
/// ```
/// use rpcplugin_core::Versions;
/// use rpcplugin_server::{PluginContext, Protocol};
/// use rpcplugin_transport::Services;
///
/// struct Greeting {
///     name: String,
/// }
///
/// impl Protocol for Greeting {
///     fn versions(&self) -> Versions {
///         Versions::from(1)
///     }
///
///     fn services(&self, context: &PluginContext) -> Services {
///         # let (_, greeter) = tonic_health::server::health_reporter();
///         // let greeter = GreeterServer::new(Greeter::new(self.name.clone(), context.broker.clone()));
///         Services::new().add(greeter)
///     }
/// }
/// ```
pub trait Protocol: Send + Sync + 'static {
    /// The versions of the protocol that can be served.
    fn versions(&self) -> Versions;

    /// Encoded `FileDescriptorSet`s of the services, for reflection. None unless implemented: reflection then only
    /// names them.
    fn descriptors(&self) -> Vec<&'static [u8]> {
        Vec::new()
    }

    /// Makes the services of the version that was agreed upon, which the context carries. Called once, before the host
    /// can call.
    fn services(&self, context: &PluginContext) -> Services;
}

/// A protocol without services of its own: a plugin that serves it has health, stdio, broker, controller and
/// reflection only. For tests of hosts.
#[derive(Debug, Clone)]
pub struct BasicProtocol {
    versions: Versions,
}

impl BasicProtocol {
    /// The protocol in these versions.
    pub fn new(versions: impl Into<Versions>) -> Self {
        Self { versions: versions.into() }
    }
}

impl Protocol for BasicProtocol {
    fn versions(&self) -> Versions {
        self.versions.clone()
    }

    fn services(&self, _: &PluginContext) -> Services {
        Services::new()
    }
}
