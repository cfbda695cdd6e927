//! Text for errors: quoted and cut.

use std::fmt;

/// Text in quotation marks on one line, cut after so many characters. Characters that disturb a terminal or cannot be
/// seen are escaped. Quotation marks in the text stay as they are.
pub(crate) struct Quoted<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Shown(self.0, self.1))
    }
}

/// As [`Quoted`], without the quotation marks.
pub(crate) struct Shown<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, longest) = self;
        let mut characters = text.chars();
        for c in characters.by_ref().take(*longest) {
            match c {
                '"' | '\'' | '\\' => write!(f, "{c}")?,
                c => write!(f, "{}", c.escape_debug())?,
            }
        }
        if characters.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// Cuts text after so many characters.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_escaped() {
        assert_eq!(
            Quoted("a\u{1b}[31m\n\u{202e}\u{fffd}ü", 20).to_string(),
            "\"a\\u{1b}[31m\\n\\u{202e}\u{fffd}ü\""
        );
        assert_eq!(Quoted("say \"x\" to C:\\", 20).to_string(), "\"say \"x\" to C:\\\"");
        assert_eq!(Quoted("ääää", 3).to_string(), "\"äää…\"");
        assert_eq!(shortened("ääää", 3), "äää…");
    }
}
