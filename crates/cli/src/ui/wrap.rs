//! Text wrapped to the width of a terminal.

use super::style::{closed, measure};

/// Wraps a text into lines of at most `room` columns, at blanks, and within words that are longer than a line. Line breaks and
/// indentation of the text are kept. Without a limit the lines are unchanged.
pub(super) fn wrapped(text: &str, room: Option<usize>) -> Vec<String> {
    let Some(room) = room.map(|room| room.max(NARROWEST)) else {
        return text.split('\n').map(str::to_owned).collect();
    };
    closed(text.split('\n').flat_map(|line| wrapped_line(line, room)))
}

fn wrapped_line(line: &str, room: usize) -> Vec<String> {
    let indent = &line[..line.len() - line.trim_start_matches(' ').len()];
    // An indentation of more than half of the width is dropped.
    let indent = if indent.len() * 2 > room { "" } else { indent };
    let mut lines = Vec::new();
    let mut open = String::new();
    for word in line.trim_start_matches(' ').split(' ') {
        let longer = if open.is_empty() { format!("{indent}{word}") } else { format!("{open} {word}") };
        if measure(&longer, room).0 <= room {
            open = longer;
            continue;
        }
        if !open.is_empty() {
            lines.push(std::mem::take(&mut open));
        }
        open = format!("{indent}{word}");
        loop {
            let (columns, fits) = measure(&open, room);
            if columns <= room || fits <= indent.len() {
                break;
            }
            let rest = format!("{indent}{}", &open[fits..]);
            open.truncate(fits);
            lines.push(std::mem::replace(&mut open, rest));
        }
    }
    lines.push(open);
    lines
}

/// The minimum width of a column. The terminal wraps what is still longer.
const NARROWEST: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::{good, plain};

    #[test]
    fn lines_break_at_blanks_and_within_long_words() {
        assert_eq!(wrapped("one two three four five six", Some(20)), ["one two three four", "five six"]);
        assert_eq!(wrapped("a\n  - b c d e f g h i j k", Some(20)), ["a", "  - b c d e f g h i", "  j k"]);
        let long = "x".repeat(45);
        assert_eq!(wrapped(&format!("a {long} b"), Some(20)), ["a", &long[..20], &long[..20], "xxxxx b"]);
        assert_eq!(wrapped(&format!("a {long}\nb"), None), [format!("a {long}"), "b".to_owned()]);
        assert_eq!(wrapped("", Some(20)), [""]);
        let wide = "你".repeat(15);
        assert!(wrapped(&wide, Some(20)).iter().all(|line| measure(line, 99).0 <= 20));
    }

    #[test]
    fn a_style_has_no_width() {
        let lines = wrapped(&format!("{} {}", good("twelve chars"), good("1234567")), Some(20));
        assert_eq!(lines.len(), 1, "{}", plain(&lines.join("\n")));
        let lines = wrapped(&good("one two three four five"), Some(20));
        assert_eq!(lines, [good("one two three four"), good("five")]);
    }
}
