//! The last lines that a plugin wrote to its stderr, for errors.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// A ring of lines, bounded in number and size.
#[derive(Debug)]
pub(crate) struct Tail {
    lines: Mutex<VecDeque<String>>,
    max_lines: usize,
}

impl Tail {
    pub(crate) fn new(max_lines: usize) -> Self {
        Self { lines: Mutex::default(), max_lines }
    }

    /// Adds a line, shortened where it is very long and without characters that would disturb a terminal.
    pub(crate) fn push(&self, line: &[u8]) {
        if self.max_lines == 0 {
            return;
        }
        let cut = &line[..line.len().min(MAX_LINE)];
        let mut text: String = String::from_utf8_lossy(cut)
            .chars()
            .map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        if cut.len() < line.len() {
            text.push('…');
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == self.max_lines {
            lines.pop_front();
        }
        lines.push_back(text);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Enough for any message; a minified stack trace is not worth more.
const MAX_LINE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines_and_tames_them() {
        let tail = Tail::new(2);
        for line in [&b"one"[..], b"two\x1b[31m", &[b'x'; 2000]] {
            tail.push(line);
        }
        let lines = tail.lines();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "two\u{fffd}[31m");
        assert_eq!(lines[1].chars().count(), MAX_LINE + 1);
    }
}
