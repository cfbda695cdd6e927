//! What is wrong with a text or a message, and where.

use std::fmt;

use prost_reflect::MessageDescriptor;

/// Why a text is no message, or a message has no text.
#[derive(Debug)]
pub(crate) struct Fault {
    what: What,
    /// From the innermost outwards.
    path: Vec<Step>,
    /// The byte of the text.
    at: Option<usize>,
    /// The innermost message that is concerned.
    message: Option<MessageDescriptor>,
}

#[derive(Debug)]
enum What {
    Syntax(String),
    Value(String),
    TooDeep,
}

/// One step from a message to what is within it.
#[derive(Debug)]
pub(super) enum Step {
    /// A field, by its name.
    Field(String),
    /// An item of a list, counted from 0.
    Item(usize),
    /// The value of a map under a key.
    Key(String),
}

/// Says where a fault is, from the inside outwards.
pub(super) trait Within {
    /// The place of the fault is `step` within something.
    fn within(self, step: impl FnOnce() -> Step) -> Self;
}

impl Fault {
    /// The text is no JSON.
    pub(super) fn syntax(at: usize, what: impl Into<String>) -> Self {
        Self { what: What::Syntax(what.into()), path: Vec::new(), at: Some(at), message: None }
    }

    /// A value in the text does not fit its field.
    pub(super) fn at(at: usize, what: impl Into<String>) -> Self {
        Self { what: What::Value(what.into()), path: Vec::new(), at: Some(at), message: None }
    }

    /// A field has no text.
    pub(super) fn of_field(what: impl Into<String>) -> Self {
        Self { what: What::Value(what.into()), path: Vec::new(), at: None, message: None }
    }

    /// Messages nest deeper than they may.
    pub(super) fn too_deep(at: Option<usize>) -> Self {
        Self { what: What::TooDeep, path: Vec::new(), at, message: None }
    }

    /// The same, with the innermost message that is concerned.
    pub(super) fn of_message(mut self, message: &MessageDescriptor) -> Self {
        self.message.get_or_insert_with(|| message.clone());
        self
    }

    /// Whether there is no JSON at all.
    pub(crate) fn is_syntax(&self) -> bool {
        matches!(self.what, What::Syntax(_))
    }

    pub(super) fn is_depth(&self) -> bool {
        matches!(self.what, What::TooDeep)
    }

    /// The field, as in `a.b[3].c`. Empty for the message itself.
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

    /// The byte of the text at which it is.
    pub(crate) fn offset(&self) -> Option<usize> {
        self.at
    }

    /// The innermost message that is concerned.
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
            What::TooDeep => write!(f, "it nests deeper than {} messages", DEEPEST),
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

/// How deep messages nest at most, as in `protojson`.
pub(super) const DEEPEST: usize = 10_000;

/// As many steps of a path as are shown, beside the last.
const STEPS: usize = 32;
