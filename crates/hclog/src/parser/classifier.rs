//! The level of each line, and the lines that belong to one panic.

use super::line::{LogLine, Piece};
use super::other_formats;
use super::parsed_record::{self, Json, ParsedRecord};
use super::splitter::Cut;
use super::traceback::Traceback;
use crate::level::Level;

/// The state that earlier lines leave for later lines.
#[derive(Debug)]
pub(super) struct Classifier {
    max_lines: usize,
    max_bytes: usize,
    /// The open panic.
    panic: Option<Size>,
    /// The position in the traceback, if the open panic is one.
    traceback: Option<Traceback>,
    /// Whether a program in Go has panicked: all further text without a level is an error.
    dying: bool,
    /// The level of the long line whose pieces follow.
    long_line: Level,
}

/// The size of the open panic so far.
#[derive(Debug)]
struct Size {
    lines: usize,
    bytes: usize,
}

/// The kind of a line, without regard to earlier lines.
enum Kind {
    Record(ParsedRecord),
    OpensPanic(Language),
    TextWithLevel(Level),
    Object,
    Text,
}

/// The language of a panic.
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
            record: None,
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
            Kind::Record(record) => {
                self.panic = None;
                line.level = record.level;
                line.record = Some(record);
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
            Kind::TextWithLevel(level) => {
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

    /// Whether the open traceback continues with this line. Ends the traceback otherwise.
    fn traceback_takes(&mut self, line: &LogLine) -> bool {
        let Some(traceback) = self.traceback.take() else { return false };
        self.traceback = traceback.after(&line.text());
        let continues = self.traceback.is_some() && self.panic_takes(&line.raw);
        if !continues {
            self.end_panic();
        }
        continues
    }

    /// Whether the open panic has room for a line. Ends the panic otherwise.
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
        match parsed_record::read(text) {
            Json::Record(record) => return Kind::Record(record),
            Json::Other(level) => return level.map_or(Kind::Object, Kind::TextWithLevel),
            Json::No => {}
        }
    } else if let Some(level) = cut_record_level(text) {
        return Kind::TextWithLevel(level);
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
    other_formats::level_of(text).map_or(Kind::Text, Kind::TextWithLevel)
}

/// Returns the level of a record that is too long to be parsed. hclog and this crate write the level first.
fn cut_record_level(text: &str) -> Option<Level> {
    let (level, _) = text.strip_prefix("{\"@level\":\"")?.split_once('"')?;
    Level::parse(level)
}

/// Whether the line is `thread 'main' panicked at …` (with newer versions of Rust, `thread 'main' (4711) panicked at …`) or
/// reports a stack overflow.
fn is_rust_panic(text: &str) -> bool {
    let Some(rest) = other_formats::head(text).strip_prefix("thread '") else { return false };
    // A thread name may contain apostrophes, so any apostrophe can be the closing one.
    rest.match_indices('\'').any(|(at, _)| {
        let after = &rest[at + 1..];
        let after = match after.strip_prefix(" (").and_then(|id| id.split_once(')')) {
            Some((id, after)) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) => after,
            _ => after,
        };
        after.starts_with(" panicked at ") || after.starts_with(" has overflowed its stack")
    })
}
