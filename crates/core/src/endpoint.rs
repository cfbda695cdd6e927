//! The endpoint on which a plugin or a brokered service listens.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use crate::{os, visible::disturbs};

/// An endpoint: a Unix socket, a TCP port, or a listener behind an inherited connection. It is valid in a handshake line.
///
/// # Protocol
/// The third and fourth field of the handshake line, and `ConnInfo.network` and `.address`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A Unix domain socket.
    Unix(SocketPath),
    /// A TCP port.
    Tcp(HostPort),
    /// A listener behind the connection that a plugin has inherited from its host, by the number of the listener. The plugin itself
    /// has number 0. Only this host and this plugin can dial it.
    ///
    /// # Protocol
    /// go-plugin has no such endpoint. A plugin announces it only to a host that has offered the connection.
    Inherited(u32),
}

/// The path of a Unix domain socket. It fits the operating system's address structure. It has no character that is invalid in a
/// handshake line or [affects a terminal](disturbs).
///
/// On Linux a path that begins with `@` names an abstract socket, which has no file, as for Go's dialler.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SocketPath(Box<str>);

/// A network host, by IP address or by name, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    host: Box<str>,
    port: u16,
}

/// The error for an address that is not an [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum EndpointError {
    /// The network is neither `unix` nor `tcp`, nor `inherited` with a number.
    #[error("unknown network {network:?}")]
    #[diagnostic(
        code(rpcplugin::transport::unknown_network),
        help("correct the plugin: it must listen on the network `unix` or `tcp`")
    )]
    UnknownNetwork {
        /// The network.
        network: String,
    },
    /// The socket path is empty.
    #[error("the socket path is empty")]
    #[diagnostic(
        code(rpcplugin::transport::empty_path),
        help("correct the plugin: it must announce the path of its socket")
    )]
    EmptyPath,
    /// The socket path is longer than the operating system allows.
    #[error("the socket path has {length} bytes, and the limit is {}: {path}", SocketPath::MAX_LEN)]
    #[diagnostic(
        code(rpcplugin::transport::path_too_long),
        help("set TMPDIR or PLUGIN_UNIX_SOCKET_DIR to a shorter directory, such as /tmp")
    )]
    PathTooLong {
        /// The path.
        path: String,
        /// The length in bytes.
        length: usize,
    },
    /// The path has a character that is invalid in a handshake line.
    #[error("the socket path {path:?} is invalid in a handshake line")]
    #[diagnostic(
        code(rpcplugin::transport::path_not_announceable),
        help("choose a path in UTF-8 without `|`, control characters and invisible characters")
    )]
    PathNotAnnounceable {
        /// The path. Bytes that are not UTF-8 are replaced.
        path: String,
    },
    /// The address is not `host:port`.
    #[error("{address:?} is not a host and a port")]
    #[diagnostic(
        code(rpcplugin::transport::invalid_address),
        help("write it as `127.0.0.1:1234`, `[::1]:1234` or `localhost:1234`, with a port of 1 to 65535")
    )]
    InvalidAddress {
        /// The address.
        address: String,
    },
}

impl Endpoint {
    /// Parses the network and the address of a handshake line.
    ///
    /// # Errors
    /// [`EndpointError`], which names the faulty part.
    pub fn parse(network: &str, address: &str) -> Result<Self, EndpointError> {
        match network {
            "unix" => SocketPath::new(address).map(Self::Unix),
            "tcp" => HostPort::parse(address).map(Self::Tcp),
            "inherited" => match address.parse() {
                Ok(number) => Ok(Self::Inherited(number)),
                Err(_) => Err(EndpointError::UnknownNetwork { network: format!("inherited:{address}") }),
            },
            _ => Err(EndpointError::UnknownNetwork { network: network.to_owned() }),
        }
    }

    /// The network: `unix`, `tcp` or `inherited`.
    #[must_use]
    pub fn network(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix",
            Self::Tcp(_) => "tcp",
            Self::Inherited(_) => "inherited",
        }
    }

    /// The address, as a handshake line has it.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Unix(path) => path.0.to_string(),
            Self::Tcp(address) => address.to_string(),
            Self::Inherited(number) => number.to_string(),
        }
    }
}

/// The network and the address, such as `unix:/tmp/plugin1` or `tcp:127.0.0.1:1234`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.0),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Inherited(number) => write!(f, "inherited:{number}"),
        }
    }
}

impl From<SocketPath> for Endpoint {
    fn from(path: SocketPath) -> Self {
        Self::Unix(path)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address.into())
    }
}

impl SocketPath {
    /// The longest path in bytes: the size of `sun_path` without the closing NUL.
    pub const MAX_LEN: usize = os::LONGEST_SOCKET_PATH;

    /// Creates a path. Checks that a socket can be bound there and that a handshake line can have the path.
    ///
    /// # Errors
    /// [`EndpointError::EmptyPath`], [`PathTooLong`](EndpointError::PathTooLong) or
    /// [`PathNotAnnounceable`](EndpointError::PathNotAnnounceable).
    pub fn new(path: impl AsRef<Path>) -> Result<Self, EndpointError> {
        let path = path.as_ref();
        let Some(text) = path.to_str().filter(|text| fits_the_line(text)) else {
            return Err(EndpointError::PathNotAnnounceable { path: path.to_string_lossy().into_owned() });
        };
        match text.len() {
            0 => Err(EndpointError::EmptyPath),
            1..=Self::MAX_LEN => Ok(Self(text.into())),
            length => Err(EndpointError::PathTooLong { path: text.to_owned(), length }),
        }
    }

    /// The path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&*self.0)
    }

    /// The name of an abstract socket without the `@`, if the path names an abstract socket.
    #[must_use]
    pub fn abstract_name(&self) -> Option<&str> {
        if os::HAS_ABSTRACT_SOCKETS { self.0.strip_prefix('@') } else { None }
    }
}

impl From<SocketPath> for PathBuf {
    fn from(path: SocketPath) -> Self {
        Self::from(path.0.into_string())
    }
}

impl HostPort {
    /// Parses `host:port`, `[v6]:port`, or `:port`. The last form means the IPv4 loopback address, as for Go's dialler.
    ///
    /// # Errors
    /// [`EndpointError::InvalidAddress`] if the host name or the port is invalid.
    pub fn parse(address: &str) -> Result<Self, EndpointError> {
        let invalid = || EndpointError::InvalidAddress { address: address.to_owned() };
        let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(invalid)?;
        let host = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.filter(|inner| inner.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6())),
            None if host.is_empty() => Some("127.0.0.1"),
            None => Some(host).filter(|host| is_host_name(host)),
        };
        Ok(Self { host: host.ok_or_else(invalid)?.into(), port })
    }

    /// The host: an IP address without brackets, or a name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl From<SocketAddr> for HostPort {
    /// Wildcard addresses become the loopback address of their family, because clients cannot dial a wildcard.
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self { host: ip.to_string().into(), port: address.port() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whether the text is a host name or an IPv4 address. An IPv6 address needs brackets.
fn is_host_name(host: &str) -> bool {
    host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// Whether a path is valid in a handshake line and does not affect a terminal. Most paths are plain ASCII, which is checked first.
fn fits_the_line(path: &str) -> bool {
    path.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'|')
        || !path.contains(|c| matches!(c, '|' | '\t') || disturbs(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(network: &str, address: &str, expected: &str) {
        let endpoint = Endpoint::parse(network, address).expect("an endpoint");
        assert_eq!(endpoint.to_string(), expected);
        assert_eq!(Endpoint::parse(endpoint.network(), &endpoint.address()), Ok(endpoint));
    }

    #[test]
    fn endpoints_of_handshake_lines_are_parsed() {
        check("unix", "/tmp/plugin2654984751", "unix:/tmp/plugin2654984751");
        check("unix", "@abstract", "unix:@abstract");
        check("unix", "/tmp/größe", "unix:/tmp/größe");
        check("tcp", "127.0.0.1:10000", "tcp:127.0.0.1:10000");
        check("tcp", ":1234", "tcp:127.0.0.1:1234");
        check("tcp", "localhost:1234", "tcp:localhost:1234");
        check("tcp", "[::1]:1234", "tcp:[::1]:1234");
        let longest = "x".repeat(253);
        check("tcp", &format!("{longest}:1"), &format!("tcp:{longest}:1"));
        check("inherited", "0", "inherited:0");
        check("inherited", "4294967295", "inherited:4294967295");
    }

    #[test]
    fn the_parts_of_an_endpoint_are_those_of_its_address() {
        let address = HostPort::parse("[::1]:443").expect("an address");
        assert_eq!((address.host(), address.port()), ("::1", 443));
        let path = SocketPath::new("@name").expect("a path");
        assert_eq!(path.abstract_name(), os::HAS_ABSTRACT_SOCKETS.then_some("name"));
        assert_eq!(path.as_path(), Path::new("@name"));
        assert_eq!(PathBuf::from(path), Path::new("@name"));
        assert_eq!(SocketPath::new("/name").expect("a path").abstract_name(), None);
    }

    #[test]
    fn invalid_endpoints_are_refused() {
        assert!(HostPort::parse("host:8x").is_err());
        let long = format!("{}:80", "x".repeat(254));
        for address in
            ["", "1234", "host:", "host:0", "host:65536", "::1:80", "[::1:80", "[x]:80", "a b:80", &long]
        {
            let error = Endpoint::parse("tcp", address).expect_err(address);
            assert_eq!(error, EndpointError::InvalidAddress { address: address.to_owned() });
        }
        assert!(matches!(Endpoint::parse("pipe", "x"), Err(EndpointError::UnknownNetwork { .. })));
        for number in ["", "-1", "4294967296", "stdout"] {
            assert!(matches!(
                Endpoint::parse("inherited", number),
                Err(EndpointError::UnknownNetwork { .. })
            ));
        }
        assert_eq!(SocketPath::new(""), Err(EndpointError::EmptyPath));
        let acts = ["/a\u{1b}]0;x\u{7}", "/a\u{9b}2J", "/a\u{7f}", "/a\u{202e}b", "/a\tb", "/a\nb"];
        for acts in ["/a|b", "|", "/ä|b"].into_iter().chain(acts) {
            let error = SocketPath::new(acts).expect_err(acts);
            assert!(matches!(error, EndpointError::PathNotAnnounceable { .. }), "{error}");
            assert!(!error.to_string().contains(disturbs), "{error}");
        }
        let long = format!("/{}", "x".repeat(SocketPath::MAX_LEN));
        assert!(matches!(SocketPath::new(&long), Err(EndpointError::PathTooLong { .. })));
        assert!(SocketPath::new(&long[..SocketPath::MAX_LEN]).is_ok());
    }

    #[test]
    fn a_wildcard_becomes_the_loopback_address_and_others_stay() {
        for (address, expected) in [
            ("0.0.0.0:80", "tcp:127.0.0.1:80"),
            ("[::]:80", "tcp:[::1]:80"),
            ("192.0.2.1:80", "tcp:192.0.2.1:80"),
            ("[2001:db8::1]:80", "tcp:[2001:db8::1]:80"),
        ] {
            let address: SocketAddr = address.parse().expect("an address");
            assert_eq!(Endpoint::from(address).to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_endpoint(network in "unix|tcp|inherited|.{0,5}", address in ".{0,40}") {
            if let Ok(endpoint) = Endpoint::parse(&network, &address) {
                prop_assert_eq!(Endpoint::parse(endpoint.network(), &endpoint.address()), Ok(endpoint));
            }
        }
    }
}
