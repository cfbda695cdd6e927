//! Styles by their meaning, and styled text.
//!
//! A style is a *mark* in a text. [`printable`] turns marks into terminal sequences and makes everything else visible that would act on
//! a terminal. So no text of a plugin can send a sequence to the terminal.

use std::{
    fmt::{Display, Write as _},
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
};

use anstyle::{AnsiColor, Style};
use rpcplugin::error::Visible;
use unicode_width::UnicodeWidthChar as _;

/// Styles a text as correct.
pub(crate) fn good(text: impl Display) -> String {
    paint(AnsiColor::Green.on_default(), text)
}

/// Styles a text as suspicious.
pub(crate) fn warn(text: impl Display) -> String {
    paint(AnsiColor::Yellow.on_default(), text)
}

/// Styles a text as wrong.
pub(crate) fn bad(text: impl Display) -> String {
    paint(AnsiColor::Red.on_default(), text)
}

/// Styles a text as important.
pub(crate) fn strong(text: impl Display) -> String {
    paint(Style::new().bold(), text)
}

/// Styles a text as unimportant.
pub(crate) fn dim(text: impl Display) -> String {
    paint(Style::new().dimmed(), text)
}

/// Turns the colours in a library's text into marks. The text must not contain text of a peer.
pub(crate) fn from_library(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    for piece in colours(text) {
        match piece {
            Ok(text) => marked += text,
            Err(parameters) => marked += &mark(parameters),
        }
    }
    marked
}

/// Removes the colour sequences from a peer's text. Other terminal sequences stay, and are made visible when printed.
pub(crate) fn without_colours(text: &str) -> String {
    colours(text).filter_map(Result::ok).collect()
}

/// Shows the line breaks in a peer's text as `\n`, so that its second line cannot be mistaken for a line of this program.
pub(crate) fn on_one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// Turns marks into terminal sequences, and makes the rest [visible](Visible).
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for piece in pieces(text) {
        let _ = match piece {
            Ok(text) => write!(printable, "{}", Visible(text)),
            Err(parameters) => write!(printable, "\u{1b}[{parameters}m"),
        };
    }
    printable
}

/// Removes the marks from a text.
pub(crate) fn plain(text: &str) -> String {
    pieces(text).filter_map(Result::ok).collect()
}

/// Returns the width of a text in columns, and the length of its start that fits into `room` columns.
pub(super) fn measure(text: &str, room: usize) -> (usize, usize) {
    let (mut columns, mut fits, mut at) = (0, 0, 0);
    for piece in pieces(text) {
        match piece {
            Err(parameters) => at += MARK.len() + parameters.len() + END.len_utf8(),
            Ok(text) => {
                for c in text.chars() {
                    columns += width(c);
                    at += c.len_utf8();
                    if columns <= room {
                        fits = at;
                    }
                }
                continue;
            }
        }
        // A mark has no width.
        if columns <= room {
            fits = at;
        }
    }
    (columns, fits)
}

/// Ends the styles that are open at the end of each line, and opens them again in the next.
pub(super) fn closed(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut open = String::new();
    let mut closed = Vec::new();
    for line in lines {
        let mut whole = open.clone() + &line;
        for parameters in pieces(&line).filter_map(Result::err) {
            match parameters {
                "0" => open.clear(),
                other => open += &mark(other),
            }
        }
        if !open.is_empty() {
            whole += &mark("0");
        }
        closed.push(whole);
    }
    closed
}

fn width(c: char) -> usize {
    // A character that would act on a terminal is printed as an escape.
    if rpcplugin::error::disturbs(c) { c.escape_default().count() } else { c.width().unwrap_or(0) }
}

fn paint(style: Style, text: impl Display) -> String {
    from_library(&format!("{style}\0{style:#}")).replacen('\0', &text.to_string(), 1)
}

fn mark(parameters: &str) -> String {
    format!("{}{parameters}{END}", *MARK)
}

/// Splits a text into pieces (`Ok`) and the parameters of the marks between them (`Err`).
fn pieces(text: &str) -> impl Iterator<Item = Result<&str, &str>> {
    let mut parts = text.split(MARK.as_str());
    let first = parts.next().into_iter().map(Ok);
    let rest = parts.flat_map(|part| match part.split_once(END) {
        Some((parameters, text)) => [Some(Err(parameters)), Some(Ok(text))],
        None => [Some(Ok(part)), None],
    });
    first.chain(rest.flatten())
}

/// Splits a text into pieces (`Ok`) and the parameters of the colour sequences between them (`Err`).
fn colours(text: &str) -> impl Iterator<Item = Result<&str, &str>> {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().into_iter().map(Ok);
    // A sequence of another kind stays as it is.
    let rest = parts.flat_map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit() && !matches!(c, ';' | ':'));
        match end.map(|end| part.split_at(end)) {
            Some((parameters, rest)) if rest.starts_with('m') => [Err(parameters), Ok(&rest[1..])],
            _ => [Ok("\u{1b}["), Ok(part)],
        }
    });
    first.chain(rest)
}

/// The start of a mark. A random number makes it impossible for a peer to write one.
static MARK: LazyLock<String> = LazyLock::new(|| format!("\u{fdd0}{:016x}", RandomState::new().hash_one(0)));

/// The end of a mark: a noncharacter, as the first character of a mark, for internal use of a program.
const END: char = '\u{fdd1}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_styles_become_sequences() {
        let text = format!("{} \u{1b}[31mred\u{1b}[0m \u{fdd0}31\u{fdd1}", good("\u{1b}[5m\u{9b}2Jyes"));
        assert_eq!(
            printable(&text),
            "\u{1b}[32m\\u{1b}[5m\\u{9b}2Jyes\u{1b}[0m \\u{1b}[31mred\\u{1b}[0m \\u{fdd0}31\\u{fdd1}"
        );
        assert_eq!(plain(&strong(dim("a"))), "a");
        assert_eq!(
            printable(&from_library("\u{1b}[1;31merror:\u{1b}[0m x")),
            "\u{1b}[1;31merror:\u{1b}[0m x"
        );
    }

    #[test]
    fn only_colours_are_removed() {
        assert_eq!(without_colours("\u{1b}[2m12:00\u{1b}[0m \u{1b}[38;5;1mx"), "12:00 x");
        for kept in ["", "plain", "\u{1b}[2J", "\u{1b}[", "\u{1b}[31", "\u{1b}]0;x\u{7}"] {
            assert_eq!(without_colours(kept), kept);
        }
    }

    #[test]
    fn the_width_is_that_of_the_printed_text() {
        assert_eq!(measure(&bad("abc"), 80).0, 3);
        assert_eq!(measure("你好", 3), (4, 3));
        assert_eq!(measure("a\u{1b}b", 80).0, 8);
        let styled = good("abcd");
        let (columns, fits) = measure(&styled, 2);
        assert_eq!((columns, plain(&styled[..fits])), (4, "ab".to_owned()));
    }
}
