//! Where a plugin listens.

use rpcplugin_core::TcpPorts;

/// Whether a plugin can listen on a Unix socket.
pub(crate) const HAS_UNIX_SOCKETS: bool = false;

/// The ports of a plugin whose host names no range.
///
/// # Protocol
/// go-plugin `server.go` `serverListener_tcp`, which plugins for Windows use.
pub(crate) const DEFAULT_PORTS: TcpPorts = TcpPorts::GO_DEFAULT;
