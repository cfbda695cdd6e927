//! The messages of a provider for people: errors and warnings, with their place in the configuration.

use super::proto::tfplugin::{self as pb, attribute_path::Step, attribute_path::step::Selector};

/// Errors and warnings, in the order of their display.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Diagnostics(Vec<Diagnostic>);

/// One error or warning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Diagnostic {
    severity: Severity,
    summary: String,
    detail: String,
    at: Path,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

/// The path from a block to a value in it. The empty path is the block.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Path(Vec<Selector>);

impl Diagnostic {
    pub(crate) fn error(summary: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            summary: summary.into(),
            detail: String::new(),
            at: Path::default(),
        }
    }

    pub(crate) fn warning(summary: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(summary) }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    pub(crate) fn at(mut self, path: impl Into<Path>) -> Self {
        self.at = path.into();
        self
    }

    fn into_proto(self) -> pb::Diagnostic {
        let severity = match self.severity {
            Severity::Error => pb::diagnostic::Severity::Error,
            Severity::Warning => pb::diagnostic::Severity::Warning,
        };
        pb::Diagnostic {
            severity: severity.into(),
            summary: self.summary,
            detail: self.detail,
            attribute: (!self.at.0.is_empty()).then(|| self.at.into_proto()),
        }
    }
}

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub(crate) fn into_proto(self) -> Vec<pb::Diagnostic> {
        self.0.into_iter().map(Diagnostic::into_proto).collect()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl Path {
    /// Adds an attribute or nested block to the path.
    pub(crate) fn attribute(mut self, name: &str) -> Self {
        self.0.push(Selector::AttributeName(name.to_owned()));
        self
    }

    /// Adds an element of a list to the path.
    pub(crate) fn index(mut self, index: usize) -> Self {
        self.0.push(Selector::ElementKeyInt(i64::try_from(index).unwrap_or(i64::MAX)));
        self
    }

    pub(crate) fn into_proto(self) -> pb::AttributePath {
        let steps = self.0.into_iter().map(|selector| Step { selector: Some(selector) }).collect();
        pb::AttributePath { steps }
    }
}

/// The path to an attribute of the block.
impl From<&str> for Path {
    fn from(attribute: &str) -> Self {
        Self::default().attribute(attribute)
    }
}
