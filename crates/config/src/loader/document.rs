//! The parts of a configuration file, in either format.

use std::ops::Range;

/// Something in a file, and where it stands.
pub(super) struct Node {
    pub(super) item: Item,
    pub(super) span: Range<usize>,
}

/// What a file is made of, in either format.
pub(super) enum Item {
    /// `null`, which says nothing.
    Nothing,
    /// Text, a number or a truth value, as text.
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with what belongs to it.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node,
}

/// Why a text is not of its format, and where it stops being so.
pub(super) struct SyntaxFault {
    pub(super) why: String,
    pub(super) span: Range<usize>,
}
