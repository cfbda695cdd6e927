//! JSON values one after the other, each as soon as its end has come.

use std::io::{self, BufRead, ErrorKind};

/// Takes values from what is read, and no byte beyond the end of one.
#[derive(Debug)]
pub(super) struct Texts<R> {
    reader: R,
    /// The place of the next byte.
    place: (usize, usize),
}

/// One value, or what stands in its place.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// Where it begins.
    begin: (usize, usize),
}

/// How far a value has come.
#[derive(Debug, Clone, Copy)]
enum State {
    /// It has not begun.
    Space,
    /// In a number or a word.
    Word,
    /// In a text, behind a backslash or not, and in so many lists and objects.
    Text { escaped: bool, depth: usize },
    /// In so many lists and objects.
    Within { depth: usize },
}

/// What a byte is to a value.
enum Step {
    /// It is of it.
    Goes(State),
    /// It is its last.
    Ends,
    /// It comes after it.
    After,
}

impl<R: BufRead> Texts<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, place: (1, 1) }
    }

    /// The next value. None at the end.
    ///
    /// # Errors
    /// That of the reader.
    pub(super) fn next(&mut self) -> io::Result<Option<Text>> {
        let mut text = Text { bytes: Vec::new(), begin: self.place };
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
                    Step::Goes(next) => state = next,
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

impl Text {
    /// The line and the column of a byte of it, both counted from 1.
    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        self.bytes.iter().take(offset).fold(self.begin, |place, byte| behind(place, *byte))
    }
}

impl State {
    fn step(self, byte: u8) -> Step {
        match (self, byte) {
            (Self::Space, b' ' | b'\t' | b'\r' | b'\n') => Step::Goes(Self::Space),
            (Self::Space, b'{' | b'[') => Step::Goes(Self::Within { depth: 1 }),
            (Self::Space, b'"') => Step::Goes(Self::Text { escaped: false, depth: 0 }),
            // No value begins so; reading it says so.
            (Self::Space, b'}' | b']' | b',' | b':') => Step::Ends,
            (Self::Space, _) => Step::Goes(Self::Word),
            (Self::Word, b' ' | b'\t' | b'\r' | b'\n' | b'{' | b'[' | b'"' | b'}' | b']' | b',' | b':') => {
                Step::After
            }
            (Self::Word, _) => Step::Goes(Self::Word),
            (Self::Text { escaped: true, depth }, _) => Step::Goes(Self::Text { escaped: false, depth }),
            (Self::Text { depth, .. }, b'\\') => Step::Goes(Self::Text { escaped: true, depth }),
            (Self::Text { depth: 0, .. }, b'"') => Step::Ends,
            (Self::Text { depth, .. }, b'"') => Step::Goes(Self::Within { depth }),
            (Self::Text { .. }, _) => Step::Goes(self),
            (Self::Within { depth }, b'"') => Step::Goes(Self::Text { escaped: false, depth }),
            (Self::Within { depth }, b'{' | b'[') => Step::Goes(Self::Within { depth: depth + 1 }),
            (Self::Within { depth: 1 }, b'}' | b']') => Step::Ends,
            (Self::Within { depth }, b'}' | b']') => Step::Goes(Self::Within { depth: depth - 1 }),
            (Self::Within { .. }, _) => Step::Goes(self),
        }
    }
}

/// The place behind a byte. A character of several bytes has one column.
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
        let mut texts = Texts::new(io::BufReader::with_capacity(3, text.as_bytes()));
        let next = || texts.next().unwrap();
        std::iter::from_fn(next).map(|text| String::from_utf8(text.bytes).unwrap()).collect()
    }

    #[test]
    fn each_value_ends_where_it_ends() {
        let text = r#" {"a}":["\"]",{}]} [ 1 ]"te\\xt"{}12 null true,{"b":"#;
        let values =
            [r#"{"a}":["\"]",{}]}"#, "[ 1 ]", r#""te\\xt""#, "{}", "12", "null", "true", ",", r#"{"b":"#];
        assert_eq!(all(text), values);
        assert!(all(" \n ").is_empty());
    }

    #[test]
    fn nothing_beyond_the_end_of_a_value_is_read() {
        let mut texts = Texts::new("{} rest".as_bytes());
        assert!(texts.next().unwrap().is_some());
        assert_eq!(texts.reader, b" rest");
    }

    #[test]
    fn places_are_those_of_the_whole_input() {
        let mut texts = Texts::new("{}\n {\"é\":\nx}".as_bytes());
        texts.next().unwrap();
        let second = texts.next().unwrap().unwrap();
        assert_eq!((second.place(0), second.place(5), second.place(7)), ((2, 2), (2, 6), (3, 1)));
    }
}
