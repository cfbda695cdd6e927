//! What the papers say of performance is what was measured.

use super::Subject;
use crate::bench;

/// Compares chart and tables with the results that they were made from.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    bench::check(|path| subject.texts.iter().find(|text| text.path == path).map(|text| text.content.clone()))
}
