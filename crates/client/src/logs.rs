//! A plugin's log, as it becomes the host's.

mod event;
mod panic_report;
mod print;

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use rpcplugin_hclog::{Level, LogLine, Parser, Piece};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    task::yield_now,
    time::timeout,
};

use self::panic_report::PanicReport;
use crate::{feed::Feed, identity::PluginId, output::OutputSource, tail::Tail};

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

/// Reads a plugin's stderr to its end, whatever comes.
pub(crate) async fn pump(
    mut stderr: impl AsyncRead + Unpin,
    max_line: usize,
    prints: bool,
    tail: Arc<Tail>,
    feed: Arc<Feed>,
) -> io::Result<()> {
    // Observers do not change, and nor does what they do with a log.
    let prints = prints && !feed.logs_are_taken();
    let parser = Parser::new().with_max_line(max_line);
    let mut reader = Reader { parser, panic: None, tail, ways: Ways { prints, feed } };
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let read = match reader.panic {
            None => stderr.read(&mut buffer).await?,
            Some(_) => match timeout(QUIET, stderr.read(&mut buffer)).await {
                Ok(read) => read?,
                Err(_) => {
                    reader.end_panic();
                    continue;
                }
            },
        };
        if read == 0 {
            reader.finish();
            return Ok(());
        }
        reader.ways.feed.output(OutputSource::RawStderr, Bytes::copy_from_slice(&buffer[..read])).await;
        reader.take(&buffer[..read]);
        // A flood must not keep the other tasks of this thread from running.
        yield_now().await;
    }
}

/// Makes records of the lines of one stderr.
struct Reader {
    parser: Parser,
    /// The panic whose lines are coming.
    panic: Option<PanicReport>,
    tail: Arc<Tail>,
    ways: Ways,
}

/// Where records go.
struct Ways {
    /// Whether those that a person has to see are printed where tracing has no subscriber.
    prints: bool,
    feed: Arc<Feed>,
}

impl Reader {
    fn take(&mut self, chunk: &[u8]) {
        // The parser's lines borrow it, and making records needs the rest.
        let Self { parser, panic, tail, ways } = self;
        for line in parser.push(chunk) {
            take_line(line, panic, tail, ways);
        }
    }

    /// Tells the panic that is open. What comes later is another story.
    fn end_panic(&mut self) {
        self.parser.end_panic();
        if let Some(report) = self.panic.take() {
            self.ways.give(report.into_record(self.ways.feed.id()));
        }
    }

    fn finish(mut self) {
        let parser = std::mem::take(&mut self.parser);
        if let Some(line) = parser.finish() {
            take_line(line, &mut self.panic, &self.tail, &self.ways);
        }
        self.end_panic();
    }
}

fn take_line(line: LogLine, panic: &mut Option<PanicReport>, tail: &Tail, ways: &Ways) {
    tail.push(&line.raw);
    let is_another_story = !line.part_of_panic || line.opens_panic;
    if let Some(report) = panic.take_if(|_| is_another_story) {
        ways.give(report.into_record(ways.feed.id()));
    }
    match panic {
        _ if !line.part_of_panic => ways.give(LogRecord::new(ways.feed.id(), line)),
        Some(report) => report.add(&line),
        None => *panic = Some(PanicReport::new(&line)),
    }
}

impl Ways {
    fn give(&self, record: LogRecord) {
        event::emit(&record);
        if self.prints {
            print::print(&record);
        }
        self.feed.log(record);
    }
}

impl LogRecord {
    fn new(plugin: PluginId, line: LogLine) -> Self {
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

/// Small enough that other tasks get their turn within a millisecond.
const READ_SIZE: usize = 16 << 10;

/// A panic is written at once, by one thread. When nothing has come for this long, it is over.
const QUIET: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
