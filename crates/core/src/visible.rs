//! Text of others, as it may be shown.

use std::fmt::{self, Write as _};

/// Text as it may be written to a terminal or into a file of text, whatever its source: characters that
/// [disturb](disturbs) are shown as `\u{1b}` and the like. Line breaks and tabs stay as they are.
///
/// ```
/// # use rpcplugin_core::Visible;
/// assert_eq!(Visible("a\u{1b}[2Jb\r\n").to_string(), "a\\u{1b}[2Jb\\r\n");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a>(pub &'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(|c| c != '\n' && disturbs(c)) {
            let (before, from) = rest.split_at(at);
            f.write_str(before)?;
            let mut characters = from.chars();
            for escaped in characters.next().into_iter().flat_map(char::escape_default) {
                f.write_char(escaped)?;
            }
            rest = characters.as_str();
        }
        f.write_str(rest)
    }
}

/// Whether a character of a peer's text does more to a terminal, or to who reads there, than to be seen: whether it is a
/// control character (of ASCII, but for the tab, DEL, or of the second set, which begins sequences in one byte too),
/// turns around the text after it, breaks the line, cannot be seen, or is no character at all.
///
/// Those that join letters, which some languages and emoji need, do not.
#[must_use]
pub fn disturbs(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control() && c != '\t';
    }
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        // Zero widths and marks of direction, between which the joiners stand.
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        // Separators of lines and paragraphs, embeddings and overrides, isolates, and what is deprecated.
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Tags: a second ASCII that nothing shows.
        | '\u{e0000}'..='\u{e007f}'
        // Noncharacters.
        | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown() {
        for (text, shown) in [
            ("\u{1b}]52;c;aGk=\u{7}", "\\u{1b}]52;c;aGk=\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{7f}\u{8}\r", "a\\u{7f}\\u{8}\\r"),
            ("\u{202e}gpj.exe\u{2066}", "\\u{202e}gpj.exe\\u{2066}"),
            (
                "a\u{2028}b\u{feff}\u{e0041}\u{fdd0}\u{10ffff}",
                "a\\u{2028}b\\u{feff}\\u{e0041}\\u{fdd0}\\u{10ffff}",
            ),
        ] {
            assert_eq!(Visible(text).to_string(), shown);
        }
        for kept in ["", "a\tb\nc", "grüße, 你好", "👩\u{200d}💻", "می\u{200c}خواهم", "\u{fffd}"]
        {
            assert_eq!(Visible(kept).to_string(), kept);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_disturbs_is_left(text in any::<String>()) {
            let shown = Visible(&text).to_string();
            prop_assert!(shown.chars().all(|c| c == '\n' || !disturbs(c)), "{:?}", shown);
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
