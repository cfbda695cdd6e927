//! The colours, by what they mean, and text with them.
//!
//! A style stands in a text as a *mark*, and becomes a sequence of the terminal only where the text is printed, by
//! [`printable`]. All else that would act on a terminal is shown there, so that a plugin cannot send anything to it,
//! whichever way its text has come.

use std::{
    fmt::{Display, Write as _},
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
};

use anstyle::{AnsiColor, Style};
use rpcplugin::Visible;
use unicode_width::UnicodeWidthChar as _;

/// What is as it should be.
pub(crate) fn good(text: impl Display) -> String {
    paint(AnsiColor::Green.on_default(), text)
}

/// What is worth a second look.
pub(crate) fn warn(text: impl Display) -> String {
    paint(AnsiColor::Yellow.on_default(), text)
}

/// What is wrong.
pub(crate) fn bad(text: impl Display) -> String {
    paint(AnsiColor::Red.on_default(), text)
}

/// What the eye looks for.
pub(crate) fn strong(text: impl Display) -> String {
    paint(Style::new().bold(), text)
}

/// What can be passed over.
pub(crate) fn dim(text: impl Display) -> String {
    paint(Style::new().dimmed(), text)
}

/// Text of a library that colours it by itself, and in which nothing of a peer is: its colours become marks.
pub(crate) fn own(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    for piece in colours(text) {
        match piece {
            Ok(text) => marked += text,
            Err(parameters) => marked += &mark(parameters),
        }
    }
    marked
}

/// Text of a peer without the sequences that colour it. What else would act on a terminal stays, and is shown.
pub(crate) fn without_colours(text: &str) -> String {
    colours(text).filter_map(Result::ok).collect()
}

/// Text of a peer that may not go on with a line of its own, which could be taken for another's.
pub(crate) fn on_one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// The text as it is printed: marks as sequences of the terminal, and everything else [visible](Visible).
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

/// The text without its marks.
pub(crate) fn plain(text: &str) -> String {
    pieces(text).filter_map(Result::ok).collect()
}

/// How many columns the text takes up, and up to where it fits into so many.
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
        // A mark takes no room.
        if columns <= room {
            fits = at;
        }
    }
    (columns, fits)
}

/// Lines that are printed apart: a style that goes on from one to the next ends with each, and begins anew.
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
    // What is shown in place of a character is longer than it.
    if rpcplugin::disturbs(c) { c.escape_default().count() } else { c.width().unwrap_or(0) }
}

fn paint(style: Style, text: impl Display) -> String {
    own(&format!("{style}\0{style:#}")).replacen('\0', &text.to_string(), 1)
}

fn mark(parameters: &str) -> String {
    format!("{}{parameters}{END}", *MARK)
}

/// Pieces of text, and between them the parameters of marks.
fn pieces(text: &str) -> impl Iterator<Item = Result<&str, &str>> {
    let mut parts = text.split(MARK.as_str());
    let first = parts.next().into_iter().map(Ok);
    let rest = parts.flat_map(|part| match part.split_once(END) {
        Some((parameters, text)) => [Some(Err(parameters)), Some(Ok(text))],
        None => [Some(Ok(part)), None],
    });
    first.chain(rest.flatten())
}

/// Pieces of text, and between them the parameters of sequences that colour it.
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

/// What is in front of a style's parameters. It has a number that is another in each run: no peer can write it.
static MARK: LazyLock<String> = LazyLock::new(|| format!("\u{fdd0}{:016x}", RandomState::new().hash_one(0)));

/// What is behind them. It is a noncharacter, as the mark's first one: they are for a program's own use.
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
        assert_eq!(printable(&own("\u{1b}[1;31merror:\u{1b}[0m x")), "\u{1b}[1;31merror:\u{1b}[0m x");
    }

    #[test]
    fn colours_are_taken_out_and_nothing_else() {
        assert_eq!(without_colours("\u{1b}[2m12:00\u{1b}[0m \u{1b}[38;5;1mx"), "12:00 x");
        for kept in ["", "plain", "\u{1b}[2J", "\u{1b}[", "\u{1b}[31", "\u{1b}]0;x\u{7}"] {
            assert_eq!(without_colours(kept), kept);
        }
    }

    #[test]
    fn width_is_that_of_what_is_seen() {
        assert_eq!(measure(&bad("abc"), 80).0, 3);
        assert_eq!(measure("你好", 3), (4, 3));
        assert_eq!(measure("a\u{1b}b", 80).0, 8);
        let styled = good("abcd");
        let (columns, fits) = measure(&styled, 2);
        assert_eq!((columns, plain(&styled[..fits])), (4, "ab".to_owned()));
    }
}
