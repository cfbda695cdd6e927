//! Removal of the directories that were made for this plugin's sockets.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

/// The directories of the plugin's sockets.
pub(crate) struct SocketDirs {
    /// The directory that the host names in the environment.
    pub(crate) host: Option<PathBuf>,
    /// The directory that the plugin itself has made.
    pub(crate) private: Option<PathBuf>,
}

impl SocketDirs {
    /// Removes the plugin's own directory, and also the host's if the host has exited.
    pub(crate) async fn remove(self, host_exited: bool) {
        if let Some(dir) = self.private {
            // The last socket in the directory removes it too, unless a call that was cut still holds the socket.
            let _ = std::fs::remove_dir_all(dir);
        }
        if let Some(dir) = self.host.filter(|_| host_exited) {
            remove_orphaned_dir(&dir).await;
        }
    }
}

/// Removes a directory that the host made for this plugin's sockets, and cannot remove because it has exited.
///
/// The directory is removed only if it is empty and its name is of the kind that hosts give. Any other directory may be
/// meant to stay.
///
/// # Protocol
/// go-plugin `runner.go` and `client.go` make `plugin-dir*` in the temporary directory for one plugin each.
pub(crate) async fn remove_orphaned_dir(dir: &Path) {
    let made_for_one_plugin = dir
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| NAMES.iter().any(|prefix| name.starts_with(prefix)));
    if !made_for_one_plugin {
        return;
    }
    // The sockets of brokered services are removed a moment after the broker has closed.
    for _ in 0..20 {
        match rpcplugin_transport::remove_empty_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                sleep(Duration::from_millis(10)).await;
            }
            _ => return,
        }
    }
}

/// How the names of the directories begin that Go's hosts, and hosts of rpcplugin, make for a plugin.
const NAMES: [&str; 2] = ["plugin-dir", "rpcplugin-"];
