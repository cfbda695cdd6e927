//! A stream of JSON values. Each is returned as soon as its last byte has been read.

use std::io::{self, BufRead, ErrorKind};

/// Splits a stream into JSON values. Never reads beyond the end of a value.
#[derive(Debug)]
pub(super) struct JsonValues<R> {
    reader: R,
    /// The line and column of the next byte.
    place: (usize, usize),
}

/// The text of a value, valid or not.
#[derive(Debug)]
pub(super) struct JsonText {
    pub(super) bytes: Vec<u8>,
    /// The line and column of the first byte.
    begin: (usize, usize),
}

/// The state of a value that is being read.
#[derive(Debug, Clone, Copy)]
enum State {
    /// Before the value.
    Space,
    /// In a number or a word.
    Word,
    /// In a string, after a backslash if `escaped`, and in `depth` lists and objects.
    Text { escaped: bool, depth: usize },
    /// In `depth` lists and objects.
    Within { depth: usize },
}

/// The role of a byte.
enum Step {
    /// The byte belongs to the value, or comes before it.
    Continues(State),
    /// The byte is the last one of the value.
    Ends,
    /// The byte comes after the value.
    After,
}

impl<R: BufRead> JsonValues<R> {
    /// `place` is the line and column of the first byte.
    pub(super) fn new(reader: R, place: (usize, usize)) -> Self {
        Self { reader, place }
    }

    /// Returns the next value, or `None` at the end.
    ///
    /// # Errors
    /// The error of the reader.
    pub(super) fn next(&mut self) -> io::Result<Option<JsonText>> {
        let mut text = JsonText { bytes: Vec::new(), begin: self.place };
        let mut state = State::Space;
        loop {
            let read = match self.reader.fill_buf() {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read.is_empty() {
                return Ok((!text.bytes.is_empty()).then_some(text));
            }
            let (mut taken, mut ended) = (0, false);
            for byte in read {
                match state.step(*byte) {
                    Step::Continues(next) => state = next,
                    Step::Ends => ended = true,
                    Step::After => {
                        ended = true;
                        break;
                    }
                }
                taken += 1;
                self.place = behind(self.place, *byte);
                match state {
                    State::Space if !ended => text.begin = self.place,
                    _ => text.bytes.push(*byte),
                }
                if ended {
                    break;
                }
            }
            self.reader.consume(taken);
            if ended {
                return Ok(Some(text));
            }
        }
    }
}

impl JsonText {
    /// Returns the line and the column of a byte, both counted from 1.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        self.bytes.iter().take(offset).fold(self.begin, |place, byte| behind(place, *byte))
    }
}

impl State {
    fn step(self, byte: u8) -> Step {
        match (self, byte) {
            (Self::Space, b' ' | b'\t' | b'\r' | b'\n') => Step::Continues(Self::Space),
            (Self::Space, b'{' | b'[') => Step::Continues(Self::Within { depth: 1 }),
            (Self::Space, b'"') => Step::Continues(Self::Text { escaped: false, depth: 0 }),
            // Not the start of a value: parsing reports the error.
            (Self::Space, b'}' | b']' | b',' | b':') => Step::Ends,
            (Self::Space, _) => Step::Continues(Self::Word),
            (Self::Word, b' ' | b'\t' | b'\r' | b'\n' | b'{' | b'[' | b'"' | b'}' | b']' | b',' | b':') => {
                Step::After
            }
            (Self::Word, _) => Step::Continues(Self::Word),
            (Self::Text { escaped: true, depth }, _) => Step::Continues(Self::Text { escaped: false, depth }),
            (Self::Text { depth, .. }, b'\\') => Step::Continues(Self::Text { escaped: true, depth }),
            (Self::Text { depth: 0, .. }, b'"') => Step::Ends,
            (Self::Text { depth, .. }, b'"') => Step::Continues(Self::Within { depth }),
            (Self::Text { .. }, _) => Step::Continues(self),
            (Self::Within { depth }, b'"') => Step::Continues(Self::Text { escaped: false, depth }),
            (Self::Within { depth }, b'{' | b'[') => Step::Continues(Self::Within { depth: depth + 1 }),
            (Self::Within { depth: 1 }, b'}' | b']') => Step::Ends,
            (Self::Within { depth }, b'}' | b']') => Step::Continues(Self::Within { depth: depth - 1 }),
            (Self::Within { .. }, _) => Step::Continues(self),
        }
    }
}

/// Returns the position after a byte. A character of several bytes has one column.
fn behind((line, column): (usize, usize), byte: u8) -> (usize, usize) {
    match byte {
        b'\n' => (line + 1, 1),
        0x80..=0xbf => (line, column),
        _ => (line, column + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut texts = JsonValues::new(io::BufReader::with_capacity(3, text.as_bytes()), (1, 1));
        let next = || texts.next().unwrap();
        std::iter::from_fn(next).map(|text| String::from_utf8(text.bytes).unwrap()).collect()
    }

    #[test]
    fn values_are_split_at_their_ends() {
        let text = r#" {"a}":["\"]",{}]} [ 1 ]"te\\xt"{}12 null true,{"b":"#;
        let values =
            [r#"{"a}":["\"]",{}]}"#, "[ 1 ]", r#""te\\xt""#, "{}", "12", "null", "true", ",", r#"{"b":"#];
        assert_eq!(all(text), values);
        assert!(all(" \n ").is_empty());
    }

    #[test]
    fn bytes_after_a_value_are_not_read() {
        let mut texts = JsonValues::new("{} rest".as_bytes(), (1, 1));
        assert!(texts.next().unwrap().is_some());
        assert_eq!(texts.reader, b" rest");
    }

    #[test]
    fn positions_count_from_the_start_of_the_input() {
        let mut texts = JsonValues::new("{}\n {\"é\":\nx}".as_bytes(), (1, 1));
        texts.next().unwrap();
        let second = texts.next().unwrap().unwrap();
        assert_eq!((second.place(0), second.place(5), second.place(7)), ((2, 2), (2, 6), (3, 1)));
    }
}
