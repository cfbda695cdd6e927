//! What a check has to say.

use std::{error::Error, fmt::Debug};

use crate::contract::in_one_line;

/// Nothing, when all is well.
pub(crate) type Verdict<T = ()> = Result<T, Miss>;

/// Why a check did not pass.
#[derive(Debug)]
pub(crate) enum Miss {
    Failed(String),
    /// It does not apply to this plugin, or this way of launching it.
    Skipped(String),
}

/// Whatever error ends a check makes it fail.
impl<E: Error> From<E> for Miss {
    fn from(error: E) -> Self {
        Self::Failed(in_one_line(&error))
    }
}

/// Fails with these words.
pub(crate) fn fail<T>(why: impl Into<String>) -> Verdict<T> {
    Err(Miss::Failed(why.into()))
}

/// Does not apply, for this reason.
pub(crate) fn skip<T>(why: impl Into<String>) -> Verdict<T> {
    Err(Miss::Skipped(why.into()))
}

/// Fails unless this holds.
pub(crate) fn expect(holds: bool, otherwise: impl Into<String>) -> Verdict {
    if holds { Ok(()) } else { fail(otherwise) }
}

/// Fails unless both are the same.
#[expect(clippy::needless_pass_by_value, reason = "reads as a comparison where it is used")]
pub(crate) fn same<A: Debug + PartialEq<B>, B: Debug>(what: &str, got: A, wanted: B) -> Verdict {
    expect(got == wanted, format!("{what}: {}, not {}", short(&got), short(&wanted)))
}

/// A value as it is shown, or the beginning of that.
pub(crate) fn short(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}
