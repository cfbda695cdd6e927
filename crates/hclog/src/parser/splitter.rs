//! Splits chunks into lines and pieces of a maximum length.

use super::line::{LineEnd, Piece};

/// A line or piece that is not classified yet.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) raw: Vec<u8>,
    pub(super) end: LineEnd,
    pub(super) piece: Piece,
}

/// Splits the stream. Holds at most `max` bytes.
#[derive(Debug)]
pub(super) struct Splitter {
    max: usize,
    buffer: Vec<u8>,
    /// Whether pieces of the current line have been returned.
    begun: bool,
}

impl Splitter {
    /// `max` must be at least 1.
    pub(super) fn new(max: usize) -> Self {
        Self { max, buffer: Vec::new(), begun: false }
    }

    /// Takes bytes from the front of `chunk` up to the end of a line or piece. Returns `None` if the chunk ends first.
    pub(super) fn next(&mut self, chunk: &mut &[u8]) -> Option<Cut> {
        let room = self.max - self.buffer.len();
        // A newline after a line of the maximum length still makes a whole line.
        let window = &chunk[..chunk.len().min(room.saturating_add(1))];
        if let Some(at) = window.iter().position(|byte| *byte == b'\n') {
            self.buffer.extend_from_slice(&chunk[..at]);
            *chunk = &chunk[at + 1..];
            return Some(self.line());
        }
        let (taken, rest) = chunk.split_at(chunk.len().min(room));
        self.buffer.extend_from_slice(taken);
        *chunk = rest;
        (!rest.is_empty()).then(|| self.full_piece())
    }

    pub(super) fn finish(mut self) -> Option<Cut> {
        let piece = if self.begun { Piece::Last } else { Piece::Whole };
        let raw = std::mem::take(&mut self.buffer);
        (!raw.is_empty()).then_some(Cut { raw, end: LineEnd::None, piece })
    }

    fn line(&mut self) -> Cut {
        let mut raw = std::mem::take(&mut self.buffer);
        let end = if raw.last() == Some(&b'\r') {
            raw.pop();
            LineEnd::CrLf
        } else {
            LineEnd::Lf
        };
        let piece = if std::mem::take(&mut self.begun) { Piece::Last } else { Piece::Whole };
        Cut { raw, end, piece }
    }

    fn full_piece(&mut self) -> Cut {
        let tail = self.buffer.split_off(boundary(&self.buffer));
        let raw = std::mem::replace(&mut self.buffer, tail);
        let piece = if std::mem::replace(&mut self.begun, true) { Piece::Continued } else { Piece::First };
        Cut { raw, end: LineEnd::None, piece }
    }
}

/// Returns where to cut without dividing a character: before a character that begins in the last three bytes and does not
/// end there. Not 0, so that no piece is empty.
fn boundary(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().saturating_sub(1).min(3) {
        let length = match bytes[bytes.len() - back] {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        return if length > back { bytes.len() - back } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::super::line::{LineEnd, Piece};
    use super::Splitter;

    #[track_caller]
    fn check(max: usize, input: &[u8], expected: &[(&[u8], LineEnd, Piece)]) {
        for size in 1..=input.len().max(1) {
            let mut splitter = Splitter::new(max);
            let mut cuts = Vec::new();
            for mut chunk in input.chunks(size) {
                while let Some(cut) = splitter.next(&mut chunk) {
                    cuts.push(cut);
                }
                assert!(splitter.buffer.len() <= max);
            }
            cuts.extend(splitter.finish());
            let found: Vec<_> = cuts.iter().map(|cut| (&cut.raw[..], cut.end, cut.piece)).collect();
            assert_eq!(found, expected, "chunks of {size}");
        }
    }

    #[test]
    fn lines_with_every_end() {
        check(9, b"", &[]);
        check(9, b"\n", &[(b"", LineEnd::Lf, Piece::Whole)]);
        check(9, b"\r\n", &[(b"", LineEnd::CrLf, Piece::Whole)]);
        check(
            9,
            b"\none\r\ntw\ro\nthree\r",
            &[
                (b"", LineEnd::Lf, Piece::Whole),
                (b"one", LineEnd::CrLf, Piece::Whole),
                (b"tw\ro", LineEnd::Lf, Piece::Whole),
                (b"three\r", LineEnd::None, Piece::Whole),
            ],
        );
    }

    #[test]
    fn long_lines_in_pieces() {
        check(4, b"1234\n", &[(b"1234", LineEnd::Lf, Piece::Whole)]);
        check(4, b"12345\n", &[(b"1234", LineEnd::None, Piece::First), (b"5", LineEnd::Lf, Piece::Last)]);
        check(
            4,
            b"123456789\r\nx\n",
            &[
                (b"1234", LineEnd::None, Piece::First),
                (b"5678", LineEnd::None, Piece::Continued),
                (b"9", LineEnd::CrLf, Piece::Last),
                (b"x", LineEnd::Lf, Piece::Whole),
            ],
        );
        check(4, b"1234\r\n", &[(b"1234", LineEnd::None, Piece::First), (b"", LineEnd::CrLf, Piece::Last)]);
        check(4, b"123456", &[(b"1234", LineEnd::None, Piece::First), (b"56", LineEnd::None, Piece::Last)]);
    }

    #[test]
    fn a_cut_does_not_divide_a_character_that_fits() {
        check(
            4,
            "abc\u{e9}d".as_bytes(),
            &[(b"abc", LineEnd::None, Piece::First), ("\u{e9}d".as_bytes(), LineEnd::None, Piece::Last)],
        );
        for (max, text) in [(4, "\u{20ac}d"), (5, "\u{1f980}d")] {
            check(
                max,
                format!("ab{text}").as_bytes(),
                &[(b"ab", LineEnd::None, Piece::First), (text.as_bytes(), LineEnd::None, Piece::Last)],
            );
        }
        check(
            2,
            "\u{1f980}".as_bytes(),
            &[(b"\xf0\x9f", LineEnd::None, Piece::First), (b"\xa6\x80", LineEnd::None, Piece::Last)],
        );
        check(
            3,
            b"\x80\x80\x80\x80",
            &[(b"\x80\x80\x80", LineEnd::None, Piece::First), (b"\x80", LineEnd::None, Piece::Last)],
        );
        check(
            1,
            b"\xf0\xf0\n",
            &[(b"\xf0", LineEnd::None, Piece::First), (b"\xf0", LineEnd::Lf, Piece::Last)],
        );
    }
}
