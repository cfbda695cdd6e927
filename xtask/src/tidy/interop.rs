//! The README tells what works with what as the matrix has it.

use super::Subject;
use crate::interop;

/// Compares the README's table with the matrix that `cargo xtask interop` runs.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    interop::check_table(|path| {
        subject.texts.iter().find(|text| text.path == path).map(|text| text.content.clone())
    })
}
