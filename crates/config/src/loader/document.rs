//! The parts of a configuration file, in either format.

use std::ops::Range;

/// A value in a file, with its place.
pub(super) struct Node {
    pub(super) item: Item,
    pub(super) span: Range<usize>,
}

/// The kinds of values in a file.
pub(super) enum Item {
    /// `null`, which counts as not set.
    Nothing,
    /// Text, a number or a boolean, as text.
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

/// A syntax error, with its place.
pub(super) struct SyntaxFault {
    pub(super) why: String,
    pub(super) span: Range<usize>,
}
