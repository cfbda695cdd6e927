//! Values of Terraform's type system, as a provider sees them.
//!
//! On the wire, a value is msgpack, whose type is in the schema. In state and in the store, a value is JSON.
//! [`Value::from_msgpack`] and [`Value::from_json`] need a [`Type`] to read. Writing needs no type.

mod json;
mod msgpack;
mod number;
mod types;

use std::collections::BTreeMap;

pub(crate) use self::json::RawObject;
pub(crate) use self::number::Number;
pub(crate) use self::types::{Type, TypeError};

/// The attributes and nested blocks of an object, by name.
pub(crate) type Object = BTreeMap<String, Value>;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// No value.
    Null,
    /// A value that is known only after an apply. Refinements are not kept.
    Unknown,
    Bool(bool),
    Number(Number),
    String(String),
    /// A list, set or tuple.
    List(Vec<Self>),
    /// A map or object.
    Object(Object),
    /// A value of type `dynamic`, with its own type.
    Dynamic(Box<Dynamic>),
}

/// A value with its own type.
#[derive(Debug, Clone)]
pub(crate) struct Dynamic {
    /// The type in the text of the sender.
    pub(crate) type_json: String,
    pub(crate) ty: Type,
    pub(crate) value: Value,
}

/// The reason why bytes are not a value of the type in the schema.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValueError {
    #[error("the value ends too early")]
    Truncated,
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    #[error("0x{0:02x} is not the start of a msgpack value")]
    Marker(u8),
    #[error("a text is not UTF-8")]
    Text,
    #[error("{wanted} is required, not {found}")]
    Mismatch { wanted: String, found: &'static str },
    #[error("the type of a dynamic value cannot be read")]
    Type(#[from] TypeError),
    #[error("the value is nested too deeply")]
    TooDeep,
    #[error("{0:?} is not a number, or is too long")]
    Number(String),
    #[error("the value is not JSON")]
    Json(#[from] serde_json::Error),
}

impl Value {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub(crate) fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The elements of a list. Empty for other values.
    pub(crate) fn elements(&self) -> &[Self] {
        if let Self::List(elements) = self { elements } else { &[] }
    }
}

/// The text of the type is not compared, because it depends on the sender.
impl PartialEq for Dynamic {
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty && self.value == other.value
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

/// The deepest nesting of values: deeper than any real value, and safe for the stack of a thread.
const MAX_DEPTH: usize = 128;

#[cfg(test)]
mod tests;
