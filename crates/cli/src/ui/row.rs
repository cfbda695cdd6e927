//! Rows of a screen: texts that fit a number of columns.

use rpcplugin::error::Visible;

use super::{
    style::{closed, measure, plain, printable},
    wrap::wrapped,
};

/// Cuts a text to one row of at most `columns` columns. A text that is cut ends with `…`.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    let text = untabbed(text).replace('\n', "\\n");
    let (width, mut fits) = measure(&text, columns);
    if width <= columns {
        return ended(text);
    }
    let room = columns.saturating_sub(1);
    if columns > 0 {
        (_, fits) = measure(&text, room);
    }
    let end = if columns == 0 { "" } else { "…" };
    ended(format!("{}{end}", &text[..fits]))
}

/// Wraps a text into rows of at most `columns` columns.
pub(crate) fn rows(text: &str, columns: usize) -> Vec<String> {
    let rows = wrapped(&untabbed(text), Some(columns));
    // A narrow screen has less room than a line is wrapped to.
    rows.iter().map(|row| fitted(row, columns)).collect()
}

/// Returns the number of columns of a text.
pub(crate) fn width(text: &str) -> usize {
    measure(text, 0).0
}

/// Turns a row into what is sent to a terminal. Nothing in it but the program's own styles can act on the terminal, and without
/// `styles` nothing at all.
pub(crate) fn sent(row: &str, styles: bool) -> String {
    if styles { printable(row) } else { Visible(&plain(row)).to_string() }
}

/// Replaces tabs. Their width depends on their column.
fn untabbed(text: &str) -> String {
    text.replace('\t', "    ")
}

/// Ends the styles that are open at the end of a row.
fn ended(row: String) -> String {
    closed(std::iter::once(row)).pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::good;

    #[test]
    fn a_row_is_cut_to_its_columns() {
        for (text, columns, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("a\nb", 9, "a\\nb"),
            ("\ta", 9, "    a"),
            ("你好", 3, "你…"),
            ("ab", 1, "…"),
            ("ab", 0, ""),
        ] {
            assert_eq!(plain(&fitted(text, columns)), expected, "{text:?} in {columns}");
        }
        let styled = fitted(&good("abcdef"), 4);
        assert_eq!(sent(&styled, true), "\u{1b}[32mabc…\u{1b}[0m");
        assert_eq!(sent(&styled, false), "abc…");
    }

    #[test]
    fn no_row_is_wider_than_the_screen() {
        for columns in 0..40 {
            for row in rows(
                "one two\tthree \u{1b}[2J 你好你好你好 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n  y",
                columns,
            ) {
                assert!(width(&row) <= columns, "{row:?} in {columns}");
            }
        }
    }

    #[test]
    fn only_styles_of_the_program_act_on_a_terminal() {
        let row = fitted(&format!("{}\u{1b}[2J\u{9b}H", good("x")), 80);
        assert_eq!(sent(&row, true), "\u{1b}[32mx\u{1b}[0m\\u{1b}[2J\\u{9b}H");
        assert_eq!(sent(&row, false), "x\\u{1b}[2J\\u{9b}H");
    }
}
