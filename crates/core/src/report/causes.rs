//! The causes of an error.

use std::{error::Error, iter};

use miette::{Diagnostic, Severity};

/// The causes of an error, the nearest first. The error itself is not among them.
pub fn causes<E: Error + ?Sized>(error: &E) -> impl Iterator<Item = &(dyn Error + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}

/// Appends an error's causes to its message, on one line. A cause whose text the line has already is left out, because some
/// libraries repeat the text of their cause.
pub fn with_causes<E: Error + ?Sized>(message: String, error: &E) -> String {
    causes(error)
        .map(ToString::to_string)
        .fold(message, |line, cause| if line.contains(&cause) { line } else { format!("{line}: {cause}") })
}

/// Returns a property of the innermost diagnostic source that has it: the nearer to the cause, the better the advice.
pub fn innermost(
    diagnostic: &dyn Diagnostic,
    property: &dyn Fn(&dyn Diagnostic) -> Option<String>,
) -> Option<String> {
    let inner = diagnostic.diagnostic_source().and_then(|inner| innermost(inner, property));
    inner.or_else(|| property(diagnostic))
}

/// Like [`innermost`]. If a diagnostic has exactly one fault among its related diagnostics, the fault counts as its source too.
pub(super) fn innermost_fault(
    diagnostic: &dyn Diagnostic,
    property: &dyn Fn(&dyn Diagnostic) -> Option<String>,
) -> Option<String> {
    let inner = diagnostic.diagnostic_source().and_then(|inner| innermost_fault(inner, property));
    inner
        .or_else(|| only_fault(diagnostic).and_then(|fault| innermost_fault(fault, property)))
        .or_else(|| property(diagnostic))
}

fn only_fault(diagnostic: &dyn Diagnostic) -> Option<&dyn Diagnostic> {
    let mut related = diagnostic.related()?.filter(|related| !is_advice(*related));
    related.next().filter(|_| related.next().is_none())
}

pub(super) fn is_advice(diagnostic: &dyn Diagnostic) -> bool {
    diagnostic.severity() == Some(Severity::Advice)
}

#[cfg(test)]
mod tests {
    use std::num::ParseIntError;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Wrong(&'static str, #[source] ParseIntError);

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("inner")]
    #[diagnostic(help("inner help"))]
    struct Inner;

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("outer")]
    #[diagnostic(code(test::outer), help("outer help"))]
    struct Outer(
        #[source]
        #[diagnostic_source]
        Inner,
    );

    #[test]
    fn the_property_is_that_of_the_innermost_source_that_has_it() {
        let property =
            |property: &dyn Fn(&dyn Diagnostic) -> Option<String>| innermost(&Outer(Inner), property);
        assert_eq!(
            property(&|error| error.help().map(|help| help.to_string())).as_deref(),
            Some("inner help")
        );
        assert_eq!(
            property(&|error| error.code().map(|code| code.to_string())).as_deref(),
            Some("test::outer")
        );
        assert_eq!(property(&|_| None), None);
    }

    #[test]
    fn a_cause_is_appended_unless_the_message_has_it() {
        let number = || "x".parse::<u16>().expect_err("not a number");
        let error = Wrong("the port is wrong", number());
        assert_eq!(causes(&error).count(), 1);
        assert_eq!(
            with_causes(error.to_string(), &error),
            "the port is wrong: invalid digit found in string"
        );
        let error = Wrong("invalid digit found in string", number());
        assert_eq!(with_causes(error.to_string(), &error), "invalid digit found in string");
    }
}
