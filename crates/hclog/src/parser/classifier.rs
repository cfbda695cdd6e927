//! The level of each line, and which lines are one panic.

use super::entry::{self, Json};
use super::foreign;
use super::splitter::{Cut, Piece};
use super::traceback::Traceback;
use super::{Entry, LogLine};
use crate::Level;

/// Remembers what earlier lines mean for later ones.
#[derive(Debug)]
pub(super) struct Classifier {
    max_lines: usize,
    max_bytes: usize,
    /// The open panic.
    panic: Option<Size>,
    /// Where in a traceback that is, if it is one.
    traceback: Option<Traceback>,
    /// Whether a Go program announced its death: all further text without a level is an error.
    dying: bool,
    /// The level of the line whose pieces are coming.
    long_line: Level,
}

/// How much belongs to the open panic so far.
#[derive(Debug)]
struct Size {
    lines: usize,
    bytes: usize,
}

/// What a line is, as far as it says so itself.
enum Kind {
    Record(Entry),
    OpensPanic(Language),
    Levelled(Level),
    Object,
    Text,
}

/// Whose panic it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Go,
    Rust,
    Python(Traceback),
}

impl Classifier {
    pub(super) fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self { max_lines, max_bytes, panic: None, traceback: None, dying: false, long_line: Level::Debug }
    }

    pub(super) fn end_panic(&mut self) {
        self.panic = None;
        self.traceback = None;
    }

    pub(super) fn classify(&mut self, cut: Cut) -> LogLine {
        let mut line = LogLine {
            raw: cut.raw,
            end: cut.end,
            piece: cut.piece,
            level: Level::Debug,
            part_of_panic: false,
            opens_panic: false,
            entry: None,
        };
        if matches!(cut.piece, Piece::Continued | Piece::Last) {
            line.level = self.long_line;
            line.part_of_panic = self.panic_takes(&line.raw);
            return line;
        }
        if self.traceback_takes(&line) {
            line.level = Level::Error;
            line.part_of_panic = true;
            self.long_line = line.level;
            return line;
        }
        match kind_of(&line.text(), cut.piece) {
            Kind::Record(entry) => {
                self.panic = None;
                line.level = entry.level;
                line.entry = Some(entry);
            }
            Kind::OpensPanic(language) => {
                self.dying |= language == Language::Go;
                self.traceback = match language {
                    Language::Python(traceback) => Some(traceback),
                    Language::Go | Language::Rust => None,
                };
                self.panic = Some(Size { lines: 0, bytes: 0 });
                line.level = Level::Error;
                line.part_of_panic = self.panic_takes(&line.raw);
                line.opens_panic = line.part_of_panic;
            }
            Kind::Levelled(level) => {
                self.panic = None;
                line.level = level;
            }
            Kind::Object => self.panic = None,
            Kind::Text => {
                line.part_of_panic = self.panic_takes(&line.raw);
                if line.part_of_panic || self.dying {
                    line.level = Level::Error;
                }
            }
        }
        self.long_line = line.level;
        line
    }

    /// Whether the open traceback goes on with this line. One that does not has ended.
    fn traceback_takes(&mut self, line: &LogLine) -> bool {
        let Some(traceback) = self.traceback.take() else { return false };
        self.traceback = traceback.after(&line.text());
        let goes_on = self.traceback.is_some() && self.panic_takes(&line.raw);
        if !goes_on {
            self.end_panic();
        }
        goes_on
    }

    /// Whether the open panic has place for a line; without place it ends.
    fn panic_takes(&mut self, raw: &[u8]) -> bool {
        let Some(Size { lines, bytes }) = self.panic.take() else { return false };
        let (lines, bytes) = (lines + 1, bytes.saturating_add(raw.len()));
        if lines > self.max_lines || bytes > self.max_bytes {
            return false;
        }
        self.panic = Some(Size { lines, bytes });
        true
    }
}

fn kind_of(text: &str, piece: Piece) -> Kind {
    if piece == Piece::Whole {
        match entry::read(text) {
            Json::Record(entry) => return Kind::Record(entry),
            Json::Other(level) => return level.map_or(Kind::Object, Kind::Levelled),
            Json::No => {}
        }
    } else if let Some(level) = cut_record_level(text) {
        return Kind::Levelled(level);
    }
    if text.starts_with("panic: ") || text.starts_with("fatal error: ") {
        return Kind::OpensPanic(Language::Go);
    }
    if is_rust_panic(text) {
        return Kind::OpensPanic(Language::Rust);
    }
    if let Some(traceback) = Traceback::opened_by(text) {
        return Kind::OpensPanic(Language::Python(traceback));
    }
    prefix_level(text).or_else(|| foreign::level_of(text)).map_or(Kind::Text, Kind::Levelled)
}

/// The prefixes that a Go host knows, in capitals only.
fn prefix_level(text: &str) -> Option<Level> {
    let (word, _) = text.strip_prefix('[')?.split_once(']')?;
    match word {
        "TRACE" => Some(Level::Trace),
        "DEBUG" => Some(Level::Debug),
        "INFO" => Some(Level::Info),
        "WARN" => Some(Level::Warn),
        "ERROR" => Some(Level::Error),
        _ => None,
    }
}

/// The level of a record that is too long to be read: writers put it first, as this crate and hclog do.
fn cut_record_level(text: &str) -> Option<Level> {
    let (level, _) = text.strip_prefix("{\"@level\":\"")?.split_once('"')?;
    Level::parse(level)
}

/// `thread 'main' panicked at …`, in newer versions of Rust `thread 'main' (4711) panicked at …`; or the words of a
/// thread that overflowed its stack.
fn is_rust_panic(text: &str) -> bool {
    let Some(rest) = foreign::head(text).strip_prefix("thread '") else { return false };
    // A name may hold an apostrophe, so every one could be the closing one.
    rest.match_indices('\'').any(|(at, _)| {
        let after = &rest[at + 1..];
        let after = match after.strip_prefix(" (").and_then(|id| id.split_once(')')) {
            Some((id, after)) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => after,
            _ => after,
        };
        after.starts_with(" panicked at ") || after.starts_with(" has overflowed its stack")
    })
}
