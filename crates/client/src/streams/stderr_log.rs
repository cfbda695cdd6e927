//! The log of a plugin: its stderr becomes log records.

mod panic_report;
mod print;
mod tracing_event;

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use rpcplugin_hclog::{LogLine, Parser};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    task::yield_now,
    time::timeout,
};

use self::panic_report::PanicReport;
use super::stderr_tail::StderrTail;
use crate::observe::{fan_out::FanOut, log_record::LogRecord, output::OutputSource};

/// Reads a plugin's stderr to its end and publishes its log records.
pub(crate) async fn read_log(
    mut stderr: impl AsyncRead + Unpin,
    max_line: usize,
    prints: bool,
    tail: Arc<StderrTail>,
    fan_out: Arc<FanOut>,
) -> io::Result<()> {
    // The observers of a plugin do not change.
    let prints = prints && !fan_out.logs_are_observed();
    let parser = Parser::new().with_max_line(max_line);
    let mut reader = LogReader { parser, panic: None, tail, sinks: Sinks { prints, fan_out } };
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
        reader.sinks.fan_out.output(OutputSource::RawStderr, Bytes::copy_from_slice(&buffer[..read])).await;
        for part in buffer[..read].chunks(AT_ONCE) {
            reader.push(part);
            // A flood of lines must not keep other tasks of this thread from running.
            yield_now().await;
        }
    }
}

/// Parses the lines of one stderr into log records.
struct LogReader {
    parser: Parser,
    /// The panic whose lines are being read.
    panic: Option<PanicReport>,
    tail: Arc<StderrTail>,
    sinks: Sinks,
}

/// The destinations of log records.
struct Sinks {
    /// Whether warnings and errors are printed on the host's stderr if tracing has no subscriber.
    prints: bool,
    fan_out: Arc<FanOut>,
}

impl LogReader {
    fn push(&mut self, chunk: &[u8]) {
        // The lines borrow the parser, and the records need the other fields.
        let Self { parser, panic, tail, sinks } = self;
        for line in parser.push(chunk) {
            push_line(line, panic, tail, sinks);
        }
    }

    /// Delivers the panic that is being read. Later lines do not belong to it.
    fn end_panic(&mut self) {
        self.parser.end_panic();
        if let Some(report) = self.panic.take() {
            self.sinks.deliver(report.into_record(self.sinks.fan_out.id()));
        }
    }

    fn finish(mut self) {
        let parser = std::mem::take(&mut self.parser);
        if let Some(line) = parser.finish() {
            push_line(line, &mut self.panic, &self.tail, &self.sinks);
        }
        self.end_panic();
    }
}

fn push_line(line: LogLine, panic: &mut Option<PanicReport>, tail: &StderrTail, sinks: &Sinks) {
    tail.push(&line.raw);
    let is_not_part = !line.part_of_panic || line.opens_panic;
    if let Some(report) = panic.take_if(|_| is_not_part) {
        sinks.deliver(report.into_record(sinks.fan_out.id()));
    }
    match panic {
        _ if !line.part_of_panic => sinks.deliver(LogRecord::new(sinks.fan_out.id(), line)),
        Some(report) => report.add(&line),
        None => *panic = Some(PanicReport::new(&line)),
    }
}

impl Sinks {
    fn deliver(&self, record: LogRecord) {
        tracing_event::emit(&record);
        if self.prints {
            print::print(&record);
        }
        self.fan_out.log(record);
    }
}

/// The size of a read.
const READ_SIZE: usize = 16 << 10;

/// How many bytes are parsed before other tasks of the thread run. Calls wait for so much of a flood, some 20 records.
const AT_ONCE: usize = 2 << 10;

/// One thread writes a panic at once. After this time without a line the panic is complete.
const QUIET: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
