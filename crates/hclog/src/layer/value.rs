//! A recorded value of any type, and its JSON text.

use std::error::Error;
use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};

use super::json;
use crate::encode::{self, Escape};

/// The value of a field, in the types of tracing's visitor.
pub(super) enum Value<'a> {
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(&'a str),
    Error(&'a (dyn Error + 'static)),
    Debug(&'a dyn fmt::Debug),
}

impl Value<'_> {
    /// Appends the value as JSON.
    pub(super) fn push_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(_) | Self::I64(_) | Self::U64(_) => self.push_text(out),
            Self::F64(float) if float.is_finite() => {
                // Only the writer can fail, and a vector does not.
                let _ = serde_json::to_writer(out, float);
            }
            Self::F64(_) | Self::Str(_) | Self::Error(_) => {
                out.push(b'"');
                self.push_text(out);
                out.push(b'"');
            }
            Self::Debug(value) => {
                let start = out.len();
                out.push(b'"');
                let json = json::capture(|| push_formatted(out, format_args!("{value:?}")));
                match json {
                    Some(json) => {
                        out.truncate(start);
                        out.extend_from_slice(json.as_bytes());
                    }
                    None => out.push(b'"'),
                }
            }
        }
    }

    /// Appends the value as the text of a JSON string, without the quotes.
    pub(super) fn push_text(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bool(value) => push_formatted(out, format_args!("{value}")),
            Self::I64(value) => push_formatted(out, format_args!("{value}")),
            Self::U64(value) => push_formatted(out, format_args!("{value}")),
            Self::F64(value) => push_formatted(out, format_args!("{value}")),
            Self::Str(value) => {
                encode::push_escaped(out, value);
                value.len()
            }
            Self::Error(value) => {
                let text = with_causes(*value);
                encode::push_escaped(out, &text);
                text.len()
            }
            Self::Debug(value) => push_formatted(out, format_args!("{value:?}")),
        };
    }

    pub(super) fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U64(value) => Some(value),
            _ => None,
        }
    }
}

/// A visitor that calls a closure with the name and value of each field.
pub(super) struct FieldVisitor<F>(pub(super) F);

impl<F: FnMut(&'static str, Value<'_>)> Visit for FieldVisitor<F> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.0)(name_of(field), Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        (self.0)(name_of(field), Value::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        (self.0)(name_of(field), Value::U64(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        // A number beyond 64 bits would lose digits in readers, so it becomes a string.
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            Err(_) => (self.0)(name_of(field), Value::Debug(&value)),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            Err(_) => (self.0)(name_of(field), Value::Debug(&value)),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        (self.0)(name_of(field), Value::F64(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        (self.0)(name_of(field), Value::Str(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        (self.0)(name_of(field), Value::Error(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        (self.0)(name_of(field), Value::Debug(value));
    }
}

/// Returns the name without the prefix of a raw identifier.
fn name_of(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}

/// Appends the escaped text and returns its length before escaping. If formatting fails, the first part stays.
fn push_formatted(out: &mut Vec<u8>, text: fmt::Arguments<'_>) -> usize {
    let mut escape = Escape { out, count: 0 };
    let _ = escape.write_fmt(text);
    escape.count
}

/// Returns the error's message and those of its causes, joined by `: `. A cause that the message already ends with is not
/// repeated.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let _ = write!(text, "{error}");
    let mut cause = error.source();
    for _ in 0..MAX_CAUSES {
        let Some(error) = cause else { break };
        let mut next = String::new();
        let _ = write!(next, "{error}");
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// The limit for an error that is its own cause. Real chains have a few causes.
const MAX_CAUSES: usize = 64;
