//! Everything that a plugin sends its host beside answers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rpcplugin::host::{Event, LogRecord, Observer, PluginId};

/// Records what happens to one plugin. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Recorded>>);

/// What has been recorded.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// What the plugin printed, as it forwards it.
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// The end of what came from its real stderr.
    pub(crate) raw_stderr: VecDeque<u8>,
    /// The last records of its log.
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
    /// The end of the real stderr as text.
    pub(crate) fn raw_stderr_tail(&self) -> String {
        let bytes: Vec<u8> = self.raw_stderr.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Enough for every check, and a bound for a plugin that floods.
const KEPT_LOGS: usize = 10_000;
const KEPT_STDERR: usize = 1 << 20;
