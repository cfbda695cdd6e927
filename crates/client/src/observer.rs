//! Following a plugin: its log, its output, its life.

use std::time::Duration;

use crate::{exit::ExitReason, logs::LogRecord};

/// Follows plugins. Every method does nothing unless it is written.
///
/// The methods are called in order for each stream, from the task that reads it: one that takes long holds up that
/// stream of that plugin, and in the end the plugin itself when it prints more.
pub trait Observer: Send + Sync + 'static {
    /// The plugin wrote a line of its log, on its real stderr.
    fn log(&self, record: &LogRecord) {
        let _ = record;
    }

    /// The plugin printed this on its stdout. The bytes may be cut anywhere.
    fn stdout(&self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// The plugin printed this on its stderr, as far as it forwards that. The bytes may be cut anywhere.
    fn stderr(&self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// These bytes came from the plugin's real stderr: all of them, before they are read as a log.
    fn raw_stderr(&self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// These bytes came from the plugin's real stdout after the handshake line.
    fn raw_stdout(&self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// Something happened in the plugin's life.
    fn event(&self, event: &Event) {
        let _ = event;
    }
}

/// Something that happened in a plugin's life.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Its process runs.
    Started {
        /// The process.
        pid: u32,
    },
    /// It has not answered yet.
    StillWaiting {
        /// How long it has run.
        elapsed: Duration,
    },
    /// It is connected, and healthy.
    Ready {
        /// How long that took from its start.
        elapsed: Duration,
    },
    /// Its process is over.
    Exited {
        /// How it ended.
        reason: ExitReason,
    },
}

/// Follows nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nobody;

impl Observer for Nobody {}
