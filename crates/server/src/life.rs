//! The span of a plugin's life, as the plugin sees it.

use std::path::Path;

use tracing::{Metadata, Span, field::Empty};

/// The span `plugin`, from before it listens until its last call has drained. It stands by itself: it is the whole life
/// of the process.
pub(crate) fn span() -> Span {
    let program = std::env::current_exe().unwrap_or_default();
    let path: &Path = &program;
    tracing::info_span!(
        parent: None,
        NAME,
        plugin.path = %path.display(),
        plugin.pid = std::process::id(),
        plugin.version = Empty,
        endpoint = Empty,
    )
}

/// Whether this is that span. A host knows which plugin writes to it: its log does without these fields.
pub(crate) fn is(span: &Metadata<'_>) -> bool {
    span.is_span() && span.name() == NAME && span.target() == module_path!()
}

const NAME: &str = "plugin";
