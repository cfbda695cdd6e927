//! The keys of the terminal on stdin.
//!
//! # Protocol
//! ECMA-48, sections 5.4 (control sequences) and 8.3 (their meanings); the keys of xterm and of the VT220.

use std::{
    io,
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, read},
    stdio::stdin,
};

use crate::os::key::Key;

/// Reads keys.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// The bytes that are not a key yet.
    bytes: Vec<u8>,
}

/// What bytes begin with.
#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    /// A key, and its length.
    Key(Key, usize),
    /// Bytes without a meaning for this program.
    Other(usize),
    /// A part of a key.
    Part,
}

impl Keys {
    /// Waits for the next key in [raw mode](super::raw_mode::enter_raw_mode), at most for a tenth of a second. Returns `None` without a key
    /// that the program knows.
    ///
    /// # Errors
    /// The terminal is gone, or belongs to other processes now. The error comes at once.
    pub(crate) fn next(&mut self) -> io::Result<Option<Key>> {
        loop {
            match beginning(&self.bytes) {
                Beginning::Key(key, length) => {
                    self.bytes.drain(..length);
                    return Ok(Some(key));
                }
                Beginning::Other(length) => {
                    self.bytes.drain(..length);
                }
                Beginning::Part => {
                    if !self.read()? {
                        // A terminal sends a sequence at once. The key Escape sends what sequences begin with.
                        let is_escape = self.bytes.first() == Some(&ESCAPE);
                        self.bytes.clear();
                        return Ok(is_escape.then_some(Key::Escape));
                    }
                }
            }
        }
    }

    /// Reads what comes within the time of raw mode. Returns whether something has come.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 1024];
        let begun = Instant::now();
        match read(stdin(), &mut buffer) {
            // A terminal that is gone does not wait.
            Ok(0) if begun.elapsed() < RAW_MODE_WAIT / 2 => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) | Err(Errno::INTR) => Ok(false),
            Ok(length) => {
                self.bytes.extend_from_slice(&buffer[..length]);
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn beginning(bytes: &[u8]) -> Beginning {
    match bytes {
        [] => Beginning::Part,
        [b'\r' | b'\n', ..] => Beginning::Key(Key::Enter, 1),
        [0x7f | 0x08, ..] => Beginning::Key(Key::Backspace, 1),
        [ESCAPE, b'[', rest @ ..] => sequence(rest),
        [ESCAPE, b'O', last, ..] => {
            meaning(b"", *last).map_or(Beginning::Other(3), |key| Beginning::Key(key, 3))
        }
        [ESCAPE] | [ESCAPE, b'O'] => Beginning::Part,
        [ESCAPE, ..] => Beginning::Key(Key::Escape, 1),
        [b'\t' | 0 | 0x1c..=0x1f, ..] => Beginning::Other(1),
        [control @ 0x01..=0x1a, ..] => Beginning::Key(Key::Control(char::from(control - 1 + b'a')), 1),
        [first, ..] => character(bytes, *first),
    }
}

/// Reads a control sequence behind its introducer.
fn sequence(rest: &[u8]) -> Beginning {
    // The function keys of the Linux console.
    if let [b'[', _, ..] = rest {
        return Beginning::Other(4);
    }
    match rest.iter().position(|byte| (0x40..=0x7e).contains(byte) && *byte != b'[') {
        Some(end) => {
            let length = end + 3;
            meaning(&rest[..end], rest[end])
                .map_or(Beginning::Other(length), |key| Beginning::Key(key, length))
        }
        None if rest.len() > LONGEST_SEQUENCE => Beginning::Other(rest.len() + 2),
        None => Beginning::Part,
    }
}

/// The key of a sequence with these parameters and this end.
fn meaning(parameters: &[u8], end: u8) -> Option<Key> {
    Some(match (end, parameters) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        _ => return None,
    })
}

fn character(bytes: &[u8], first: u8) -> Beginning {
    let length = match first {
        0x00..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return Beginning::Other(1),
    };
    let Some(bytes) = bytes.get(..length) else { return Beginning::Part };
    match std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next()) {
        Some(c) => Beginning::Key(Key::Char(c), length),
        None => Beginning::Other(1),
    }
}

const ESCAPE: u8 = 0x1b;

/// How long a read waits in raw mode.
const RAW_MODE_WAIT: Duration = Duration::from_millis(100);

/// The longest sequence that is waited for, in bytes.
const LONGEST_SEQUENCE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(mut bytes: &[u8]) -> Vec<Key> {
        let mut keys = Vec::new();
        loop {
            match beginning(bytes) {
                Beginning::Key(key, length) => {
                    keys.push(key);
                    bytes = &bytes[length..];
                }
                Beginning::Other(length) => bytes = &bytes[length..],
                Beginning::Part => return keys,
            }
        }
    }

    #[test]
    fn keys_are_read_from_what_terminals_send() {
        use Key::{Backspace, Char, Control, Down, End, Enter, Escape, Home, PageDown, PageUp, Up};
        for (sent, expected) in [
            (&b"q/\x7f\x08\r\n"[..], &[Char('q'), Char('/'), Backspace, Backspace, Enter, Enter][..]),
            (b"\x1b[A\x1bOB\x1b[1;5A", &[Up, Down, Up]),
            (b"\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1bOF", &[PageUp, PageDown, Home, End, Home, End]),
            (b"\x03\x1a\x0c", &[Control('c'), Control('z'), Control('l')]),
            ("ü你".as_bytes(), &[Char('ü'), Char('你')]),
            // Keys without a meaning, and bytes that are no characters.
            (b"\x1b[15~\x1b[[A\x1b[200~\t\xff\xc0\xc0a\x00b", &[Char('a'), Char('b')]),
            (b"\x1bx", &[Escape, Char('x')]),
            (b"a\x1b[1;", &[Char('a')]),
        ] {
            assert_eq!(keys(sent), expected, "{sent:?}");
        }
        let endless = [b"\x1b[".as_slice(), &[b'1'; 100], b"q"].concat();
        assert_eq!(keys(&endless), []);
    }

    #[test]
    fn any_bytes_come_to_an_end() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                keys(&[first, second, b'[', second, first, b'~', first]);
            }
        }
    }
}
