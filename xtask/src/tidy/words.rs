//! Words that make a sentence hard to read are not added.
//!
//! Texts from before the rule still have some. Their number may only fall: lower it here when it does.

use super::{Subject, Text};

/// The words, in lower case, and how often each may stand in the repository. `CONTRIBUTING.md` says what to write instead.
const WORDS: &[(&str, usize)] = &[
    ("anybody", 32),
    ("are none", 8),
    ("for ever", 15),
    ("is none", 38),
    ("nobody", 288),
    ("patience", 311),
    ("somebody", 96),
    ("stranger", 100),
    ("strangers", 53),
    ("tell", 51),
    ("tells", 103),
    ("told", 255),
    ("whoever", 87),
];

/// Files that list the words.
const LISTS: &[&str] = &["CONTRIBUTING.md", "xtask/src/tidy/words.rs"];

/// Counts the words in all code and prose that is written by hand.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let texts: Vec<String> =
        subject.texts.iter().filter(|text| is_prose(text)).map(|text| text.content.to_lowercase()).collect();
    WORDS
        .iter()
        .map(|(word, most)| (word, most, texts.iter().map(|text| count(text, word)).sum::<usize>()))
        .filter(|(_, most, found)| found > *most)
        .map(|(word, most, found)| {
            format!("`{word}` stands {found} times, and {most} times before: write what CONTRIBUTING.md has for it")
        })
        .collect()
}

fn is_prose(text: &Text) -> bool {
    let written = [".rs", ".md", ".proto"].iter().any(|ending| text.path.ends_with(ending));
    written && !text.path.starts_with("docs/api/") && !LISTS.contains(&text.path.as_str())
}

/// How often a word, or several, stand in a text, and not as a part of another word or name.
fn count(text: &str, words: &str) -> usize {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(words)
        .filter(|(at, _)| {
            let (before, after) = (&text[..*at], &text[at + words.len()..]);
            !is_part(before.chars().next_back()) && !is_part(after.chars().next())
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_counted() {
        assert_eq!(count("told, untold, told_by and `told`", "told"), 2);
        assert_eq!(count("it is none. this is nonesuch", "is none"), 1);
    }
}
