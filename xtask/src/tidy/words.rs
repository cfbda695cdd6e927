//! Words that make a sentence hard to read are not written.

use super::{Subject, Text};

/// The words, in lower case. `CONTRIBUTING.md` says what to write instead.
const WORDS: &[&str] = &[
    "anybody",
    "are none",
    "for ever",
    "is none",
    "nobody",
    "patience",
    "somebody",
    "stranger",
    "strangers",
    "tell",
    "tells",
    "told",
    "whoever",
];

/// Files that list the words.
const LISTS: &[&str] = &["CONTRIBUTING.md", "xtask/src/tidy/words.rs"];

/// A member of the program's JSON, whose name is stable.
const JSON_MEMBER: &str = "strangers";

/// Finds the words in all code and prose that is written by hand.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let lines = subject.texts.iter().filter(|text| is_prose(text)).flat_map(|text| {
        text.content
            .lines()
            .enumerate()
            .map(move |(number, line)| (&text.path, number + 1, line.to_lowercase()))
    });
    lines
        .flat_map(|(path, number, line)| {
            let line = line
                .replace(&format!("\"{JSON_MEMBER}\""), "")
                .replace(&format!("security.{JSON_MEMBER}"), "");
            let found = WORDS.iter().filter(move |word| has(&line, word));
            found.map(move |word| format!("{path}:{number}: `{word}`: write what CONTRIBUTING.md has for it"))
        })
        .collect()
}

fn is_prose(text: &Text) -> bool {
    let written = [".rs", ".md", ".proto"].iter().any(|ending| text.path.ends_with(ending));
    written && !text.path.starts_with("docs/api/") && !LISTS.contains(&text.path.as_str())
}

/// Whether the words stand in a text, and not as a part of another word or name.
fn has(text: &str, words: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(words).any(|(at, _)| {
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + words.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_found() {
        assert!(has("as the plugin told", "told") && has("it is none.", "is none"));
        assert!(!has("untold, told_by", "told") && !has("this is nonesuch", "is none"));
    }
}
