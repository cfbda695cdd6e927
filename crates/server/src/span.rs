//! The span of the plugin's life.

use std::path::Path;

use tracing::{Metadata, Span, field::Empty};

/// Makes the span `plugin`, which lasts from before the plugin listens until its last call has drained. The span is a root:
/// it covers the whole life of the process.
pub(crate) fn plugin() -> Span {
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

/// Whether this is the span `plugin`. The log omits the fields of this span, because the host knows which plugin writes.
pub(crate) fn is_plugin(span: &Metadata<'_>) -> bool {
    span.is_span() && span.name() == NAME && span.target() == module_path!()
}

const NAME: &str = "plugin";
