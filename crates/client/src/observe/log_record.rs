//! A record of a plugin's log.

use rpcplugin_hclog::{Level, LogLine, Piece};

use crate::plugin_id::PluginId;

/// A log record of a plugin: a line of its stderr, or all lines of one panic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// The plugin.
    pub plugin: PluginId,
    /// The level in the record, or the level that a line of plain text seems to have.
    pub level: Level,
    /// The message, or the whole line of plain text. The lines of a panic are joined by line breaks.
    pub message: String,
    /// The logger within the plugin, if the record names one.
    pub module: Option<String>,
    /// The place in the plugin's source, if the record names one.
    pub caller: Option<String>,
    /// The time in the record.
    pub timestamp: Option<String>,
    /// Further fields in their order, with their values as JSON.
    pub fields: Vec<(String, String)>,
    /// Whether the record is a panic with its backtrace, or a traceback of Python. Up to 1000 lines and 256 KiB.
    pub is_panic: bool,
    /// Whether the record is a whole line, or which piece of a line that was too long.
    pub piece: Piece,
}

impl LogRecord {
    pub(crate) fn new(plugin: PluginId, line: LogLine) -> Self {
        let message = line.message().into_owned();
        let (module, caller, timestamp, fields) = match line.record {
            None => (None, None, None, Vec::new()),
            Some(entry) => (
                entry.module,
                entry.caller,
                entry.timestamp.map(|timestamp| timestamp.as_str().to_owned()),
                entry.fields.into_iter().map(|(name, value)| (name, value.to_string())).collect(),
            ),
        };
        Self {
            plugin,
            level: line.level,
            message,
            module,
            caller,
            timestamp,
            fields,
            is_panic: false,
            piece: line.piece,
        }
    }
}
