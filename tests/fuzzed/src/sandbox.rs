//! What the program's lock file needs of its sandbox.

/// A sandbox as lines, as in the program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Grants {
    pub(crate) allow: Vec<String>,
    pub(crate) limits: Vec<String>,
    pub(crate) best_effort: bool,
}
