//! Ending a plugin by a file.

use std::{path::PathBuf, time::Duration};

use crate::ending::{Cause, Ending};

/// Ends the plugin when the file appears, and removes it.
pub(crate) async fn watch(file: PathBuf, ending: Ending) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = ending.begun() => return,
        }
        if file.exists() {
            if let Err(error) = std::fs::remove_file(&file) {
                tracing::warn!(file = %file.display(), %error, "the shutdown file cannot be removed");
            }
            return ending.begin(Cause::ShutdownFile);
        }
    }
}

/// How often the file is looked for.
const POLL: Duration = Duration::from_millis(250);
