//! The span of a plugin's life.

use std::path::Path;

use tracing::{Span, field::Empty};

/// The span `plugin`, from before its process is there until its last output is read.
///
/// It stands by itself and only follows from the span in which the host asked for the plugin: a span cannot end before
/// its children, and a request that happened to launch a plugin would seem to last as long as the plugin does.
pub(crate) fn span(path: &Path) -> Span {
    let life = tracing::info_span!(
        parent: None,
        "plugin",
        plugin.path = %path.display(),
        plugin.pid = Empty,
        plugin.version = Empty,
        endpoint = Empty,
    );
    life.follows_from(Span::current());
    life
}
