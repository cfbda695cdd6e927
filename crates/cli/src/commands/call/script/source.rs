//! The lines of a script, from a file or from stdin.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _},
};

use tokio::sync::mpsc;

use super::{super::place::Place, line::Line};
use crate::error::UsageError;

/// The lines that have calls.
#[derive(Debug)]
pub(super) enum Source {
    /// All lines of a file.
    File(VecDeque<Line>),
    /// Stdin, which is read line by line.
    Stdin { lines: mpsc::Receiver<io::Result<String>>, count: usize },
}

impl Source {
    /// Reads a file, or begins to read stdin, which has the name `-`.
    ///
    /// # Errors
    /// A file that cannot be read, and the first invalid line of a file.
    pub(super) fn open(path: &str) -> Result<Self, UsageError> {
        if path == "-" {
            return Ok(Self::Stdin { lines: stdin(), count: 0 });
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        let place = |line| Place { script: path.to_owned(), line };
        let lines = text.lines().enumerate().map(|(at, text)| Line::parse(text, place(at + 1)));
        Ok(Self::File(lines.filter_map(Result::transpose).collect::<Result<_, _>>()?))
    }

    /// Returns the next call, or `None` at the end. Can be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Result<Line, UsageError>> {
        let (lines, count) = match self {
            Self::File(lines) => return lines.pop_front().map(Ok),
            Self::Stdin { lines, count } => (lines, count),
        };
        loop {
            let text = match lines.recv().await? {
                Ok(text) => text,
                Err(error) => return Some(Err(unreadable("stdin", &error))),
            };
            *count += 1;
            let place = Place { script: "stdin".to_owned(), line: *count };
            if let Some(line) = Line::parse(&text, place).transpose() {
                return Some(line);
            }
        }
    }
}

fn unreadable(path: &str, error: &io::Error) -> UsageError {
    UsageError::new(
        format!("the script {path} cannot be read: {error}"),
        "put a text file, or - for stdin, before the plugin: rpcplugin call -f SCRIPT PLUGIN",
    )
}

/// Reads stdin in a thread, because reading from a terminal or a pipe may block indefinitely.
fn stdin() -> mpsc::Receiver<io::Result<String>> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let is_last = line.is_err();
            if sender.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    lines
}
