//! The result of a check.

use std::{error::Error, fmt::Debug, io};

use crate::contract::in_one_line;

/// The result of a check that passes, or its value.
pub(crate) type Verdict<T = ()> = Result<T, Miss>;

/// The reason why a check did not pass.
#[derive(Debug)]
pub(crate) enum Miss {
    Failed(String),
    /// The check does not apply to this plugin, or to this launch.
    Skipped(String),
}

/// Any other error fails the check.
impl<E: Error> From<E> for Miss {
    fn from(error: E) -> Self {
        Self::Failed(in_one_line(&error))
    }
}

/// Fails the check.
pub(crate) fn fail<T>(why: impl Into<String>) -> Verdict<T> {
    Err(Miss::Failed(why.into()))
}

/// Skips the check for this reason.
pub(crate) fn skip<T>(why: impl Into<String>) -> Verdict<T> {
    Err(Miss::Skipped(why.into()))
}

/// The result of an operation. Skips the check on a system that does not have the operation.
pub(crate) fn where_possible<T>(result: io::Result<T>) -> Verdict<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => skip(error.to_string()),
        result => Ok(result?),
    }
}

/// Fails the check unless the condition holds.
pub(crate) fn expect(holds: bool, otherwise: impl Into<String>) -> Verdict {
    if holds { Ok(()) } else { fail(otherwise) }
}

/// Fails the check unless both values are equal.
#[expect(clippy::needless_pass_by_value, reason = "reads as a comparison where it is used")]
pub(crate) fn same<A: Debug + PartialEq<B>, B: Debug>(what: &str, got: A, wanted: B) -> Verdict {
    expect(got == wanted, format!("{what}: {}, not {}", short(&got), short(&wanted)))
}

/// A value formatted for debugging, cut if it is long.
pub(crate) fn short(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}
