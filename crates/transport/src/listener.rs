//! Listening on an endpoint.

use std::{io, net::SocketAddr, ops::RangeInclusive, time::Duration};

use rpcplugin_core::{Endpoint, SocketPath};
use rustix::io::Errno;
use tokio::{
    net::{TcpListener, UnixListener},
    time::Instant,
};

use crate::{
    newcomers::make_room,
    socket::{
        Occupant, SocketDir, SocketDirError, SocketFile, SocketGroup, address, clear, listen_closed,
        occupant, random_digits, warn_if_open,
    },
    stream::Stream,
};

/// A source of incoming streams.
pub trait Listen: Send + 'static {
    /// The next stream, or `None` when there will be no more.
    ///
    /// Failures that pass, such as too many open files, are the listener's own business: it makes room, if connections are
    /// there on which nothing was called, or waits, and tries again.
    ///
    /// # Cancel safety
    /// Dropping the future loses no stream.
    fn accept(&mut self) -> impl Future<Output = Option<Stream>> + Send;
}

/// A socket that is bound and listens. Dropping it closes it and removes its file.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    endpoint: Endpoint,
    failures: Failures,
}

/// Accepts that failed. They come in masses; their log must not.
#[derive(Debug, Default)]
struct Failures {
    logged: Option<Instant>,
    /// Since then.
    count: u64,
}

impl Failures {
    fn note(&mut self, endpoint: &Endpoint, error: &io::Error) {
        self.count += 1;
        if self.logged.is_none_or(|last| last.elapsed() >= LOG_PAUSE) {
            tracing::warn!(
                %endpoint, %error, failures = self.count,
                "cannot accept connections; will go on trying, and say so once a minute"
            );
            *self = Self { logged: Some(Instant::now()), count: 0 };
        }
    }
}

#[derive(Debug)]
enum Socket {
    Unix { socket: UnixListener, _file: Option<SocketFile> },
    Tcp(TcpListener),
}

/// An endpoint could not be bound.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum BindError {
    /// Somebody listens on the socket.
    #[error("another process listens on {}", path.as_path().display())]
    #[diagnostic(
        code(rpcplugin::transport::in_use),
        help("stop that process, or choose another path; a socket that is in use is never taken over")
    )]
    InUse {
        /// The socket.
        path: SocketPath,
    },
    /// What stands at the path is no socket.
    #[error("{} exists and is not a socket", path.as_path().display())]
    #[diagnostic(
        code(rpcplugin::transport::not_a_socket),
        help("choose another path; a file that is not a socket is never deleted")
    )]
    NotASocket {
        /// The path.
        path: SocketPath,
    },
    /// The operating system refuses.
    #[error("cannot listen on {endpoint}")]
    #[diagnostic(
        code(rpcplugin::transport::cannot_bind),
        help("{}", match source.kind() {
            io::ErrorKind::NotFound => "the directory does not exist: make it, or choose another",
            io::ErrorKind::PermissionDenied => "this user may not: choose a directory it may write to, or a port above 1023",
            io::ErrorKind::AddrInUse => "another process listens there: choose another, or let the system choose",
            io::ErrorKind::AddrNotAvailable => "the address belongs to no interface of this machine",
            _ => "choose another path or address",
        })
    )]
    Refused {
        /// Where.
        endpoint: Endpoint,
        /// What the operating system says.
        source: io::Error,
    },
    /// Every port of the range is taken.
    #[error("no port is free on {host}: tried {}", tried(ports))]
    #[diagnostic(
        code(rpcplugin::transport::no_free_port),
        help("widen the range of ports, or use 0 to let the operating system choose")
    )]
    NoFreePort {
        /// The address on which to listen.
        host: std::net::IpAddr,
        /// The ports that were tried.
        ports: RangeInclusive<u16>,
        /// What the operating system said of the last.
        source: io::Error,
    },
    /// There is no place for the socket, or it cannot be shared.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dir(#[from] SocketDirError),
}

impl Listener {
    /// A Unix socket under a fresh name in `dir`, open to this user and the directory's group.
    ///
    /// # Errors
    /// [`BindError`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn unix_in(dir: &SocketDir) -> Result<Self, BindError> {
        // Random digits after `plugin`, as go-plugin names its sockets. In a directory shared with others a name can
        // be taken, but hardly twice.
        let mut last = None;
        for _ in 0..8 {
            let path = dir.name(&format!("plugin{}", random_digits()))?;
            match bind_unix(&path, dir.group(), Some(dir.clone())) {
                Err(BindError::Refused { source, endpoint }) if source.kind() == io::ErrorKind::AddrInUse => {
                    last = Some(BindError::Refused { source, endpoint });
                }
                done => return done,
            }
        }
        Err(last.expect("the loop ran at least once without returning"))
    }

    /// A Unix socket at `path`, open to this user and `group`. A stale socket there is replaced; of several processes that
    /// find the same one, none takes the place of another. On Linux there is no moment in which others can connect.
    ///
    /// # Errors
    /// [`BindError::InUse`] or [`BindError::NotASocket`] when something else is there, which is left alone.
    ///
    /// # Panics
    /// Outside a tokio runtime.
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

    /// A TCP port: the first of `ports`, in ascending order, that is free on `host`. Port 0 is any that the operating
    /// system chooses.
    ///
    /// # Errors
    /// [`BindError::NoFreePort`] when all are taken, [`BindError::Refused`] for other reasons.
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

    fn new(socket: Socket, endpoint: Endpoint) -> Self {
        Self { socket, endpoint, failures: Failures::default() }
    }

    /// Where this listens, as a peer has to dial it.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Listen for Listener {
    async fn accept(&mut self) -> Option<Stream> {
        loop {
            let accepted = match &self.socket {
                Socket::Unix { socket, .. } => socket.accept().await.map(|(stream, _)| Stream::unix(stream)),
                Socket::Tcp(socket) => socket.accept().await.map(|(stream, _)| {
                    // See `dial`.
                    let _ = stream.set_nodelay(true);
                    Stream::Tcp(stream)
                }),
            };
            match accepted {
                Ok(stream) => return Some(stream),
                Err(error) if is_the_peers(&error) => {}
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
    let socket = address(path)
        .and_then(|address| listen_closed(&address))
        .and_then(UnixListener::from_std)
        .map_err(|source| BindError::Refused { endpoint: path.clone().into(), source })?;
    let file = match path.abstract_name() {
        Some(_) => None,
        None => Some(SocketFile::new(path, group, dir)?),
    };
    Ok(Listener::new(Socket::Unix { socket, _file: file }, path.clone().into()))
}

/// The peer went away between connecting and being accepted.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Whether a descriptor, or memory for one, is missing.
fn is_shortage(error: &io::Error) -> bool {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|error| short.contains(&error))
}

/// A port, or a range of them.
fn tried(ports: &RangeInclusive<u16>) -> String {
    match (ports.start(), ports.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    }
}

/// How often failures are logged.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// Long enough for a file descriptor to become free, short enough to go unnoticed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::dial::dial;

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
        assert!(path.exists(), "the listener still lives in it");
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
    async fn a_stale_socket_is_replaced_and_nothing_else_is() {
        let dir = SocketDir::private(None).expect("a directory");
        let path = dir.name("given").expect("it fits");
        // A socket whose process died: bound, closed, never unlinked.
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
    async fn a_file_put_in_a_sockets_place_is_left_alone() {
        let dir = SocketDir::private(None).expect("a directory");
        let listener = Listener::unix_in(&dir).expect("bound");
        let Endpoint::Unix(path) = listener.endpoint().clone() else { panic!("a unix socket") };
        fs::remove_file(path.as_path()).expect("removed");
        fs::write(path.as_path(), "somebody else's").expect("written");
        drop(listener);
        assert!(path.as_path().exists());
    }

    #[tokio::test]
    async fn a_directory_too_long_for_sockets_is_passed_over() {
        let deep = tempfile::tempdir().expect("a directory");
        let deep = deep.path().join("x".repeat(100));
        fs::create_dir(&deep).expect("made");
        assert!(matches!(SocketDir::private_in(&deep, None), Err(SocketDirError::Unfit { .. })));
        assert_eq!(fs::read_dir(&deep).expect("readable").count(), 0, "nothing is left behind");
    }

    #[tokio::test]
    async fn takes_the_first_free_port_of_a_range() {
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
