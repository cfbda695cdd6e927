//! Where a plugin listens.

use rpcplugin_core::TcpPorts;

/// Whether a plugin can listen on a Unix socket.
pub(crate) const HAS_UNIX_SOCKETS: bool = true;

/// The ports of a plugin whose host names no range.
pub(crate) const DEFAULT_PORTS: TcpPorts = TcpPorts::Any;
