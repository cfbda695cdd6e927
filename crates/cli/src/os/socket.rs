//! Addresses of Unix sockets.

use rpcplugin::Endpoint;

/// The longest path of a Unix socket, in bytes: the size of `sun_path` without the terminating zero.
pub(crate) const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Whether an endpoint is an abstract Unix socket, which has no path. Only Linux has abstract sockets.
pub(crate) fn is_abstract(endpoint: &Endpoint) -> bool {
    match endpoint {
        #[cfg(target_os = "linux")]
        Endpoint::Unix(path) => path.abstract_name().is_some(),
        _ => false,
    }
}
