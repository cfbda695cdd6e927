//! The environment variables that a plugin inherits.

use super::text::{Shape, Text};

/// The variables of the host's environment that a plugin inherits. The variables of the handshake and those of the command are
/// added to them. On Windows names have no case, and `SystemRoot` is always inherited, because programs do not start without it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvPolicy {
    /// `inherit`: all variables, as for every ordinary child process, including secrets.
    Inherit,
    /// `clear`: no variables. Most programs need at least `PATH` and `HOME`.
    Clear,
    /// Only the variables with these names, such as `PATH, HOME`.
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

/// Returns the text if it can be the name of a variable. A blank inside is refused: it is probably a missing comma.
fn variable_name(text: &str) -> Option<String> {
    let name = text.trim();
    let possible = !name.is_empty() && !name.contains(|c: char| c == '=' || c == '\0' || c.is_whitespace());
    possible.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_a_word_or_a_list_of_names() {
        assert_eq!(EnvPolicy::from_text("Inherit"), Some(EnvPolicy::Inherit));
        assert_eq!(EnvPolicy::from_text("clear"), Some(EnvPolicy::Clear));
        let names = EnvPolicy::Only(vec!["PATH".into(), "HOME".into()]);
        assert_eq!(EnvPolicy::from_text("PATH, HOME"), Some(names));
        for text in ["", "PATH,,HOME", "PATH HOME", "A=B"] {
            assert_eq!(EnvPolicy::from_text(text), None, "{text}");
        }
    }
}
