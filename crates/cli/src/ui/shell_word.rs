//! Words of a shell.

/// Quotes a text as one word of a shell.
pub(crate) fn shell_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_for_a_shell() {
        for (text, word) in
            [("/tmp/a.json", "/tmp/a.json"), ("", "''"), ("{\"a\":1}", "'{\"a\":1}'"), ("it's", "'it'\\''s'")]
        {
            assert_eq!(shell_quoted(text), word);
        }
    }
}
