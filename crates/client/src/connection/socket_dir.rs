//! Where a host and its plugin make their sockets.

use rpcplugin_config::HostConfig;
use rpcplugin_transport::{SocketDir, SocketDirError, SocketGroup};

/// A directory of the host's own, shared as its configuration says: whatever becomes of the plugin, the sockets in it are
/// removed with it.
pub(crate) fn private(config: &HostConfig) -> Result<SocketDir, SocketDirError> {
    let group = config.unix_socket_group.as_deref().map(SocketGroup::find).transpose()?;
    match &config.unix_socket_dir {
        Some(parent) => SocketDir::private_in(parent, group),
        None => SocketDir::private(group),
    }
}
