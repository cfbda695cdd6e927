//! The causes of an error.

use std::{error::Error, iter};

use miette::{Diagnostic, Severity};

/// The causes of an error, the nearest first. The error itself is not among them.
///
/// ```
/// # use rpcplugin_core::causes;
/// let error = std::io::Error::other("x".parse::<u16>().unwrap_err());
/// assert_eq!(causes(&error).count(), 0, "its message is its cause's");
/// ```
pub fn causes<E: Error + ?Sized>(error: &E) -> impl Iterator<Item = &(dyn Error + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}

/// Returns a property of the innermost diagnostic that has it: the nearer to the cause, the better the advice.
///
/// The inner diagnostics of a diagnostic are its source and, if it has exactly one fault among its related diagnostics, that fault.
pub fn innermost(
    diagnostic: &dyn Diagnostic,
    property: &dyn Fn(&dyn Diagnostic) -> Option<String>,
) -> Option<String> {
    let inner = diagnostic.diagnostic_source().and_then(|inner| innermost(inner, property));
    inner
        .or_else(|| only_fault(diagnostic).and_then(|fault| innermost(fault, property)))
        .or_else(|| property(diagnostic))
}

fn only_fault(diagnostic: &dyn Diagnostic) -> Option<&dyn Diagnostic> {
    let mut related = diagnostic.related()?.filter(|related| !is_advice(*related));
    related.next().filter(|_| related.next().is_none())
}

pub(super) fn is_advice(diagnostic: &dyn Diagnostic) -> bool {
    diagnostic.severity() == Some(Severity::Advice)
}
