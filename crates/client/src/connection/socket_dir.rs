//! The directory of the host's sockets.

use rpcplugin_config::HostConfig;
use rpcplugin_transport::{SocketDir, SocketDirError, SocketGroup};

/// Makes a private directory for sockets, shared as the configuration says. The sockets in it are removed with it,
/// however the plugin ends.
pub(crate) fn private(config: &HostConfig) -> Result<SocketDir, SocketDirError> {
    let group = config.unix_socket_group.as_deref().map(SocketGroup::find).transpose()?;
    match &config.unix_socket_dir {
        Some(parent) => SocketDir::private_in(parent, group),
        None => SocketDir::private(group),
    }
}
