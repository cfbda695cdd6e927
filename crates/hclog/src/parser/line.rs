//! One line of the stream.

use std::borrow::Cow;
use std::fmt;

use super::parsed_record::ParsedRecord;
use crate::level::Level;

/// One line of the stream, or one piece of a line that is too long.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogLine {
    /// The bytes of the line without the line end. Joined with [`end`](Self::end) after each, they are the whole stream.
    pub raw: Vec<u8>,
    /// How the line ended.
    pub end: LineEnd,
    /// Whether this is a whole line.
    pub piece: Piece,
    /// The level. See [`Parser`](super::Parser) for the rules.
    pub level: Level,
    /// Whether the line belongs to a panic of the plugin.
    pub part_of_panic: bool,
    /// Whether the line is the first of a panic.
    pub opens_panic: bool,
    /// The hclog record, or `None` if the line is other text.
    pub record: Option<ParsedRecord>,
}

/// How a line ended.
#[expect(
    clippy::exhaustive_enums,
    reason = "with the raw bytes it restores the stream, so every case must be handled"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineEnd {
    /// The line goes on in the next piece, or the stream ended.
    None,
    /// A line feed.
    Lf,
    /// A carriage return and a line feed.
    CrLf,
}

/// Which part of a line this is.
#[expect(clippy::exhaustive_enums, reason = "a line has no other parts")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// The whole line.
    Whole,
    /// The first piece of a line that is too long.
    First,
    /// A further piece of such a line, but not the last.
    Continued,
    /// The last piece of such a line. It is empty if the line ended at the cut.
    Last,
}

impl LogLine {
    /// Returns the line as text. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }

    /// Returns the message of the record, or the text if there is no record.
    #[must_use]
    pub fn message(&self) -> Cow<'_, str> {
        self.record.as_ref().map_or_else(|| self.text(), |record| Cow::Borrowed(record.message.as_str()))
    }
}

impl fmt::Display for LogLine {
    /// Writes the text without its line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl LineEnd {
    /// Returns the bytes of the line end.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }
}
