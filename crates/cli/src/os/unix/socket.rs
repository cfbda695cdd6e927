//! Addresses of Unix sockets.

use rpcplugin::Endpoint;

/// The longest path of a Unix socket, in bytes: the size of `sun_path` without the terminating zero. `None` if plugins have no Unix
/// sockets.
pub(crate) const LONGEST_SOCKET_PATH: Option<usize> =
    if cfg!(target_os = "linux") { Some(107) } else { Some(103) };

/// Whether an endpoint is an abstract Unix socket, which has no path. Only Linux has abstract sockets.
pub(crate) fn is_abstract(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Unix(path) if path.abstract_name().is_some())
}
