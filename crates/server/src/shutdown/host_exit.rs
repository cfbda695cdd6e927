//! Shutting down when the host exits.

use std::io;

use super::handle::{Shutdown, ShutdownCause};
use crate::{
    os::{self, Parent},
    stdio::OriginalStderr,
};

/// Shuts the plugin down when the host exits: when `host`, its parent, has exited, or when no process holds the other ends
/// of its stdout and stderr. The latter detects the exit of a host that launched the plugin through a shell. On Windows only the
/// exit of the parent counts, also one from before the plugin began to watch.
///
/// Take `host` first of all: a host that exits earlier is not the parent any more. The failing write of the handshake line
/// detects this, unless another process holds the pipe too.
///
/// # Errors
/// When the process is out of file descriptors.
pub(super) fn watch(
    shutdown: &Shutdown,
    host: Parent,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let stdout = os::clone_stdout()?;
    let stderr = OriginalStderr::get()?.try_clone_file()?;
    let shutdown = shutdown.clone();
    Ok(async move {
        let pipes = async {
            os::reader_closed(stdout).await;
            os::reader_closed(stderr).await;
        };
        tokio::select! {
            () = host.exited() => {}
            () = pipes => {}
            () = shutdown.begun() => return,
        }
        shutdown.begin(ShutdownCause::HostExited);
    })
}
