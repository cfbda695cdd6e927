//! The lines of a traceback of Python.

/// The position in a traceback after the last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traceback {
    /// In the frames, before the exception.
    Frames,
    /// At the exception or in its message.
    Raised,
    /// Between the traceback of a cause and that of the exception it led to.
    Chained,
}

impl Traceback {
    /// Returns the position after this line if the line opens a traceback. In a group of exceptions, the lines that name the
    /// exceptions are indented too.
    pub(super) fn opened_by(text: &str) -> Option<Self> {
        const OPENING: &str = "Traceback (most recent call last):";
        let text = text.trim_end();
        let of_group = || text.trim_start_matches([' ', '+', '|']).strip_prefix("Exception Group ");
        if text == OPENING {
            Some(Self::Frames)
        } else if of_group() == Some(OPENING) {
            Some(Self::Raised)
        } else {
            None
        }
    }

    /// Returns the position after this line, or `None` if the line does not belong to the traceback.
    pub(super) fn after(self, text: &str) -> Option<Self> {
        let text = text.trim_end();
        match self {
            Self::Frames | Self::Raised if text.starts_with([' ', '\t']) => Some(self),
            Self::Frames => names_exception(text).then_some(Self::Raised),
            Self::Raised if text.is_empty() => Some(Self::Raised),
            Self::Raised => LINKS.contains(&text).then_some(Self::Chained),
            Self::Chained if text.is_empty() => Some(Self::Chained),
            Self::Chained => Self::opened_by(text),
        }
    }
}

/// Whether the line names an exception: `RuntimeError: boom`, `subprocess.CalledProcessError: …`, or a name alone.
fn names_exception(text: &str) -> bool {
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.starts_with(|first: char| first.is_ascii_digit())
            && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '<' || c == '>')
    };
    name.split('.').all(is_word)
}

/// The lines with which Python links two tracebacks.
const LINKS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];
