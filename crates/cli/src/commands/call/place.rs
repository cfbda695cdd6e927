//! The line of a script that has a call.

use std::fmt;

/// A line of a script, as errors name it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The file, or `stdin`.
    pub(super) script: String,
    /// Counted from 1.
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of {}", self.line, self.script)
    }
}
