//! Which lines belong to a traceback of Python.

/// Where in a traceback the last line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traceback {
    /// Among the frames. The exception itself is still to come.
    Frames,
    /// At the exception, or at what belongs to its message.
    Raised,
    /// Between the traceback of a cause and that of what it led to.
    Chained,
}

impl Traceback {
    /// Where a traceback is after this line, if it opens one. All lines of a group of exceptions are indented, also those
    /// that name them.
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

    /// Where the traceback is after this line. None when the line does not belong to it.
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

/// `RuntimeError: boom`, `subprocess.CalledProcessError: …`, or a name alone.
fn names_exception(text: &str) -> bool {
    let name = text.split_once(':').map_or(text, |(name, _)| name);
    let is_word = |word: &str| {
        !word.is_empty()
            && !word.starts_with(|first: char| first.is_ascii_digit())
            && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '<' || c == '>')
    };
    name.split('.').all(is_word)
}

/// What stands between two tracebacks of one story.
const LINKS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];
