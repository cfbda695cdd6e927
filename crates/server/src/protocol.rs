//! Application protocols that are written once and served by many plugins.

use rpcplugin_core::Versions;
use rpcplugin_transport::Services;

use crate::context::PluginContext;

/// An application's protocol as a value. A library exports such a value to authors of plugins.
///
/// Health and reflection take the names of the services from the services themselves.
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
    /// Returns the versions of the protocol that can be served.
    fn versions(&self) -> Versions;

    /// Returns encoded `FileDescriptorSet`s of the services, for reflection. Without them, which is the default, reflection
    /// only lists the names of the services.
    fn descriptors(&self) -> Vec<&'static [u8]> {
        Vec::new()
    }

    /// Makes the services of the agreed version, [`PluginContext::version`]. Called once, before the host can call.
    fn services(&self, context: &PluginContext) -> Services;
}

/// A protocol without services, for tests of hosts. A plugin that serves this protocol has only health, stdio, broker,
/// controller and reflection.
#[derive(Debug, Clone)]
pub struct BasicProtocol {
    versions: Versions,
}

impl BasicProtocol {
    /// Makes the protocol with these versions.
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
