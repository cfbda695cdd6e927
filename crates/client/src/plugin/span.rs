//! The span of a plugin.

use std::path::Path;

use tracing::{Span, field::Empty};

/// Makes the span `plugin`, which lasts from the launch until the last output has been read.
///
/// The span has no parent and follows from the current one. A span cannot end before its children, so that a request
/// that happened to launch a plugin would seem to last as long as the plugin.
pub(crate) fn span(path: &Path) -> Span {
    let span = tracing::info_span!(
        parent: None,
        "plugin",
        plugin.path = %path.display(),
        plugin.pid = Empty,
        plugin.version = Empty,
        endpoint = Empty,
    );
    span.follows_from(Span::current());
    span
}
