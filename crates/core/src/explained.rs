//! Errors as a person wants them at the end of a program: what failed, why, and what to do.

use std::fmt;

use miette::Diagnostic;

/// Shows a diagnostic with its causes, its help and its code, in plain text.
///
/// Programs that link `miette` with its `fancy` feature have a better way; this is for the others, and for a plugin's
/// last words, which a host shows as they come.
///
/// ```
/// # use rpcplugin_core::{Explained, MagicCookie};
/// let error = MagicCookie::new("KEY", "").unwrap_err();
/// let text = Explained(&error).to_string();
/// assert!(text.starts_with("the magic cookie KEY has no value\n  help: give host and plugin"));
/// assert!(text.ends_with("\n  code: rpcplugin::config::cookie_value_empty"));
/// ```
#[derive(Clone, Copy)]
pub struct Explained<'a>(pub &'a dyn Diagnostic);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, "\n  because {cause}")?;
            source = cause.source();
        }
        if let Some(help) = deepest(self.0, &|diagnostic| diagnostic.help().map(|help| help.to_string())) {
            write!(f, "\n  help: {help}")?;
        }
        if let Some(code) = deepest(self.0, &|diagnostic| diagnostic.code().map(|code| code.to_string())) {
            write!(f, "\n  code: {code}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The property of the innermost diagnostic that has one: the closer to the cause, the better the advice.
fn deepest(diagnostic: &dyn Diagnostic, property: &dyn Fn(&dyn Diagnostic) -> Option<String>) -> Option<String> {
    let inner = diagnostic.diagnostic_source().and_then(|inner| deepest(inner, property));
    inner.or_else(|| property(diagnostic))
}
