//! Evidence: further facts that an error shows.

use miette::{Diagnostic, Severity};

/// A fact about a plugin that did not start, or has exited.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Evidence(pub(super) String);

impl Evidence {
    /// The plugin's lines on stdout or stderr, if there are any.
    pub(crate) fn lines(name: &str, lines: &[String]) -> Option<Self> {
        let indented: String = lines.iter().map(|line| format!("\n  {line}")).collect();
        (!lines.is_empty()).then(|| Self(format!("{name} of the plugin:{indented}")))
    }
}

impl Diagnostic for Evidence {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Advice)
    }
}
