//! Shutting down when a file appears.

use std::{path::PathBuf, time::Duration};

use super::handle::{Shutdown, ShutdownCause};

/// Shuts the plugin down when the file appears, and removes the file.
pub(super) async fn watch(file: PathBuf, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            () = shutdown.begun() => return,
        }
        if file.exists() {
            if let Err(error) = std::fs::remove_file(&file) {
                tracing::warn!(file = %file.display(), %error, "the shutdown file cannot be removed");
            }
            return shutdown.begin(ShutdownCause::ShutdownFile);
        }
    }
}

/// How often the file is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
