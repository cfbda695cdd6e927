//! Masks the secrets in excerpts of files.

use std::{ops::Range, sync::Arc};

use crate::catalog::settings;

/// Replaces secrets by stars, so that an excerpt around a fault shows none. Lines and offsets do not change.
pub(super) fn masked(text: &str, secrets: &[Range<usize>]) -> Arc<str> {
    let secret = |offset| secrets.iter().any(|span| span.contains(&offset));
    let mask = |(offset, letter): (usize, char)| {
        let stars = if letter == '\n' || !secret(offset) { 0 } else { letter.len_utf8() };
        let kept = (stars == 0).then_some(letter);
        std::iter::repeat_n('*', stars).chain(kept)
    };
    text.char_indices().flat_map(mask).collect::<String>().into()
}

/// The parts to mask in a text with a syntax error, where the places of secrets are unknown: all but the faulty line. The line is
/// masked too if it may be part of a secret.
pub(super) fn all_but_the_line(text: &str, offset: usize) -> Vec<Range<usize>> {
    let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| offset + newline);
    let line = &text[start..end];
    let inside_pem = before.matches("-----BEGIN ").count() > before.matches("-----END ").count();
    let names_secret = settings()
        .iter()
        .filter(|setting| setting.secret)
        .any(|setting| setting.name.rsplit('.').next().is_some_and(|name| line.contains(name)));
    let mut masked = vec![0..start, end..text.len()];
    if inside_pem || names_secret || line.contains("-----") {
        masked.push(start..end);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_replace_the_bytes_of_secrets_only() {
        let secret = 4..10;
        assert_eq!(&*masked("a = '\u{e9}\nx'\nb = 2\n", &[secret]), "a = ***\n**\nb = 2\n");
    }

    #[test]
    fn the_line_of_a_syntax_error_is_shown_unless_it_may_be_part_of_a_secret() {
        for (text, at, shown) in [
            ("a = 1\ngrace = \nb = 2\n", "grace", "*****\ngrace = \n*****\n"),
            ("a = 1\ngrace = \nb = 2\n", "= \n", "*****\ngrace = \n*****\n"),
            ("grace = \nb = 2", "grace", "grace = \n*****"),
            ("a = 1\ngrace = ", "ace", "*****\ngrace = "),
            ("a = 1\nkey_private_key = \n", "private", "*****\n******************\n"),
            ("-----BEGIN X\nabc\n", "abc", "************\n***\n"),
            (
                "-----BEGIN X\nabc\n-----END X\ngrace = \n",
                "grace",
                "************\n***\n**********\ngrace = \n",
            ),
            ("abc\n-----END X\n", "END", "***\n**********\n"),
            ("-----END X\nabc\n", "abc", "**********\nabc\n"),
        ] {
            let secrets = all_but_the_line(text, text.find(at).expect(at));
            assert_eq!(&*masked(text, &secrets), shown, "{text:?}");
        }
    }
}
