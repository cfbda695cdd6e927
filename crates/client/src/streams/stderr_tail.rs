//! The last lines of a plugin's stderr, for errors.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use rpcplugin_config::HostConfig;
use rpcplugin_core::disturbs;

/// The last lines, limited in number and in bytes.
#[derive(Debug)]
pub(crate) struct StderrTail {
    ring: Mutex<Ring>,
    max_lines: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<String>,
    bytes: usize,
}

impl StderrTail {
    pub(crate) fn new(config: &HostConfig) -> Self {
        Self::bounded(config.stderr_tail_lines, config.stderr_tail_bytes.as_usize())
    }

    fn bounded(max_lines: usize, max_bytes: usize) -> Self {
        Self { ring: Mutex::default(), max_lines, max_bytes }
    }

    /// Adds a line. Long lines are cut, and characters that disturb a terminal are replaced.
    pub(crate) fn push(&self, line: &[u8]) {
        if self.max_lines == 0 || self.max_bytes == 0 {
            return;
        }
        let text = cleaned(line, MAX_LINE.min(self.max_bytes));
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.bytes += text.len();
        ring.lines.push_back(text);
        while ring.lines.len() > self.max_lines || (ring.bytes > self.max_bytes && ring.lines.len() > 1) {
            let dropped = ring.lines.pop_front().map_or(0, |line| line.len());
            ring.bytes -= dropped;
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }
}

fn cleaned(line: &[u8], max: usize) -> String {
    let cut = &line[..line.len().min(max)];
    let mut text: String = String::from_utf8_lossy(cut)
        .chars()
        .map(|c| if disturbs(c) { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if cut.len() < line.len() {
        text.push('…');
    }
    text
}

/// The longest part of a line that is kept. A minified stack trace is longer, and not useful.
const MAX_LINE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_without_control_characters() {
        let tail = StderrTail::bounded(2, 1 << 20);
        for line in [&b"one"[..], b"two\x1b[31m", &[b'x'; 2000]] {
            tail.push(line);
        }
        let lines = tail.lines();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "two\u{fffd}[31m");
        assert_eq!(lines[1].chars().count(), MAX_LINE + 1);
    }

    #[test]
    fn the_last_line_is_kept_even_beyond_the_byte_limit() {
        let tail = StderrTail::bounded(100, 10);
        for line in [&b"one"[..], b"four", b"seven"] {
            tail.push(line);
        }
        assert_eq!(tail.lines(), ["four", "seven"]);
        tail.push(&[0xff; 50]);
        assert_eq!(tail.lines().len(), 1);
        assert!(StderrTail::bounded(0, 10).lines().is_empty());
    }
}
