//! Errors of a conversion, with their position.

use std::fmt;

use prost_reflect::MessageDescriptor;

/// Why a text is not a message, or a message has no JSON form.
#[derive(Debug)]
pub(crate) struct Fault {
    what: What,
    /// The path, from the innermost step outwards.
    path: Vec<Step>,
    /// The byte offset in the text.
    at: Option<usize>,
    /// The innermost message with the fault.
    message: Option<MessageDescriptor>,
}

#[derive(Debug)]
enum What {
    Syntax(String),
    Value(String),
    TooDeep,
}

/// A step of a path.
#[derive(Debug)]
pub(super) enum Step {
    /// The name of a field.
    Field(String),
    /// The index of a list item.
    Item(usize),
    /// The key of a map entry.
    Key(String),
}

/// Adds steps to the path of a fault.
pub(super) trait Within {
    /// Adds an outer step.
    fn within(self, step: impl FnOnce() -> Step) -> Self;
}

impl Fault {
    /// The text is not valid JSON.
    pub(super) fn syntax(at: usize, what: impl Into<String>) -> Self {
        Self { what: What::Syntax(what.into()), path: Vec::new(), at: Some(at), message: None }
    }

    /// A value in the text does not fit its field.
    pub(super) fn at(at: usize, what: impl Into<String>) -> Self {
        Self { what: What::Value(what.into()), path: Vec::new(), at: Some(at), message: None }
    }

    /// A field has no JSON form.
    pub(super) fn of_field(what: impl Into<String>) -> Self {
        Self { what: What::Value(what.into()), path: Vec::new(), at: None, message: None }
    }

    /// Messages nest too deep.
    pub(super) fn too_deep(at: Option<usize>) -> Self {
        Self { what: What::TooDeep, path: Vec::new(), at, message: None }
    }

    /// Adds the innermost message with the fault.
    pub(super) fn of_message(mut self, message: &MessageDescriptor) -> Self {
        self.message.get_or_insert_with(|| message.clone());
        self
    }

    /// Whether the text is not valid JSON.
    pub(crate) fn is_syntax(&self) -> bool {
        matches!(self.what, What::Syntax(_))
    }

    pub(super) fn is_depth(&self) -> bool {
        matches!(self.what, What::TooDeep)
    }

    /// Returns the path, such as `a.b[3].c`. It is empty for the message itself.
    pub(crate) fn path(&self) -> String {
        let mut text = String::new();
        for (index, step) in self.path.iter().rev().enumerate() {
            if index >= STEPS && index + 1 < self.path.len() {
                if index == STEPS {
                    text.push('…');
                }
                continue;
            }
            match step {
                Step::Field(name) if text.is_empty() || name.starts_with('[') => text.push_str(name),
                Step::Field(name) => text.extend([".", name]),
                Step::Item(index) => text.push_str(&format!("[{index}]")),
                Step::Key(key) => text.push_str(&format!("[{key:?}]")),
            }
        }
        text
    }

    /// Returns the byte offset in the text.
    pub(crate) fn offset(&self) -> Option<usize> {
        self.at
    }

    /// Returns the innermost message with the fault.
    pub(crate) fn message(&self) -> Option<&MessageDescriptor> {
        self.message.as_ref()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        match &self.what {
            What::Syntax(what) | What::Value(what) => f.write_str(what),
            What::TooDeep => write!(f, "nested deeper than {} messages", DEEPEST),
        }
    }
}

impl<T> Within for Result<T, Fault> {
    fn within(self, step: impl FnOnce() -> Step) -> Self {
        self.map_err(|mut fault| {
            fault.path.push(step());
            fault
        })
    }
}

/// The maximum depth of messages, as in `protojson`.
pub(super) const DEEPEST: usize = 10_000;

/// The maximum number of steps in a shown path, besides the last.
const STEPS: usize = 32;
