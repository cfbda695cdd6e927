//! Warnings, errors and panics of plugins on the host's stderr, for a host without a tracing subscriber.

use std::{
    fmt::Write as _,
    io,
    sync::{Mutex, PoisonError},
};

use rpcplugin_core::Visible;
use rpcplugin_hclog::Level;

use super::tracing_event::as_text;
use crate::{observe::log_record::LogRecord, os, quoted::shortened};

/// Prints a log record of at least the level of a warning, unless tracing has a subscriber.
pub(super) fn print(record: &LogRecord) {
    if record.level >= Level::Warn && !tracing::dispatcher::has_been_set() {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.write(&io::stderr(), &line(record));
    }
}

/// The records that could not be written.
#[derive(Debug)]
struct State {
    dropped: u64,
    /// The last line was written in part.
    broken: bool,
}

static STATE: Mutex<State> = Mutex::new(State { dropped: 0, broken: false });

impl State {
    /// Writes the line at once, or drops it if stderr has no room or no reader.
    fn write(&mut self, stderr: &impl os::AsStderr, line: &str) {
        let mut text = String::new();
        if self.broken {
            text.push('\n');
        }
        if self.dropped > 0 {
            let _ = writeln!(
                text,
                "WARN rpcplugin: {} records of plugins were left out: stderr was full",
                self.dropped
            );
        }
        text.push_str(line);
        match os::write_without_waiting(stderr, text.as_bytes()) {
            Ok(0) => self.dropped += 1,
            Ok(written) => (self.dropped, self.broken) = (0, written < text.len()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.dropped += 1,
            // Stderr is closed, or its disk is full.
            Err(_) => {}
        }
    }
}

/// `WARN kv-plugin: nearly full left=12`. Further lines of a message are indented.
fn line(record: &LogRecord) -> String {
    let level = if record.level == Level::Error { "ERROR" } else { "WARN" };
    let message = shortened(record.message.trim_end(), LONGEST_MESSAGE);
    let mut lines = message.lines();
    let mut text =
        format!("{level} {}: {}", Visible(&record.plugin.name), Visible(lines.next().unwrap_or_default()));
    for line in lines.by_ref().take(MOST_LINES - 1) {
        let _ = write!(text, "\n    {}", Visible(line));
    }
    let more = lines.count();
    if more > 0 {
        let _ = write!(text, "\n    … and {more} more lines");
    }
    // A backtrace is too long for this. The error of the plugin and tracing have it.
    let fields: Vec<_> = record.fields.iter().filter(|(name, _)| name != "backtrace").cloned().collect();
    if !fields.is_empty() {
        let _ = write!(text, " {}", Visible(&shortened(&as_text(&fields), LONGEST_FIELDS)));
    }
    text.push('\n');
    text
}

/// Together less than the 4096 bytes that a pipe takes at once. A longer line is written in one piece if there is room.
const LONGEST_MESSAGE: usize = 2500;
const LONGEST_FIELDS: usize = 1000;

/// The largest number of lines of a record: the message of a panic, and the start of its backtrace.
const MOST_LINES: usize = 12;

#[cfg(test)]
mod tests {
    use rpcplugin_hclog::Piece;

    use super::*;
    use crate::plugin_id::PluginId;

    fn record(level: Level, message: &str) -> LogRecord {
        LogRecord {
            plugin: PluginId { name: "kv-plugin".into(), pid: rpcplugin_core::Pid::new(1), generation: 1 },
            level,
            message: message.to_owned(),
            module: Some("disk".to_owned()),
            caller: None,
            timestamp: None,
            fields: vec![("left".to_owned(), "12".to_owned()), ("disk".to_owned(), "\"a\"".to_owned())],
            is_panic: false,
            piece: Piece::Whole,
        }
    }

    #[test]
    fn a_record_is_printed_as_a_line() {
        assert_eq!(
            line(&record(Level::Warn, "nearly full")),
            "WARN kv-plugin: nearly full left=12 disk=\"a\"\n"
        );
        let panic = line(&record(Level::Error, &format!("panic: a\u{1b}[31m\n{}", "b\n".repeat(20))));
        assert!(panic.starts_with("ERROR kv-plugin: panic: a\\u{1b}[31m\n    b\n"), "{panic}");
        assert!(panic.contains("\n    … and 9 more lines"), "{panic}");
    }

    #[cfg(unix)]
    #[test]
    fn a_full_pipe_delays_no_record_and_dropped_records_are_counted() {
        use std::io::Read as _;

        let (mut read, write) = io::pipe().unwrap();
        let mut state = State { dropped: 0, broken: false };
        let line = "x".repeat(4000) + "\n";
        for _ in 0..100 {
            state.write(&write, &line);
        }
        assert!(state.dropped > 50, "{state:?}");
        let mut room = vec![0; 32 << 10];
        read.read_exact(&mut room).unwrap();
        let dropped = state.dropped;
        state.write(&write, "WARN kv: at last\n");
        assert_eq!(state.dropped, 0);
        drop(write);
        let mut all = String::new();
        read.read_to_string(&mut all).unwrap();
        assert!(all.ends_with(&format!(
            "WARN rpcplugin: {dropped} records of plugins were left out: stderr was full\nWARN kv: at last\n"
        )));
    }

    #[test]
    fn a_closed_pipe_is_ignored() {
        let (read, write) = io::pipe().unwrap();
        drop(read);
        let mut state = State { dropped: 0, broken: false };
        state.write(&write, "x\n");
        assert_eq!(state.dropped, 0);
    }
}
