//! The network that a confined plugin may use.

use std::{collections::BTreeSet, fmt};

/// The network that a confined plugin may use: TCP by port, and UDP. Nothing by default.
///
/// Unix sockets have a setting of their own: [`UnixSockets`]. Raw, packet, netlink and vsock sockets are always refused.
///
/// ```
/// use rpcplugin_sandbox::Network;
///
/// let client = Network::none().connect([443]).udp();
/// assert_eq!(client.to_string(), "TCP to 443, UDP");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    pub(crate) connect: Ports,
    pub(crate) listen: Ports,
    udp: bool,
}

/// The Unix sockets that a confined plugin may connect to. It may listen in its socket directory in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnixSockets {
    /// Only sockets in its socket directory and in the paths that it may write. The default.
    ///
    /// Kernels before Linux 7.1 cannot restrict connections by path. There the plugin may connect to no Unix socket at all: it
    /// cannot dial services that the host serves on sockets of their own. Switch on
    /// `multiplex` in the host, or choose [`Any`](Self::Any). A plugin that may use TCP needs the
    /// same system call, so that on such a kernel this setting is not available with TCP.
    #[default]
    Directory,
    /// All sockets that the plugin's user may connect to, such as those of other plugins and of a message bus.
    Any,
}

/// A set of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ports {
    All,
    Only(BTreeSet<u16>),
}

impl Network {
    /// No network.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// All TCP and UDP.
    #[must_use]
    pub fn all() -> Self {
        Self { connect: Ports::All, listen: Ports::All, udp: true }
    }

    /// Allows TCP connections to these ports of any address. Landlock knows ports, not addresses.
    #[must_use]
    pub fn connect(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.connect.add(ports);
        self
    }

    /// Allows listening on these TCP ports. Port 0 stands for a port that the system chooses.
    #[must_use]
    pub fn listen(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.listen.add(ports);
        self
    }

    /// Allows UDP, with every address. Name resolution needs it, unless the system's resolver uses TCP.
    #[must_use]
    pub fn udp(mut self) -> Self {
        self.udp = true;
        self
    }

    /// Whether UDP is allowed.
    #[must_use]
    pub fn allows_udp(&self) -> bool {
        self.udp
    }

    /// Whether TCP is allowed to or on any port.
    #[must_use]
    pub fn allows_tcp(&self) -> bool {
        !self.connect.is_empty() || !self.listen.is_empty()
    }

    /// Whether TCP connections to this port are allowed.
    #[must_use]
    pub fn may_connect(&self, port: u16) -> bool {
        self.connect.contains(port)
    }

    /// Whether listening on this TCP port is allowed.
    #[must_use]
    pub fn may_listen(&self, port: u16) -> bool {
        self.listen.contains(port)
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.allows_tcp() && !self.udp
    }

    /// One line for each thing that is allowed.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (ports, what) in [(&self.connect, "connect"), (&self.listen, "listen")] {
            match ports {
                Ports::All => lines.push(format!("{what} tcp all")),
                Ports::Only(ports) => lines.extend(ports.iter().map(|port| format!("{what} tcp {port}"))),
            }
        }
        lines.extend(self.udp.then(|| "udp".to_owned()));
        lines
    }

    pub(crate) fn is_all_tcp(&self) -> bool {
        self.connect == Ports::All && self.listen == Ports::All
    }
}

/// `none`, `all`, or `TCP to 443, TCP on 0, UDP`.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::all() {
            return f.write_str("all");
        }
        let mut parts = Vec::new();
        for (ports, what) in [(&self.connect, "TCP to"), (&self.listen, "TCP on")] {
            match ports {
                Ports::All => parts.push(format!("{what} all ports")),
                Ports::Only(ports) => parts.extend(ports.iter().map(|port| format!("{what} {port}"))),
            }
        }
        parts.extend(self.udp.then(|| "UDP".to_owned()));
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

impl Ports {
    fn add(&mut self, more: impl IntoIterator<Item = u16>) {
        if let Self::Only(ports) = self {
            ports.extend(more);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Only(ports) if ports.is_empty())
    }

    fn contains(&self, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Only(ports) => ports.contains(&port),
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self::Only(BTreeSet::new())
    }
}
