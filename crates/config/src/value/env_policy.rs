//! Which of the host's variables a plugin gets.

use super::text::{Shape, Text};

/// Which variables of the host's own environment a plugin inherits. Those of the handshake and those that the
/// command sets come on top.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvPolicy {
    /// All: `inherit`. What every ordinary child process gets, secrets in the environment included.
    Inherit,
    /// None: `clear`. Most programs want at least `PATH` and `HOME`.
    Clear,
    /// Those with these names, where they exist: `PATH, HOME`.
    Only(Vec<String>),
}

impl Text for EnvPolicy {
    const ALLOWED: &'static str =
        "inherit, clear, or the names of variables with commas between, such as PATH,HOME";
    const SHAPE: Shape = Shape::List;

    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "inherit" => Some(Self::Inherit),
            "clear" => Some(Self::Clear),
            _ => text.split(',').map(variable_name).collect::<Option<_>>().map(Self::Only),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Inherit => "inherit".to_owned(),
            Self::Clear => "clear".to_owned(),
            Self::Only(names) => names.join(", "),
        }
    }
}

/// The text as the name of a variable, if it can be one. Blanks inside are more likely a forgotten comma.
fn variable_name(text: &str) -> Option<String> {
    let name = text.trim();
    let possible = !name.is_empty() && !name.contains(|c: char| c == '=' || c == '\0' || c.is_whitespace());
    possible.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_word_or_a_list_of_names() {
        assert_eq!(EnvPolicy::from_text("Inherit"), Some(EnvPolicy::Inherit));
        assert_eq!(EnvPolicy::from_text("clear"), Some(EnvPolicy::Clear));
        let names = EnvPolicy::Only(vec!["PATH".into(), "HOME".into()]);
        assert_eq!(EnvPolicy::from_text("PATH, HOME"), Some(names));
        for text in ["", "PATH,,HOME", "PATH HOME", "A=B"] {
            assert_eq!(EnvPolicy::from_text(text), None, "{text}");
        }
    }
}
