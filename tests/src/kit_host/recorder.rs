//! The output, log and events of a plugin.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rpcplugin::host::{Event, LogRecord, Observer, PluginId};

/// Records the output, log and events of one plugin. Clones share the records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Recorded>>);

/// The records.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// The output that the plugin forwarded.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// The end of the original stderr.
    pub(crate) raw_stderr: VecDeque<u8>,
    /// The last log records.
    pub(crate) logs: VecDeque<LogRecord>,
    pub(crate) events: Vec<Event>,
}

impl Recorder {
    pub(crate) fn so_far(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder {
    fn log(&self, record: &LogRecord) {
        let logs = &mut self.so_far().logs;
        if logs.len() == KEPT_LOGS {
            logs.pop_front();
        }
        logs.push_back(record.clone());
    }

    fn stdout(&self, _: &PluginId, bytes: &[u8]) {
        self.so_far().stdout.extend_from_slice(bytes);
    }

    fn stderr(&self, _: &PluginId, bytes: &[u8]) {
        self.so_far().stderr.extend_from_slice(bytes);
    }

    fn raw_stderr(&self, _: &PluginId, bytes: &[u8]) {
        let raw = &mut self.so_far().raw_stderr;
        raw.extend(bytes);
        let excess = raw.len().saturating_sub(KEPT_STDERR);
        raw.drain(..excess);
    }

    fn event(&self, _: &PluginId, event: &Event) {
        self.so_far().events.push(event.clone());
    }
}

impl Recorded {
    /// The end of the original stderr as text.
    pub(crate) fn raw_stderr_tail(&self) -> String {
        let bytes: Vec<u8> = self.raw_stderr.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The limit of recorded bytes: enough for every check, and bounded for a plugin that floods.
const KEPT_LOGS: usize = 10_000;
const KEPT_STDERR: usize = 1 << 20;
