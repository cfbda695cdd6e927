//! A plugin's log, as it becomes the host's.

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

/// Reads a plugin's stderr to its end, whatever comes.
pub(crate) async fn read_log(
    mut stderr: impl AsyncRead + Unpin,
    max_line: usize,
    prints: bool,
    tail: Arc<StderrTail>,
    fan_out: Arc<FanOut>,
) -> io::Result<()> {
    // Observers do not change, and nor does what they do with a log.
    let prints = prints && !fan_out.logs_are_observed();
    let parser = Parser::new().with_max_line(max_line);
    let mut reader = Reader { parser, panic: None, tail, sinks: Sinks { prints, fan_out } };
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
    tail: Arc<StderrTail>,
    sinks: Sinks,
}

/// Where records go.
struct Sinks {
    /// Whether those that a person has to see are printed where tracing has no subscriber.
    prints: bool,
    fan_out: Arc<FanOut>,
}

impl Reader {
    fn take(&mut self, chunk: &[u8]) {
        // The parser's lines borrow it, and making records needs the rest.
        let Self { parser, panic, tail, sinks } = self;
        for line in parser.push(chunk) {
            take_line(line, panic, tail, sinks);
        }
    }

    /// Tells the panic that is open. What comes later is another story.
    fn end_panic(&mut self) {
        self.parser.end_panic();
        if let Some(report) = self.panic.take() {
            self.sinks.deliver(report.into_record(self.sinks.fan_out.id()));
        }
    }

    fn finish(mut self) {
        let parser = std::mem::take(&mut self.parser);
        if let Some(line) = parser.finish() {
            take_line(line, &mut self.panic, &self.tail, &self.sinks);
        }
        self.end_panic();
    }
}

fn take_line(line: LogLine, panic: &mut Option<PanicReport>, tail: &StderrTail, sinks: &Sinks) {
    tail.push(&line.raw);
    let is_another_story = !line.part_of_panic || line.opens_panic;
    if let Some(report) = panic.take_if(|_| is_another_story) {
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

/// Small enough that other tasks get their turn within a millisecond.
const READ_SIZE: usize = 16 << 10;

/// A panic is written at once, by one thread. When nothing has come for this long, it is over.
const QUIET: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
