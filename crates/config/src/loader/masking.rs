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
