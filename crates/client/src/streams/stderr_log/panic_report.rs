//! The lines of one panic as one log record.

use rpcplugin_hclog::{Level, LineEnd, LogLine, Piece};

use crate::{observe::log_record::LogRecord, plugin_id::PluginId};

/// The lines of a panic so far. The parser limits their number.
#[derive(Debug)]
pub(super) struct PanicReport {
    text: String,
    /// The separator before the next line: empty after a piece of a line that was cut.
    pending: &'static str,
}

impl PanicReport {
    pub(super) fn new(first: &LogLine) -> Self {
        let mut report = Self { text: String::new(), pending: "" };
        report.add(first);
        report
    }

    pub(super) fn add(&mut self, line: &LogLine) {
        self.text.push_str(self.pending);
        self.text.push_str(&line.text());
        self.pending = if line.end == LineEnd::None { "" } else { "\n" };
    }

    pub(super) fn into_record(self, plugin: PluginId) -> LogRecord {
        LogRecord {
            plugin,
            level: Level::Error,
            message: self.text,
            module: None,
            caller: None,
            timestamp: None,
            fields: Vec::new(),
            is_panic: true,
            piece: Piece::Whole,
        }
    }
}
