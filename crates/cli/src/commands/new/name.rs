//! The name of a project, in its different spellings.

use crate::error::UsageError;

/// A name that is valid for a crate, a protobuf package and an environment variable.
#[derive(Debug)]
pub(super) struct Name(String);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// Cargo or protobuf would refuse the name.
    pub(super) fn parse(name: &str) -> Result<Self, UsageError> {
        Self::new(name).ok_or_else(|| {
            UsageError::new(
                format!("{name:?} is not a valid project name"),
                "use lower-case letters, digits and `-`, start with a letter, and avoid Rust keywords; `--name NAME` sets a name other \
                 than that of the directory",
            )
        })
    }

    fn new(name: &str) -> Option<Self> {
        let good = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
            && name.len() <= LONGEST
            && !KEYWORDS.contains(&name);
        // Cargo treats `-` and `_` alike, and protobuf's style has no double underscore.
        let name = name.replace('_', "-");
        (good && !name.ends_with('-') && !name.contains("--")).then_some(Self(name))
    }

    /// `my-plugin`
    pub(super) fn kebab(&self) -> &str {
        &self.0
    }

    /// `my_plugin`
    pub(super) fn snake(&self) -> String {
        self.0.replace('-', "_")
    }

    /// `MY_PLUGIN`
    pub(super) fn shouted(&self) -> String {
        self.snake().to_uppercase()
    }
}

/// Keywords. The protobuf package becomes a module, whose name cannot be a keyword.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

const LONGEST: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_three_spellings() {
        let name = Name::new("my_weather2").unwrap();
        assert_eq!(
            (name.kebab(), &*name.snake(), &*name.shouted()),
            ("my-weather2", "my_weather2", "MY_WEATHER2")
        );
    }

    #[test]
    fn names_that_cargo_or_protobuf_reject_are_refused() {
        for wrong in
            ["", "2fast", "Big", "a b", "a/b", "type", "-a", "a-", "a--b", "ä", "..", &"x".repeat(51)]
        {
            assert!(Name::new(wrong).is_none(), "{wrong}");
        }
    }
}
