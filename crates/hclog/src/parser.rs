//! Reads the stderr of a plugin: hclog records, other text, and panics.

mod classifier;
mod line;
mod other_formats;
mod parsed_record;
mod splitter;
mod traceback;

use self::classifier::Classifier;
use self::splitter::Splitter;

pub use self::line::{LineEnd, LogLine, Piece};
pub use self::parsed_record::ParsedRecord;

/// Splits a stream of bytes into [`LogLine`]s.
///
/// The parser accepts all bytes, keeps all of them, and does not panic. The division into chunks does not change the
/// result. The parser holds at most one line of the maximum length. Lines are made when the iterator is advanced.
///
/// ```
/// use rpcplugin_hclog::{Level, Parser};
///
/// let mut parser = Parser::new();
/// let lines: Vec<_> = parser.push(b"[WARN] disk is nearly full\n{\"@level\":\"info\",\"@mess").collect();
/// assert_eq!((lines[0].level, lines[0].message()), (Level::Warn, "[WARN] disk is nearly full".into()));
///
/// let lines: Vec<_> = parser.push(b"age\":\"ready\",\"answer\":42}\n").collect();
/// let record = lines[0].record.as_ref().unwrap();
/// assert_eq!((record.level, record.message.as_str()), (Level::Info, "ready"));
/// assert_eq!(record.field("answer"), Some(&42.into()));
/// assert!(parser.finish().is_none());
/// ```
///
/// # Levels
/// The first rule that applies gives the level of a line:
/// 1. An hclog record (see [`ParsedRecord`]) has a level of its own.
/// 2. `panic: `, `fatal error: `, Rust's `thread '…' panicked at` and Python's `Traceback (most recent call last):` are
///    errors and open a panic.
/// 3. `[TRACE]`, `[DEBUG]`, `[INFO]`, `[WARN]` or `[ERROR]` at the start of the text.
/// 4. The formats of other loggers: tracing, env_logger, log, slog, zap, logrus, hclog as text, glog, Python's logging,
///    and JSON with a `level` and a message.
/// 5. Any other JSON object is debug.
/// 6. Text within a panic is an error. So is all text after `panic: ` or `fatal error: ` to the end of the stream, because
///    a program in Go ends after them.
/// 7. All other text is debug.
///
/// The text of a line is kept whole, with the prefix that gave its level.
///
/// # Panics of the plugin
/// The lines of a panic are marked [`part_of_panic`](LogLine::part_of_panic), so that a host can join them into one event.
/// A panic ends:
/// - before a line that is JSON, names a level, or opens another panic;
/// - after a limit of lines or bytes;
/// - when the host calls [`end_panic`](Self::end_panic).
///
/// A traceback of Python counts as a panic, even if the program catches the exception. It ends after the line that names the
/// exception and the tracebacks that Python links to it.
///
/// # Protocol
/// go-plugin v1.8.0, `logStderr` in `client.go`. Differs: rules 2 for Rust and Python, 4 and 6 within a panic of Rust. A
/// record with an invalid timestamp stays a record. No input crashes the parser. The pieces of a long line have the level
/// of the first piece.
#[derive(Debug)]
pub struct Parser {
    splitter: Splitter,
    classifier: Classifier,
}

impl Parser {
    /// Makes a parser for lines of up to 64 KiB and panics of up to 1000 lines and 256 KiB.
    #[must_use]
    pub fn new() -> Self {
        Self { splitter: Splitter::new(64 * 1024), classifier: Classifier::new(1000, 256 * 1024) }
    }

    /// Sets the maximum length of a whole line in bytes, without its newline. Default: 65536. At least 1.
    ///
    /// A longer line is returned in pieces of about this length and is not read as JSON. UTF-8 is cut between characters.
    /// The parser holds no more than this.
    #[must_use]
    pub fn with_max_line(mut self, bytes: usize) -> Self {
        self.splitter = Splitter::new(bytes.max(1));
        self
    }

    /// Sets the maximum lines and bytes of one panic. Default: 1000 and 262144. With 0 lines, no line is marked.
    #[must_use]
    pub fn with_panic_limit(mut self, lines: usize, bytes: usize) -> Self {
        self.classifier = Classifier::new(lines, bytes);
        self
    }

    /// Takes the next bytes of the stream and returns the lines that they complete.
    ///
    /// Dropping the iterator early drops its remaining lines. The parser is then in the same state as if they had been read.
    pub fn push<'p>(&'p mut self, chunk: &'p [u8]) -> Lines<'p> {
        Lines { parser: self, chunk }
    }

    /// Ends the open panic, if there is one. A host calls it after a pause in the stream: later lines are not part of the
    /// panic.
    pub fn end_panic(&mut self) {
        self.classifier.end_panic();
    }

    /// Ends the stream and returns its last line if it has no newline.
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

/// The lines that one chunk completes. See [`Parser::push`].
#[derive(Debug)]
#[must_use = "lines that are not read are lost"]
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
