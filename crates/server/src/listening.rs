//! Where a plugin listens: by its configuration, and by what the host says.

use std::path::{Path, PathBuf};

use rpcplugin_broker::ListenAt;
use rpcplugin_config::{PluginConfig, TransportKind};
use rpcplugin_core::{Endpoint, SocketPath};
use rpcplugin_handshake::{PortRange, ReceivedEnv, variable};
use rpcplugin_transport::{Listener, SocketDir, SocketDirError, SocketGroup};

use crate::{
    error::ServeError,
    own_transport::{AnyListener, AnyTransport},
};

/// A socket that listens, and where brokered services shall listen.
pub(crate) struct Listening {
    pub(crate) listener: AnyListener,
    pub(crate) endpoint: Endpoint,
    pub(crate) place: ListenAt,
}

impl Listening {
    /// The directory that this plugin made for its sockets, if it made one.
    pub(crate) fn private_dir(&self, offer: &ReceivedEnv) -> Option<PathBuf> {
        match &self.place {
            ListenAt::Unix(dir) if offer.socket_dir.is_none() => Some(dir.path().to_owned()),
            _ => None,
        }
    }
}

/// Listens on the plugin's own transport, or on the first of those configured that works.
///
/// Only a place that nobody named is given up for another transport. A path, a directory or a group that somebody
/// asked for and cannot be had is an error: the host would look for the plugin elsewhere, or others would reach it. For the
/// latter reason a Unix socket, closed to other users, is given up for a port only if the connection is `mutual`.
pub(crate) async fn listen(
    config: &PluginConfig,
    offer: &ReceivedEnv,
    own: Option<AnyTransport>,
    mutual: bool,
) -> Result<Listening, ServeError> {
    if let Some(bind) = own {
        let (listener, endpoint) = bind().await.map_err(ServeError::OwnTransport)?;
        let place = match config.transports.first() {
            Some(TransportKind::Tcp) => tcp_place(config, offer)?,
            _ => ListenAt::Unix(socket_dir(offer)?),
        };
        return Ok(Listening { listener, endpoint, place });
    }
    let mut kinds = config.transports.iter().peekable();
    while let Some(kind) = kinds.next() {
        let listened = match kind {
            TransportKind::Unix => unix(config, offer),
            TransportKind::Tcp => tcp(config, offer).await,
            _ => continue,
        };
        match listened {
            Err(error) if kinds.peek().is_some() && may_be_given_up(*kind, config, offer, mutual) => {
                tracing::warn!(transport = ?kind, error = %error, "a transport does not work here; trying the next");
            }
            done => return done,
        }
    }
    Err(ServeError::NoTransport)
}

fn may_be_given_up(kind: TransportKind, config: &PluginConfig, offer: &ReceivedEnv, mutual: bool) -> bool {
    let named =
        config.unix_socket_path.is_some() || offer.socket_dir.is_some() || offer.socket_group.is_some();
    kind != TransportKind::Unix || (mutual && !named)
}

fn unix(config: &PluginConfig, offer: &ReceivedEnv) -> Result<Listening, ServeError> {
    let dir = socket_dir(offer)?;
    let listener = match &config.unix_socket_path {
        Some(path) => Listener::unix_at(&absolute(path)?, group(offer)?)?,
        None => Listener::unix_in(&dir)?,
    };
    Ok(listening(listener, ListenAt::Unix(dir)))
}

async fn tcp(config: &PluginConfig, offer: &ReceivedEnv) -> Result<Listening, ServeError> {
    let ports = ports(config, offer)?;
    let listener = Listener::tcp(config.tcp_host, ports.ports()).await?;
    Ok(listening(listener, tcp_place(config, offer)?))
}

fn listening(listener: Listener, place: ListenAt) -> Listening {
    let endpoint = listener.endpoint().clone();
    Listening { listener: AnyListener::new(listener), endpoint, place }
}

/// Brokered services listen on the host's ports too, also where the plugin has a port of its own, which is taken. A range of
/// one port says where the plugin listens, and is no room for anything else: then it is any port.
///
/// # Protocol
/// go-plugin `grpc_broker.go` `AcceptAndServe` listens by the same function as the plugin itself. Differs: there a range of
/// one port leaves the broker none.
fn tcp_place(config: &PluginConfig, offer: &ReceivedEnv) -> Result<ListenAt, ServeError> {
    let ports = match (config.tcp_port, offer.ports) {
        // Any port was asked for in spite of the host.
        (Some(0), _) => PortRange::ANY,
        (Some(_), offered) => offered.unwrap_or(PortRange::ANY),
        (None, _) => ports(config, offer)?,
    };
    let ports = match ports.ports() {
        one if one.start() == one.end() => PortRange::ANY.ports(),
        several => several,
    };
    Ok(ListenAt::Tcp { host: config.tcp_host, ports })
}

fn socket_dir(offer: &ReceivedEnv) -> Result<SocketDir, SocketDirError> {
    let group = group(offer)?;
    match &offer.socket_dir {
        Some(dir) => SocketDir::given(dir, group),
        None => SocketDir::private(group),
    }
}

fn group(offer: &ReceivedEnv) -> Result<Option<SocketGroup>, SocketDirError> {
    offer.socket_group.as_deref().map(SocketGroup::find).transpose()
}

/// An absolute path means the same to a host with another working directory.
fn absolute(path: &Path) -> Result<SocketPath, SocketDirError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    SocketPath::new(&path).map_err(|source| SocketDirError::Unfit { dir: path, source })
}

/// The plugin's own port if it has one, else the host's, else any.
fn ports(config: &PluginConfig, offer: &ReceivedEnv) -> Result<PortRange, ServeError> {
    if let Some(port) = config.tcp_port {
        return Ok(PortRange::new(port, port).expect("a port is not above itself"));
    }
    let fault =
        offer.faults.iter().find(|fault| matches!(fault.variable, variable::MIN_PORT | variable::MAX_PORT));
    match fault {
        Some(fault) => Err(ServeError::Ports(fault.clone())),
        None => Ok(offer.ports.unwrap_or(PortRange::ANY)),
    }
}

/// Removes a directory that the host made for this plugin's sockets and, having died, cannot remove itself.
///
/// Only one that is empty, and only if its name is of the kind that hosts give: anybody else's directory may be meant
/// to stay.
///
/// # Protocol
/// go-plugin `runner.go` and `client.go` make `plugin-dir*` in the temporary directory for one plugin each.
pub(crate) async fn remove_orphaned_dir(dir: &Path) {
    let made_for_one_plugin = dir
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| HOSTS_DIRS.iter().any(|prefix| name.starts_with(prefix)));
    if !made_for_one_plugin {
        return;
    }
    // The sockets of brokered services go a moment after the broker has closed.
    for _ in 0..20 {
        match rpcplugin_transport::remove_empty_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            _ => return,
        }
    }
}

/// How the directories begin that Go's hosts, and ours, make for a plugin.
const HOSTS_DIRS: [&str; 2] = ["plugin-dir", "rpcplugin-"];

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    #[test]
    fn a_socket_that_nobody_named_is_given_up_for_a_port_under_mutual_tls_only() {
        let (config, offer) = (PluginConfig::default(), ReceivedEnv::default());
        assert!(may_be_given_up(TransportKind::Unix, &config, &offer, true));
        assert!(!may_be_given_up(TransportKind::Unix, &config, &offer, false));
        assert!(may_be_given_up(TransportKind::Tcp, &config, &offer, false));
        let mut named = offer.clone();
        named.socket_dir = Some("/run/host".into());
        assert!(!may_be_given_up(TransportKind::Unix, &config, &named, true));
    }

    #[test]
    fn brokered_services_listen_on_the_hosts_ports() {
        let ports = |own: Option<u16>, offered: Option<(u16, u16)>| -> RangeInclusive<u16> {
            let mut config = PluginConfig::default();
            config.tcp_port = own;
            let ports = offered.map(|(min, max)| PortRange::new(min, max).expect("in order"));
            let offer = ReceivedEnv { ports, ..ReceivedEnv::default() };
            let place = tcp_place(&config, &offer).expect("no faults");
            let ListenAt::Tcp { ports, .. } = place else { panic!("{place:?}") };
            ports
        };
        assert_eq!(ports(None, Some((5000, 5999))), 5000..=5999);
        assert_eq!(ports(Some(80), Some((5000, 5999))), 5000..=5999, "its own is taken");
        for own in [None, Some(0), Some(80)] {
            assert_eq!(ports(own, None), 0..=0);
        }
        assert_eq!(ports(Some(0), Some((5000, 5999))), 0..=0);
        assert_eq!(ports(None, Some((5000, 5000))), 0..=0, "the plugin itself is there");
    }
}
