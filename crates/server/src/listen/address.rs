//! The plugin's address, from its configuration and the host's variables.

use std::path::{Path, PathBuf};

use rpcplugin_broker::ListenAt;
use rpcplugin_config::{PluginConfig, TcpPort, TransportKind};
use rpcplugin_core::{Endpoint, SocketPath, TcpPorts};
use rpcplugin_handshake::{ReceivedEnv, variable};
use rpcplugin_transport::{InheritedConnection, Listener, SocketDir, SocketDirError, SocketGroup};

use super::custom::{AnyListener, AnyTransport};
use crate::{error::ServeError, os};

/// A listening socket, and where brokered services listen.
pub(crate) struct Listening {
    pub(crate) listener: AnyListener,
    pub(crate) endpoint: Endpoint,
    pub(crate) listen_at: ListenAt,
}

impl Listening {
    /// Returns the directory that the plugin has made for its sockets, if it has made one.
    pub(crate) fn private_dir(&self, env: &ReceivedEnv) -> Option<PathBuf> {
        match &self.listen_at {
            ListenAt::Unix(dir) if env.socket_dir.is_none() => Some(dir.path().to_owned()),
            _ => None,
        }
    }
}

/// Whether a plugin may listen behind an inherited connection: nothing in the configuration names another place.
pub(crate) fn may_inherit(config: &PluginConfig, custom: Option<&AnyTransport>) -> bool {
    custom.is_none() && config.unix_socket_path.is_none() && config.transports.contains(&TransportKind::Unix)
}

/// Listens behind the connection that the plugin has inherited.
pub(crate) fn listen_inherited(connection: &InheritedConnection) -> Listening {
    listening(Listener::inherited_main(connection), ListenAt::Inherited(connection.clone()))
}

/// Listens on the plugin's custom transport, or on the first configured transport that works.
///
/// A system without Unix sockets does not try them, unless the plugin has a path for its socket: this is then an error. There
/// a plugin listens on a port also without mutual TLS, as Go's plugins do.
///
/// A path, a directory or a group that is set and cannot be used is an error, because the host expects the plugin there. If
/// none of these is set, the next transport is tried. Other users of the machine cannot reach a Unix socket, but can reach a
/// port. Therefore a port replaces a Unix socket only if the connections use `mutual` TLS.
pub(crate) async fn listen(
    config: &PluginConfig,
    env: &ReceivedEnv,
    custom: Option<AnyTransport>,
    mutual: bool,
) -> Result<Listening, ServeError> {
    if let Some(bind) = custom {
        let (listener, endpoint) = bind().await.map_err(ServeError::CustomTransport)?;
        let listen_at = match transports(config).next() {
            Some(TransportKind::Tcp) => tcp_listen_at(config, env)?,
            _ => ListenAt::Unix(socket_dir(env)?),
        };
        return Ok(Listening { listener, endpoint, listen_at });
    }
    let mut kinds = transports(config).peekable();
    while let Some(kind) = kinds.next() {
        let listened = match kind {
            TransportKind::Unix => unix(config, env),
            TransportKind::Tcp => tcp(config, env).await,
            _ => continue,
        };
        match listened {
            Err(error) if kinds.peek().is_some() && may_try_next(kind, config, env, mutual) => {
                tracing::warn!(transport = ?kind, error = %error, "a transport does not work here; trying the next");
            }
            done => return done,
        }
    }
    Err(ServeError::NoTransport)
}

/// The configured transports that are tried on this system.
fn transports(config: &PluginConfig) -> impl Iterator<Item = TransportKind> {
    let unix = os::HAS_UNIX_SOCKETS || config.unix_socket_path.is_some();
    config.transports.iter().copied().filter(move |kind| unix || *kind != TransportKind::Unix)
}

fn may_try_next(kind: TransportKind, config: &PluginConfig, env: &ReceivedEnv, mutual: bool) -> bool {
    let named = config.unix_socket_path.is_some() || env.socket_dir.is_some() || env.socket_group.is_some();
    kind != TransportKind::Unix || (mutual && !named)
}

fn unix(config: &PluginConfig, env: &ReceivedEnv) -> Result<Listening, ServeError> {
    let dir = socket_dir(env)?;
    let listener = match &config.unix_socket_path {
        Some(path) => Listener::unix_at(&absolute(path)?, group(env)?)?,
        None => Listener::unix_in(&dir)?,
    };
    Ok(listening(listener, ListenAt::Unix(dir)))
}

async fn tcp(config: &PluginConfig, env: &ReceivedEnv) -> Result<Listening, ServeError> {
    let ports = ports(config, env)?;
    let listener = Listener::tcp(config.tcp_host, ports.numbers()).await?;
    Ok(listening(listener, tcp_listen_at(config, env)?))
}

fn listening(listener: Listener, listen_at: ListenAt) -> Listening {
    let endpoint = listener.endpoint().clone();
    Listening { listener: AnyListener::new(listener), endpoint, listen_at }
}

/// Returns where brokered services listen on TCP: on the host's ports, also if the plugin has a port of its own. If the host's
/// range has only one port, the plugin itself listens there, and brokered services listen on any port.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `AcceptAndServe` listens by the same function as the plugin itself. Differs: there a range of
/// one port leaves no port for the broker.
fn tcp_listen_at(config: &PluginConfig, env: &ReceivedEnv) -> Result<ListenAt, ServeError> {
    let ports = match config.tcp_port {
        TcpPort::Any => TcpPorts::Any,
        TcpPort::Fixed(_) => env.ports.unwrap_or(os::DEFAULT_PORTS),
        TcpPort::FromHost => ports(config, env)?,
    };
    let ports = match ports {
        TcpPorts::Range(range) if range.min() == range.max() => TcpPorts::Any,
        several => several,
    };
    Ok(ListenAt::Tcp { host: config.tcp_host, ports: ports.numbers() })
}

fn socket_dir(env: &ReceivedEnv) -> Result<SocketDir, SocketDirError> {
    let group = group(env)?;
    match &env.socket_dir {
        Some(dir) => SocketDir::given(dir, group),
        None => SocketDir::private(group),
    }
}

fn group(env: &ReceivedEnv) -> Result<Option<SocketGroup>, SocketDirError> {
    env.socket_group.as_deref().map(SocketGroup::find).transpose()
}

/// Makes a path absolute, because the host may have another working directory.
fn absolute(path: &Path) -> Result<SocketPath, SocketDirError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    SocketPath::new(&path).map_err(|source| SocketDirError::Unfit { dir: path, source })
}

/// Returns the plugin's own port, or else the host's ports, or else the ports that are usual on this system.
fn ports(config: &PluginConfig, env: &ReceivedEnv) -> Result<TcpPorts, ServeError> {
    match config.tcp_port {
        TcpPort::Any => return Ok(TcpPorts::Any),
        TcpPort::Fixed(port) => return Ok(TcpPorts::Range(port.into())),
        TcpPort::FromHost => {}
    }
    let fault =
        env.faults.iter().find(|fault| matches!(fault.variable, variable::MIN_PORT | variable::MAX_PORT));
    match fault {
        Some(fault) => Err(ServeError::HostPorts(fault.clone())),
        None => Ok(env.ports.unwrap_or(os::DEFAULT_PORTS)),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    #[test]
    fn a_socket_is_tried_where_there_are_sockets_or_a_path_is_set() {
        let mut config = PluginConfig::default();
        let tries_unix = |config: &PluginConfig| transports(config).any(|kind| kind == TransportKind::Unix);
        assert_eq!(tries_unix(&config), os::HAS_UNIX_SOCKETS);
        config.unix_socket_path = Some("/run/plugin.sock".into());
        assert!(tries_unix(&config));
        config.transports = vec![TransportKind::Tcp];
        assert!(!tries_unix(&config));
    }

    #[test]
    fn a_port_replaces_a_socket_only_without_a_set_path_and_under_mutual_tls() {
        let (config, env) = (PluginConfig::default(), ReceivedEnv::default());
        assert!(may_try_next(TransportKind::Unix, &config, &env, true));
        assert!(!may_try_next(TransportKind::Unix, &config, &env, false));
        assert!(may_try_next(TransportKind::Tcp, &config, &env, false));
        let mut named = env.clone();
        named.socket_dir = Some("/run/host".into());
        assert!(!may_try_next(TransportKind::Unix, &config, &named, true));
    }

    #[test]
    fn brokered_services_listen_on_the_hosts_ports() {
        let ports = |own: TcpPort, offered: Option<(u16, u16)>| -> RangeInclusive<u16> {
            let mut config = PluginConfig::default();
            config.tcp_port = own;
            let ports = offered.map(|(min, max)| TcpPorts::between(min, max).expect("in order"));
            let env = ReceivedEnv { ports, ..ReceivedEnv::default() };
            let listen_at = tcp_listen_at(&config, &env).expect("no faults");
            let ListenAt::Tcp { ports, .. } = listen_at else { panic!("{listen_at:?}") };
            ports
        };
        assert_eq!(ports(TcpPort::FromHost, Some((5000, 5999))), 5000..=5999);
        assert_eq!(ports(80.into(), Some((5000, 5999))), 5000..=5999, "the plugin listens on its own port");
        for own in [TcpPort::FromHost, 80.into()] {
            assert_eq!(ports(own, None), os::DEFAULT_PORTS.numbers());
        }
        assert_eq!(ports(TcpPort::Any, None), 0..=0);
        assert_eq!(ports(TcpPort::Any, Some((5000, 5999))), 0..=0);
        assert_eq!(ports(TcpPort::FromHost, Some((5000, 5000))), 0..=0, "the plugin listens there");
    }
}
