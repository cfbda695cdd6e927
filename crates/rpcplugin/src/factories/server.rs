//! The plugin's factories.

use std::{fmt, net::IpAddr, path::PathBuf};

use rpcplugin_config::{PluginConfig, TransportKind};
use rpcplugin_core::{MagicCookie, Versions};
use rpcplugin_server::{BasicProtocol, PluginContext, Protocol, Serve};
use rpcplugin_transport::Services;

/// Where a plugin listens: pyvider's `transport`, `transport_path`, `host` and `port`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerTransport {
    /// As the configuration says.
    Configured,
    /// On a Unix socket: at this path, or at a fresh one in a private directory.
    Unix(Option<PathBuf>),
    /// On TCP, at this address and port; 0 takes any that is free.
    Tcp(IpAddr, u16),
}

/// A protocol made from a function. Made by [`plugin_protocol`].
pub struct FnProtocol<F> {
    versions: Versions,
    services: F,
}

/// A plugin that serves `protocol` where `transport` says, and is otherwise configured so. Run it with
/// [`Serve::main`] or [`Serve::run`].
///
/// ```no_run
/// use rpcplugin::{MagicCookie, ServerTransport, basic_protocol, config::PluginConfig, plugin_server};
///
/// let cookie = MagicCookie::new("KV_PLUGIN", "hello").expect("a key and a value");
/// let protocol = basic_protocol(1);
/// plugin_server(cookie, protocol, ServerTransport::Unix(None), PluginConfig::default()).main();
/// ```
pub fn plugin_server(
    cookie: MagicCookie,
    protocol: impl Protocol,
    transport: ServerTransport,
    mut config: PluginConfig,
) -> Serve {
    match transport {
        ServerTransport::Configured => {}
        ServerTransport::Unix(path) => {
            config.transports = vec![TransportKind::Unix];
            config.unix_socket_path = path;
        }
        ServerTransport::Tcp(host, port) => {
            config.transports = vec![TransportKind::Tcp];
            config.tcp_host = host;
            config.tcp_port = port.into();
        }
    }
    Serve::new(cookie).protocol(protocol).config(config)
}

/// A protocol in these versions whose services a function makes, once it is known which version is served.
///
/// ```no_run
/// # use rpcplugin::{Services, plugin_protocol};
/// # fn kv_server() -> tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health> {
/// #     tonic_health::server::health_reporter().1
/// # }
/// let protocol = plugin_protocol(1, |_context| Services::new().add(kv_server()));
/// ```
pub fn plugin_protocol<F>(versions: impl Into<Versions>, services: F) -> FnProtocol<F>
where
    F: Fn(&PluginContext) -> Services + Send + Sync + 'static,
{
    FnProtocol { versions: versions.into(), services }
}

/// A protocol in these versions that has no services of its own.
pub fn basic_protocol(versions: impl Into<Versions>) -> BasicProtocol {
    BasicProtocol::new(versions)
}

impl<F> Protocol for FnProtocol<F>
where
    F: Fn(&PluginContext) -> Services + Send + Sync + 'static,
{
    fn versions(&self) -> Versions {
        self.versions.clone()
    }

    fn services(&self, context: &PluginContext) -> Services {
        (self.services)(context)
    }
}

impl<F> fmt::Debug for FnProtocol<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnProtocol").field("versions", &self.versions).finish_non_exhaustive()
    }
}
