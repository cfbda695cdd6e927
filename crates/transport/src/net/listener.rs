//! Listening on an endpoint.

use std::{io, net::SocketAddr, ops::RangeInclusive, time::Duration};

use rpcplugin_core::{Endpoint, SocketPath};
use tokio::{net::TcpListener, time::Instant};

use super::{
    inherited::{InheritedConnection, InheritedListener, MAIN},
    pending::make_room,
    stream::Stream,
    unix::{Occupant, SocketDir, SocketDirError, SocketFile, SocketGroup, clear, occupant, warn_if_open},
};
use crate::os::{
    descriptors::is_shortage,
    sockets::{self, UnixListener},
};

/// A source of incoming streams.
pub trait Listen: Send + 'static {
    /// Returns the next stream, or `None` when there will be no further stream.
    ///
    /// The listener handles temporary failures itself, such as too many open files. It closes a connection on which no
    /// call was made, or waits, and tries again.
    ///
    /// # Cancel safety
    /// Dropping the future loses no stream.
    fn accept(&mut self) -> impl Future<Output = Option<Stream>> + Send;
}

/// A listening socket. Dropping it closes the socket and removes the socket's file.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    endpoint: Endpoint,
    failures: Failures,
}

/// Counts failed accepts, which may come in masses, and limits how often they are logged.
#[derive(Debug, Default)]
struct Failures {
    logged: Option<Instant>,
    /// The failures since then.
    count: u64,
}

impl Failures {
    fn note(&mut self, endpoint: &Endpoint, error: &io::Error) {
        self.count += 1;
        if self.logged.is_none_or(|last| last.elapsed() >= LOG_PAUSE) {
            tracing::warn!(
                %endpoint, %error, failures = self.count,
                "cannot accept connections; trying again, and logging failures once a minute"
            );
            *self = Self { logged: Some(Instant::now()), count: 0 };
        }
    }
}

#[derive(Debug)]
enum Socket {
    Unix { socket: UnixListener, _file: Option<SocketFile> },
    Tcp(TcpListener),
    Inherited(InheritedListener),
}

/// An endpoint could not be bound.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum BindError {
    /// Another process listens on the socket.
    #[error("another process listens on {}", path.as_path().display())]
    #[diagnostic(
        code(rpcplugin::transport::socket_in_use),
        help("stop that process, or choose another path: a socket in use is not replaced")
    )]
    InUse {
        /// The socket.
        path: SocketPath,
    },
    /// The file at the path is not a socket.
    #[error("{} exists and is not a socket", path.as_path().display())]
    #[diagnostic(
        code(rpcplugin::transport::not_a_socket),
        help("choose another path: a file that is not a socket is not deleted")
    )]
    NotASocket {
        /// The path.
        path: SocketPath,
    },
    /// The operating system does not let this process listen there.
    #[error("cannot listen on {endpoint}")]
    #[diagnostic(
        code(rpcplugin::transport::cannot_bind),
        help("{}", match source.kind() {
            io::ErrorKind::NotFound => "make the directory, or choose another: it does not exist",
            io::ErrorKind::PermissionDenied => "choose a directory in which this user may write, or a port above 1023",
            io::ErrorKind::AddrInUse => "choose another address, or let the system choose: another process listens there",
            io::ErrorKind::AddrNotAvailable => "choose an address of a network interface of this machine",
            _ => "choose another path or address",
        })
    )]
    Refused {
        /// The endpoint.
        endpoint: Endpoint,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Every port of the range is taken.
    #[error("no port is free on {host}: tried {}", tried(ports))]
    #[diagnostic(
        code(rpcplugin::transport::no_free_port),
        help("widen the range of ports, or use port 0 to let the operating system choose")
    )]
    NoFreePort {
        /// The address on which to listen.
        host: std::net::IpAddr,
        /// The ports that were tried.
        ports: RangeInclusive<u16>,
        /// The error of the operating system for the last port.
        source: io::Error,
    },
    /// The socket's directory cannot be used, or the socket cannot be shared.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dir(#[from] SocketDirError),
}

impl Listener {
    /// Listens on a Unix socket under a fresh name in `dir`. The socket is open to this user and to the directory's group.
    ///
    /// # Errors
    /// [`BindError`].
    ///
    /// # Panics
    /// Panics outside a tokio runtime.
    pub fn unix_in(dir: &SocketDir) -> Result<Self, BindError> {
        // Random digits after `plugin`, as go-plugin names its sockets. In a shared directory a name may be taken, but
        // hardly twice.
        let mut last = None;
        for _ in 0..8 {
            let path = dir.name(&format!("plugin{}", fastrand::u64(..10_000_000_000)))?;
            match bind_unix(&path, dir.group(), Some(dir.clone())) {
                Err(BindError::Refused { source, endpoint }) if source.kind() == io::ErrorKind::AddrInUse => {
                    last = Some(BindError::Refused { source, endpoint });
                }
                done => return done,
            }
        }
        Err(last.expect("the loop ran at least once without returning"))
    }

    /// Listens on a Unix socket at `path`. The socket is open to this user and `group`.
    ///
    /// A stale socket at the path is replaced. If several processes find the same stale socket, none replaces the
    /// socket of another. On Linux other users can connect at no moment.
    ///
    /// # Errors
    /// [`BindError::InUse`] or [`BindError::NotASocket`] when the path is taken. The file there is left alone.
    ///
    /// # Panics
    /// Panics outside a tokio runtime.
    pub fn unix_at(path: &SocketPath, group: Option<SocketGroup>) -> Result<Self, BindError> {
        if path.abstract_name().is_none() {
            let refused = |source| BindError::Refused { endpoint: path.clone().into(), source };
            if let Some(dir) = path.as_path().parent() {
                warn_if_open(dir);
            }
            match occupant(path.as_path()).map_err(refused)? {
                Occupant::Nothing => {}
                Occupant::Stale if clear(path.as_path()).map_err(refused)? => {}
                Occupant::Stale | Occupant::Live => return Err(BindError::InUse { path: path.clone() }),
                Occupant::Other => return Err(BindError::NotASocket { path: path.clone() }),
            }
        }
        bind_unix(path, group, None)
    }

    /// Listens on a TCP port: the first of `ports`, in ascending order, that is free on `host`. For port 0 the
    /// operating system chooses a port.
    ///
    /// # Errors
    /// [`BindError::NoFreePort`] when all ports are taken, [`BindError::Refused`] for other reasons.
    ///
    /// # Protocol
    /// go-plugin `server.go` `serverListener_tcp`: ascending, both ends included.
    pub async fn tcp(host: std::net::IpAddr, ports: RangeInclusive<u16>) -> Result<Self, BindError> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for port in ports.clone() {
            let address = SocketAddr::new(host, port);
            let bound =
                TcpListener::bind(address).await.and_then(|socket| Ok((socket.local_addr()?, socket)));
            match bound {
                Ok((address, socket)) => {
                    return Ok(Self::new(Socket::Tcp(socket), address.into()));
                }
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) =>
                {
                    last = error;
                }
                Err(source) => return Err(BindError::Refused { endpoint: address.into(), source }),
            }
        }
        Err(BindError::NoFreePort { host, ports, source: last })
    }

    /// Listens behind an inherited connection: as the plugin itself, for the main connection.
    #[must_use]
    pub fn inherited_main(connection: &InheritedConnection) -> Self {
        Self::inherited(connection.listen(Some(MAIN)))
    }

    /// Listens behind an inherited connection, under a number that no other listener of this side has.
    #[must_use]
    pub fn inherited_other(connection: &InheritedConnection) -> Self {
        Self::inherited(connection.listen(None))
    }

    fn inherited(listener: InheritedListener) -> Self {
        let endpoint = listener.endpoint();
        Self::new(Socket::Inherited(listener), endpoint)
    }

    fn new(socket: Socket, endpoint: Endpoint) -> Self {
        Self { socket, endpoint, failures: Failures::default() }
    }

    /// The endpoint to which peers connect.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Listen for Listener {
    async fn accept(&mut self) -> Option<Stream> {
        loop {
            let accepted = match &mut self.socket {
                Socket::Unix { socket, .. } => socket.accept().await.map(|(stream, _)| Stream::unix(stream)),
                Socket::Tcp(socket) => socket.accept().await.map(|(stream, _)| {
                    // As in `dial`.
                    let _ = stream.set_nodelay(true);
                    Stream::Tcp(stream)
                }),
                Socket::Inherited(listener) => return listener.accept().await,
            };
            match accepted {
                Ok(stream) => return Some(stream),
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    self.failures.note(&self.endpoint, &error);
                    if !(is_shortage(&error) && make_room().await) {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
}

fn bind_unix(
    path: &SocketPath,
    group: Option<SocketGroup>,
    dir: Option<SocketDir>,
) -> Result<Listener, BindError> {
    let socket = sockets::listen_closed(path)
        .map_err(|source| BindError::Refused { endpoint: path.clone().into(), source })?;
    let file = match path.abstract_name() {
        Some(_) => None,
        None => Some(SocketFile::new(path, group, dir)?),
    };
    Ok(Listener::new(Socket::Unix { socket, _file: file }, path.clone().into()))
}

/// Whether an accept failed because the peer has closed the connection again.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Prints a port or a range of ports.
fn tried(ports: &RangeInclusive<u16>) -> String {
    match (ports.start(), ports.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    }
}

/// The interval between logged failures.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// How long to wait for a free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::net::dial;

    fn mode(path: &std::path::Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn a_private_socket_is_closed_to_others_and_leaves_nothing() {
        let dir = SocketDir::private(None).expect("a directory");
        let mut listener = Listener::unix_in(&dir).expect("bound");
        let Endpoint::Unix(path) = listener.endpoint().clone() else { panic!("a unix socket") };
        assert_eq!((mode(dir.path()), mode(path.as_path())), (0o700, 0o600));
        let endpoint = listener.endpoint().clone();
        let (dialled, accepted) = tokio::join!(dial(&endpoint), listener.accept());
        assert!(dialled.is_ok() && accepted.is_some());
        let path = dir.path().to_owned();
        drop(dir);
        assert!(path.exists(), "the listener is in it");
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_group_shares_directory_and_socket() {
        let group = SocketGroup::find(&nix::unistd::getegid().to_string()).expect("a number");
        let dir = SocketDir::private(Some(group)).expect("a directory");
        let listener = Listener::unix_in(&dir).expect("bound");
        let Endpoint::Unix(path) = listener.endpoint() else { panic!("a unix socket") };
        assert_eq!((mode(dir.path()), mode(path.as_path())), (0o770, 0o660));
        assert!(matches!(SocketGroup::find("no such group"), Err(SocketDirError::UnknownGroup { .. })));
    }

    #[tokio::test]
    async fn only_a_stale_socket_is_replaced() {
        let dir = SocketDir::private(None).expect("a directory");
        let path = dir.name("given").expect("it fits");
        // The socket of a process that died: bound, closed, not removed.
        drop(std::os::unix::net::UnixListener::bind(path.as_path()).expect("bound"));
        let live = Listener::unix_at(&path, None).expect("replaces the stale one");
        assert!(matches!(Listener::unix_at(&path, None), Err(BindError::InUse { .. })));
        drop(live);
        assert!(!path.as_path().exists());
        fs::write(path.as_path(), "precious").expect("written");
        assert!(matches!(Listener::unix_at(&path, None), Err(BindError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(path.as_path()).expect("still there"), "precious");
    }

    #[tokio::test]
    async fn a_file_that_replaced_the_socket_is_left_alone() {
        let dir = SocketDir::private(None).expect("a directory");
        let listener = Listener::unix_in(&dir).expect("bound");
        let Endpoint::Unix(path) = listener.endpoint().clone() else { panic!("a unix socket") };
        fs::remove_file(path.as_path()).expect("removed");
        fs::write(path.as_path(), "another file").expect("written");
        drop(listener);
        assert!(path.as_path().exists());
    }

    #[tokio::test]
    async fn a_directory_that_is_too_long_for_sockets_is_refused() {
        let deep = tempfile::tempdir().expect("a directory");
        let deep = deep.path().join("x".repeat(100));
        fs::create_dir(&deep).expect("made");
        assert!(matches!(SocketDir::private_in(&deep, None), Err(SocketDirError::Unfit { .. })));
        assert_eq!(fs::read_dir(&deep).expect("readable").count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn the_first_free_port_of_a_range_is_taken() {
        let localhost = std::net::IpAddr::from([127, 0, 0, 1]);
        let any = Listener::tcp(localhost, 0..=0).await.expect("any port");
        let Endpoint::Tcp(taken) = any.endpoint().clone() else { panic!("a tcp port") };
        let error = Listener::tcp(localhost, taken.port()..=taken.port()).await.expect_err("taken");
        assert!(matches!(error, BindError::NoFreePort { .. }));
        assert_eq!(error.to_string(), format!("no port is free on 127.0.0.1: tried {}", taken.port()));
        let v6 = Listener::tcp(std::net::Ipv6Addr::LOCALHOST.into(), 0..=0).await.expect("IPv6");
        assert!(v6.endpoint().address().starts_with("[::1]:"));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn abstract_sockets_need_no_file() {
        let path = SocketPath::new(format!("@rpcplugin-test-{}", std::process::id())).expect("it fits");
        let mut listener = Listener::unix_at(&path, None).expect("bound");
        let endpoint = listener.endpoint().clone();
        let (dialled, accepted) = tokio::join!(dial(&endpoint), listener.accept());
        assert!(dialled.is_ok() && accepted.is_some());
    }
}
