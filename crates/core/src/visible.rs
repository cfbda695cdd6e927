//! Text from untrusted sources, made safe to show.

use std::fmt::{self, Write as _};

/// Untrusted text, made safe for a terminal or a text file. Characters that [affect a terminal](disturbs) are escaped, such as
/// `\u{1b}`. Line breaks and tabs stay.
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

/// Whether a character of untrusted text affects a terminal or misleads its reader. Such characters are control characters except the
/// tab, marks of direction, line separators, invisible characters and noncharacters.
///
/// Joiners of letters, which some languages and emoji need, do not.
#[must_use]
pub fn disturbs(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control() && c != '\t';
    }
    matches!(c,
        '\u{80}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        // Zero-width space and marks of direction. The joiners stand between them.
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        // Separators of lines and paragraphs, embeddings, overrides, isolates, and deprecated characters.
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Tags: an invisible copy of ASCII.
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
    fn characters_that_affect_a_terminal_are_escaped() {
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
        fn no_character_that_affects_a_terminal_is_left(text in r"(\PC|\p{C}){0,40}") {
            let shown = Visible(&text).to_string();
            prop_assert!(shown.chars().all(|c| c == '\n' || !disturbs(c)), "{:?}", shown);
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
