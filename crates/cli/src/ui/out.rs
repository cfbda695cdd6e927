//! Everything that the program prints.
//!
//! What was asked for goes to stdout, as text or as JSON; what tells of the work goes to stderr. Text is written with
//! colours, which are taken out again where they are not wanted. Of what is printed nothing but these colours acts on a
//! terminal: control characters of a plugin are shown, in text as in JSON.

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
use rpcplugin::{Visible, disturbs};
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

/// Where the program prints.
pub(crate) struct Out {
    json: bool,
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    colours_on_stderr: bool,
    /// The sign on the terminal that something goes on. It makes way for what is printed.
    working: RefCell<ProgressBar>,
    /// What kept the first line that could not be printed on stdout from being so.
    lost: Option<io::Error>,
}

/// What was asked for cannot be handed over.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("what was asked for cannot be written to stdout")]
#[diagnostic(
    code(rpcplugin::base::stdout_unwritable),
    help("see to it that there is room where stdout leads to, and that it may be written to")
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
            colours_on_stderr: on_stderr != anstream::ColorChoice::Never,
            working: RefCell::new(ProgressBar::hidden()),
            lost: None,
        }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line on stdout, unless an earlier one could not be.
    pub(crate) fn line(&mut self, text: impl fmt::Display) {
        if self.lost.is_none() {
            let text = printable(&text.to_string());
            let stdout = &mut self.stdout;
            let print = || writeln!(stdout, "{text}").and_then(|()| stdout.flush());
            self.lost = aside(&self.working.borrow(), print).err();
        }
    }

    /// Prints facts on stdout, in a terminal's width.
    pub(crate) fn tree(&mut self, tree: &Tree) {
        self.line(tree.within(columns(&io::stdout())));
    }

    /// Prints text on stdout behind a head. In a terminal's width it goes on under its own column.
    pub(crate) fn beside(&mut self, head: impl fmt::Display, text: impl fmt::Display) {
        let head = head.to_string();
        let (taken, _) = style::measure(&head, 0);
        let room = columns(&io::stdout()).map(|columns| columns.saturating_sub(taken));
        let lines = wrapped(&text.to_string(), room);
        self.line(head + &lines.join(&format!("\n{:taken$}", "")));
    }

    /// Whether nothing can be printed on stdout any more. What has no end of its own ends then.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Takes the first error of writing to stdout, if there was one.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.lost.take()
    }

    /// Prints a line on stderr.
    pub(crate) fn note(&mut self, text: impl fmt::Display) {
        let text = printable(&text.to_string());
        let stderr = &mut self.stderr;
        let _ = aside(&self.working.borrow(), || writeln!(stderr, "{text}").and_then(|()| stderr.flush()));
    }

    /// Prints what may be of use on stderr, broken at blanks where a terminal has no room.
    pub(crate) fn hint(&mut self, text: &str) {
        self.note(wrapped(text, columns(&io::stderr())).join("\n"));
    }

    /// Prints a record of a log on stderr. Where a terminal has no room it goes on further in, as what is below it does.
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

    /// Prints a value on stdout: for programs on one line, as everything is for them, and for people over several.
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

    /// Prints an error: for people on stderr, for programs on stdout.
    pub(crate) fn report(&mut self, report: &Report) {
        if self.json {
            self.json(&json!({ "error": error_as_json(report.as_ref()) }));
        } else {
            self.report_on_stderr(report.as_ref());
        }
    }

    pub(crate) fn report_on_stderr(&mut self, error: &dyn Diagnostic) {
        let theme = if self.colours_on_stderr {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let mut text = String::new();
        // Whoever searches what is written into a file or a pipe finds it in one piece.
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(columns(&io::stderr()).map_or(100, |columns| columns.clamp(40, 120)))
            .with_wrap_lines(io::stderr().is_terminal())
            .with_break_words(false)
            .with_links(false);
        if handler.render_report(&mut text, &VisibleError::new(error)).is_err() {
            text = format!("{error:?}");
        }
        self.note(style::own(text.trim_end()));
    }

    /// Shows that something goes on, until it is dropped: on a terminal, and for people only.
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

/// A sign on the terminal that something goes on. It goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Working(ProgressBar);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Prints while the sign that something goes on is away.
fn aside<T>(working: &ProgressBar, print: impl FnOnce() -> T) -> T {
    if working.is_finished() || working.is_hidden() { print() } else { working.suspend(print) }
}

/// The same JSON, in which characters that would act on a terminal are escaped. Such characters stand within strings; outside of
/// strings, JSON has line breaks only.
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
    fn json_says_the_same_and_acts_on_no_terminal() {
        let value = json!({ "a\u{9b}": "\u{1b}[31m\u{7f}\u{202e}\u{e0041}\n\"ü" });
        let text = visible_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(text.chars().all(|c| c == '\n' || !disturbs(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
