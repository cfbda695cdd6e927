//! A plugin's log, as it becomes the host's.

use std::{io, sync::Arc};

use rpcplugin_hclog::{Level, LogLine, Parser, Piece};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{observer::Observer, tail::Tail};

/// A line of a plugin's log.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LogRecord {
    /// The plugin's name: the file name of its program.
    pub plugin: String,
    /// The level that the plugin claims, or that a line of text seems to have.
    pub level: Level,
    /// The message, or the line as it came.
    pub message: String,
    /// The logger within the plugin, if it names one.
    pub module: Option<String>,
    /// When it was written, as the plugin says.
    pub timestamp: Option<String>,
    /// Further fields, in their order, with their values as JSON.
    pub fields: Vec<(String, String)>,
    /// Whether the line belongs to the report of a panic.
    pub part_of_panic: bool,
    /// Whether this is all of a line, or which piece of one that was too long.
    pub piece: Piece,
}

/// Reads a plugin's stderr to its end, whatever comes.
pub(crate) async fn pump(
    mut stderr: impl AsyncRead + Unpin,
    plugin: String,
    max_line: usize,
    tail: Arc<Tail>,
    observer: Arc<dyn Observer>,
) -> io::Result<()> {
    let mut parser = Parser::new().with_max_line(max_line);
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let read = stderr.read(&mut buffer).await?;
        let chunk = &buffer[..read];
        if read == 0 {
            break;
        }
        observer.raw_stderr(chunk);
        for line in parser.push(chunk) {
            take(line, &plugin, &tail, &*observer);
        }
        // A flood must not keep other tasks of this thread from running.
        tokio::task::consume_budget().await;
    }
    if let Some(line) = parser.finish() {
        take(line, &plugin, &tail, &*observer);
    }
    Ok(())
}

fn take(line: LogLine, plugin: &str, tail: &Tail, observer: &dyn Observer) {
    tail.push(&line.raw);
    let record = LogRecord::new(plugin, line);
    emit(&record);
    observer.log(&record);
}

impl LogRecord {
    fn new(plugin: &str, line: LogLine) -> Self {
        let message = line.message().into_owned();
        let (module, timestamp, fields) = match line.entry {
            None => (None, None, Vec::new()),
            Some(entry) => (
                entry.module,
                entry.timestamp.map(|timestamp| timestamp.as_str().to_owned()),
                entry.fields.into_iter().map(|(name, value)| (name, value.to_string())).collect(),
            ),
        };
        Self {
            plugin: plugin.to_owned(),
            level: line.level,
            message,
            module,
            timestamp,
            fields,
            part_of_panic: line.part_of_panic,
            piece: line.piece,
        }
    }
}

/// Makes a record a tracing event at its level. Targets and levels of tracing are fixed where an event is written, so
/// there is one place for each level; the plugin and its module are fields.
fn emit(record: &LogRecord) {
    macro_rules! event {
        ($level:ident) => {{
            if tracing::enabled!(target: TARGET, tracing::Level::$level) {
                let fields = Fields(&record.fields);
                let module = record.module.as_deref();
                tracing::event!(
                    target: TARGET, tracing::Level::$level,
                    plugin = record.plugin, module, fields = %fields, "{}", record.message
                );
            }
        }};
    }
    match record.level {
        Level::Trace => event!(TRACE),
        Level::Debug => event!(DEBUG),
        Level::Info => event!(INFO),
        Level::Warn => event!(WARN),
        Level::Error => event!(ERROR),
    }
}

/// Shows fields as `name=value`, with values as JSON.
struct Fields<'a>(&'a [(String, String)]);

impl std::fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, (name, value)) in self.0.iter().enumerate() {
            let blank = if n == 0 { "" } else { " " };
            write!(f, "{blank}{name}={value}")?;
        }
        Ok(())
    }
}

/// The target of all events that stem from a plugin's stderr.
const TARGET: &str = "plugin::stderr";

const READ_SIZE: usize = 64 << 10;
