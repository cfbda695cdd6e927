//! Addresses of Unix sockets. Plugins have no Unix sockets here.

use rpcplugin::Endpoint;

/// The longest path of a Unix socket: plugins have no Unix sockets here.
pub(crate) const LONGEST_SOCKET_PATH: Option<usize> = None;

/// Whether an endpoint is an abstract Unix socket. Only Linux has abstract sockets.
pub(crate) fn is_abstract(_: &Endpoint) -> bool {
    false
}
