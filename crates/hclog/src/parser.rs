//! Reads what a plugin writes to its stderr: hclog records, text of any other kind, panics.

mod classifier;
mod entry;
mod foreign;
mod splitter;
mod traceback;

use std::borrow::Cow;
use std::fmt;

use self::classifier::Classifier;
use self::splitter::Splitter;
use crate::Level;

pub use self::entry::Entry;
pub use self::splitter::{LineEnd, Piece};

/// Turns a stream of bytes into [`LogLine`]s.
///
/// It accepts every byte in every division into chunks, which never changes the result; it loses nothing and never
/// panics. It holds at most one line of the maximum length, and makes lines only as they are asked for.
///
/// ```
/// use rpcplugin_hclog::{Level, Parser};
///
/// let mut parser = Parser::new();
/// let lines: Vec<_> = parser.push(b"[WARN] disk is nearly full\n{\"@level\":\"info\",\"@mess").collect();
/// assert_eq!((lines[0].level, lines[0].message()), (Level::Warn, "[WARN] disk is nearly full".into()));
///
/// let lines: Vec<_> = parser.push(b"age\":\"ready\",\"answer\":42}\n").collect();
/// let entry = lines[0].entry.as_ref().unwrap();
/// assert_eq!((entry.level, entry.message.as_str()), (Level::Info, "ready"));
/// assert_eq!(entry.field("answer"), Some(&42.into()));
/// assert!(parser.finish().is_none());
/// ```
///
/// # Levels
/// The first rule that applies gives the level of a line:
/// 1. an hclog record (see [`Entry`]) has its own;
/// 2. `panic: `, `fatal error: `, Rust's `thread '…' panicked at` and Python's `Traceback (most recent call last):` are
///    errors and open a panic;
/// 3. `[TRACE]`, `[DEBUG]`, `[INFO]`, `[WARN]` or `[ERROR]` at the start of the text;
/// 4. the customs of other loggers: tracing, env_logger, log, slog, zap, logrus, hclog as text, glog, Python's logging,
///    and JSON with a `level` and a message;
/// 5. any other JSON object is debug;
/// 6. text within a panic is an error, and so is all text after `panic: ` or `fatal error: ` to the end of the stream,
///    as a Go program does not survive them;
/// 7. all else is debug.
///
/// The text of a line is kept whole: a prefix that gave the level stays in it.
///
/// # Panics of the plugin
/// The lines of a panic are marked [`part_of_panic`](LogLine::part_of_panic) so that a host can join them into one event.
/// A panic ends before the next line that is JSON or names a level, or opens another panic; after a limit of lines or
/// bytes; and when the host calls [`flush_group`](Self::flush_group). A traceback of Python, caught or not, is one too; it
/// ends after the line that names the exception, with the tracebacks that Python itself links to it.
///
/// # Protocol
/// go-plugin v1.8.0, `logStderr` in `client.go`. Differs: rules 2 for Rust and Python, 4 and 6 within a panic of Rust; a record
/// with a strange timestamp stays a record; nothing can crash it; the pieces of a long line share the level of the first.
#[derive(Debug)]
pub struct Parser {
    splitter: Splitter,
    classifier: Classifier,
}

impl Parser {
    /// A parser for lines of up to 64 KiB and panics of up to 1000 lines and 256 KiB.
    #[must_use]
    pub fn new() -> Self {
        Self { splitter: Splitter::new(64 * 1024), classifier: Classifier::new(1000, 256 * 1024) }
    }

    /// Sets the length in bytes, newline not counted, up to which a line is kept whole; 65536 by default, at least 1.
    ///
    /// A longer line comes in pieces of about this length, cut between characters where it is UTF-8, and is never
    /// read as JSON. This is also the bound on what the parser holds.
    #[must_use]
    pub fn with_max_line(mut self, bytes: usize) -> Self {
        self.splitter = Splitter::new(bytes.max(1));
        self
    }

    /// Sets how many lines and bytes may be marked as parts of one panic; 1000 and 262144 by default. With no lines
    /// nothing is ever marked.
    #[must_use]
    pub fn with_panic_limit(mut self, lines: usize, bytes: usize) -> Self {
        self.classifier = Classifier::new(lines, bytes);
        self
    }

    /// Takes the next bytes of the stream and gives the lines that they complete.
    ///
    /// Dropping the iterator early drops the lines it has not given, not the state: the parser is then where it
    /// would be had they been read.
    pub fn push<'p>(&'p mut self, chunk: &'p [u8]) -> Lines<'p> {
        Lines { parser: self, chunk }
    }

    /// Ends the panic that is open, if any. For hosts that saw no line for a while: what comes later is a new story.
    pub fn flush_group(&mut self) {
        self.classifier.end_panic();
    }

    /// Ends the stream and gives its last line, if that had no newline.
    #[must_use]
    pub fn finish(self) -> Option<LogLine> {
        let Self { splitter, mut classifier } = self;
        splitter.finish().map(|cut| classifier.classify(cut))
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

/// The lines that one chunk completes; see [`Parser::push`].
#[derive(Debug)]
#[must_use = "lines are made as they are asked for, and lost when they are not"]
pub struct Lines<'p> {
    parser: &'p mut Parser,
    chunk: &'p [u8],
}

impl Iterator for Lines<'_> {
    type Item = LogLine;

    fn next(&mut self) -> Option<LogLine> {
        let cut = self.parser.splitter.next(&mut self.chunk)?;
        Some(self.parser.classifier.classify(cut))
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// One line of the stream, or one piece of a line that is too long.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogLine {
    /// The bytes as they came, without the line end. With [`end`](Self::end) after each, these are the whole stream.
    pub raw: Vec<u8>,
    /// What ended the line.
    pub end: LineEnd,
    /// Whether this is a whole line.
    pub piece: Piece,
    /// The level; see [`Parser`] for the rules.
    pub level: Level,
    /// Whether the line belongs to a panic of the plugin.
    pub part_of_panic: bool,
    /// Whether the line is the first of a panic.
    pub opens_panic: bool,
    /// What the line says if it is an hclog record; `None` for text.
    pub entry: Option<Entry>,
}

impl LogLine {
    /// The line as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }

    /// The message of the record, or the text.
    #[must_use]
    pub fn message(&self) -> Cow<'_, str> {
        self.entry.as_ref().map_or_else(|| self.text(), |entry| Cow::Borrowed(entry.message.as_str()))
    }
}

impl fmt::Display for LogLine {
    /// The text without its line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
