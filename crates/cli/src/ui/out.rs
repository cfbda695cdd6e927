//! Output on stdout and stderr.
//!
//! Results go to stdout, as text or as JSON. Notes and errors go to stderr. Text has colours, which are removed where they are not
//! wanted. Only these colours can act on a terminal: control characters from a plugin are made visible, in text and in JSON.

use std::{
    cell::RefCell,
    fmt,
    io::{self, IsTerminal as _, Write},
    time::Duration,
};

use anstream::AutoStream;
use clap::ColorChoice;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, Report};
use rpcplugin::error::{Visible, disturbs};
use serde::Serialize;
use serde_json::json;

use super::{
    error_json::error_as_json,
    style::{self, printable},
    tree::Tree,
    visible_error::VisibleError,
    wrap::wrapped,
};
use crate::os::columns;

/// Prints on stdout and stderr.
pub(crate) struct Out {
    json: bool,
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    #[cfg(feature = "ui")]
    colours_on_stdout: bool,
    colours_on_stderr: bool,
    /// The progress indicator. It is hidden while a line is printed.
    working: RefCell<ProgressBar>,
    /// The first error of writing to stdout.
    stdout_error: Option<io::Error>,
}

/// The result cannot be written to stdout.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the result cannot be written to stdout")]
#[diagnostic(
    code(rpcplugin::base::stdout_unwritable),
    help("check that the target of stdout is writable and has free space")
)]
pub(crate) struct StdoutUnwritable(#[source] pub(crate) io::Error);

impl Out {
    /// Prints to this process's stdout and stderr.
    pub(crate) fn new(json: bool, colour: ColorChoice) -> Self {
        let choice = |auto: anstream::ColorChoice| match colour {
            ColorChoice::Auto => auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        };
        let on_stdout = choice(AutoStream::choice(&io::stdout()));
        let on_stderr = choice(AutoStream::choice(&io::stderr()));
        Self {
            json,
            stdout: Box::new(AutoStream::new(io::stdout(), on_stdout)),
            stderr: Box::new(AutoStream::new(io::stderr(), on_stderr)),
            #[cfg(feature = "ui")]
            colours_on_stdout: on_stdout != anstream::ColorChoice::Never,
            colours_on_stderr: on_stderr != anstream::ColorChoice::Never,
            working: RefCell::new(ProgressBar::hidden()),
            stdout_error: None,
        }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether text on stdout has colours and other styles.
    #[cfg(feature = "ui")]
    pub(crate) fn has_styles(&self) -> bool {
        self.colours_on_stdout
    }

    /// Prints a line on stdout. Does nothing after an error of stdout.
    pub(crate) fn line(&mut self, text: impl fmt::Display) {
        if self.stdout_error.is_none() {
            let text = printable(&text.to_string());
            let stdout = &mut self.stdout;
            let print = || writeln!(stdout, "{text}").and_then(|()| stdout.flush());
            self.stdout_error = aside(&self.working.borrow(), print).err();
        }
    }

    /// Prints a tree on stdout, wrapped to the width of a terminal.
    pub(crate) fn tree(&mut self, tree: &Tree) {
        self.line(tree.within(columns(&io::stdout())));
    }

    /// Prints a head and a text on stdout. On a terminal the text is wrapped in a column of its own.
    pub(crate) fn beside(&mut self, head: impl fmt::Display, text: impl fmt::Display) {
        let head = head.to_string();
        let (taken, _) = style::measure(&head, 0);
        let room = columns(&io::stdout()).map(|columns| columns.saturating_sub(taken));
        let lines = wrapped(&text.to_string(), room);
        self.line(head + &lines.join(&format!("\n{:taken$}", "")));
    }

    /// Whether stdout has failed. Commands that run until they are interrupted stop then.
    pub(crate) fn has_lost_stdout(&self) -> bool {
        self.stdout_error.is_some()
    }

    /// Takes the first error of writing to stdout.
    pub(crate) fn take_stdout_error(&mut self) -> Option<io::Error> {
        self.stdout_error.take()
    }

    /// Prints a line on stderr.
    pub(crate) fn note(&mut self, text: impl fmt::Display) {
        let text = printable(&text.to_string());
        let stderr = &mut self.stderr;
        let _ = aside(&self.working.borrow(), || writeln!(stderr, "{text}").and_then(|()| stderr.flush()));
    }

    /// Prints a line on stderr, wrapped to the width of a terminal.
    pub(crate) fn hint(&mut self, text: &str) {
        self.note(wrapped(text, columns(&io::stderr())).join("\n"));
    }

    /// Prints a log record on stderr. On a terminal the lines after the first are indented.
    pub(crate) fn record(&mut self, text: &str) {
        let columns = columns(&io::stderr());
        let (first, below) =
            text.split_once('\n').map_or((text, None), |(first, below)| (first, Some(below)));
        let room = columns.map(|columns| columns.saturating_sub(INDENT.len()));
        let mut lines = wrapped(first, room).join(&format!("\n{INDENT}"));
        if let Some(below) = below {
            lines += &format!("\n{}", wrapped(below, columns).join("\n"));
        }
        self.note(lines);
    }

    /// Prints a value as JSON on stdout: on one line with `--json`, and on several lines for people.
    pub(crate) fn json(&mut self, value: &impl Serialize) {
        if self.json {
            return self.json_line(value);
        }
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(visible_json(&text)),
            Err(error) => self.note(error),
        }
    }

    /// Prints a value on one line of stdout.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.line(visible_json(&text)),
            Err(error) => self.note(error),
        }
    }

    /// Prints an error: on stdout with `--json`, and on stderr otherwise.
    pub(crate) fn report(&mut self, report: &Report) {
        if self.json {
            self.json(&json!({ "error": error_as_json(report.as_ref()) }));
        } else {
            self.report_on_stderr(report.as_ref());
        }
    }

    /// Prints an error on stderr.
    pub(crate) fn report_on_stderr(&mut self, error: &dyn Diagnostic) {
        let theme = if self.colours_on_stderr {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let mut text = String::new();
        // In a file or a pipe the lines are not wrapped, so that a search finds whole sentences.
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(columns(&io::stderr()).map_or(100, |columns| columns.clamp(40, 120)))
            .with_wrap_lines(io::stderr().is_terminal())
            .with_break_words(false)
            .with_links(false);
        if handler.render_report(&mut text, &VisibleError::new(error)).is_err() {
            text = format!("{error:?}");
        }
        self.note(style::from_library(text.trim_end()));
    }

    /// Shows a progress indicator until the returned value is dropped. Does nothing without a terminal and with `--json`.
    pub(crate) fn working(&self, text: impl Into<String>) -> Working {
        if self.json || !io::stderr().is_terminal() {
            return Working(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.set_message(Visible(&text.into()).to_string());
        bar.enable_steady_tick(Duration::from_millis(100));
        *self.working.borrow_mut() = bar.clone();
        Working(bar)
    }
}

/// A progress indicator on the terminal. Dropping this removes it.
#[derive(Debug)]
pub(crate) struct Working(ProgressBar);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Prints while the progress indicator is hidden.
fn aside<T>(working: &ProgressBar, print: impl FnOnce() -> T) -> T {
    if working.is_finished() || working.is_hidden() { print() } else { working.suspend(print) }
}

/// Escapes the characters of a JSON text that would act on a terminal. Outside strings, JSON has no such characters but line breaks.
fn visible_json(json: &str) -> String {
    let mut visible = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !disturbs(c) {
            visible.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            visible += &format!("\\u{unit:04x}");
        }
    }
    visible
}

const INDENT: &str = "    ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_has_the_same_value_and_cannot_act_on_a_terminal() {
        let value = json!({ "a\u{9b}": "\u{1b}[31m\u{7f}\u{202e}\u{e0041}\n\"ü" });
        let text = visible_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(text.chars().all(|c| c == '\n' || !disturbs(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
