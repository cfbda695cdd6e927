//! A record of a plugin's log.

use rpcplugin_hclog::{Level, LogLine, Piece};

use crate::plugin_id::PluginId;

/// A record of a plugin's log: a line of its stderr, or all lines of one panic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// Whose it is.
    pub plugin: PluginId,
    /// The level that the plugin claims, or that a line of text seems to have.
    pub level: Level,
    /// The message, or the line as it came. A panic's lines are joined by line breaks.
    pub message: String,
    /// The logger within the plugin, if it names one.
    pub module: Option<String>,
    /// The place in the plugin's source, if it names one.
    pub caller: Option<String>,
    /// When it was written, as the plugin says.
    pub timestamp: Option<String>,
    /// Further fields, in their order, with their values as JSON.
    pub fields: Vec<(String, String)>,
    /// Whether this is the report of a panic, with its backtrace as far as there is one, or a traceback of Python: up to
    /// 1000 lines and 256 KiB.
    pub is_panic: bool,
    /// Whether this is all of a line, or which piece of one that was too long.
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
