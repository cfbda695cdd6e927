//! The plugin by pyvider's names.

use std::{fmt, net::IpAddr, path::PathBuf};

use rpcplugin_config::{PluginConfig, TransportKind};
use rpcplugin_core::{MagicCookie, Versions};
use rpcplugin_server::{BasicProtocol, PluginContext, Protocol, Serve};
use rpcplugin_transport::Services;

/// Where a plugin listens: pyvider's `transport`, `transport_path`, `host` and `port`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerTransport {
    /// Where the configuration says.
    Configured,
    /// On a Unix socket at this path. Without a path, the plugin makes a socket in a private directory.
    Unix(Option<PathBuf>),
    /// On this TCP address and port. Port 0 is any free port.
    Tcp(IpAddr, u16),
}

/// A protocol that a function implements. Made by [`plugin_protocol`].
pub struct FnProtocol<F> {
    versions: Versions,
    services: F,
}

/// Makes a plugin that serves `protocol` on `transport`. Run it with [`Serve::main`] or [`Serve::run`].
///
/// ```no_run
/// use rpcplugin::MagicCookie;
/// use rpcplugin::{config::PluginConfig, pyvider::{ServerTransport, basic_protocol, plugin_server}};
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

/// Makes a protocol from a function. The function is called once, after the handshake, with the negotiated version in
/// its context, and returns the services to serve.
///
/// ```no_run
/// # use rpcplugin::{Services, pyvider::plugin_protocol};
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

/// Makes a protocol without services.
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
