//! The causes of an error.

use std::{error::Error, iter};

/// Returns the texts of an error's causes, the nearest first.
pub(crate) fn causes(error: &dyn Error) -> Vec<String> {
    iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string).collect()
}

/// Appends the causes of an error to its text. A cause that the text already contains is left out, because some libraries repeat the
/// text of the cause.
pub(crate) fn with_causes(mut text: String, error: &dyn Error) -> String {
    for cause in causes(error) {
        if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}
