//! Error reports in plain text: what failed, why, and what to do.

use std::fmt;

use miette::Diagnostic;

use super::causes::{causes, innermost_fault, is_advice};

/// Shows a diagnostic in plain text: its causes, its related faults, its help and its code.
///
/// A fault that the message has already is not repeated. A diagnostic with exactly one fault shows the fault's help and code. Related
/// diagnostics of the severity `Advice` are not faults: they follow after help and code.
///
/// The report is for programs without the `fancy` feature of `miette`, and for the last output of a plugin, which a host shows as it
/// is.
///
/// ```
/// # use rpcplugin_core::{PlainReport, MagicCookie};
/// let error = MagicCookie::new("KEY", "").unwrap_err();
/// let text = PlainReport(&error).to_string();
/// assert!(text.starts_with("the magic cookie KEY has no value\n  help: give host and plugin"));
/// assert!(text.ends_with("\n  code: rpcplugin::config::cookie_value_empty"));
/// ```
#[derive(Clone, Copy)]
pub struct PlainReport<'a>(pub &'a dyn Diagnostic);

impl fmt::Display for PlainReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        for cause in causes(self.0) {
            write!(f, "\n  because {cause}")?;
        }
        let message = self.0.to_string();
        let (advice, faults): (Vec<_>, Vec<_>) =
            self.0.related().into_iter().flatten().partition(|related| is_advice(*related));
        for fault in faults.into_iter().filter(|fault| !message.contains(&fault.to_string())) {
            write!(f, "\n  - {}", PlainReport(fault).to_string().replace('\n', "\n  "))?;
        }
        if let Some(help) =
            innermost_fault(self.0, &|diagnostic| diagnostic.help().map(|help| help.to_string()))
        {
            write!(f, "\n  help: {help}")?;
        }
        if let Some(code) =
            innermost_fault(self.0, &|diagnostic| diagnostic.code().map(|code| code.to_string()))
        {
            write!(f, "\n  code: {code}")?;
        }
        for text in advice {
            write!(f, "\n  {}", text.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for PlainReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("the {0} is wrong")]
    #[diagnostic(code(test::fault), help("correct the {0}"))]
    struct Fault(&'static str);

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("the configuration cannot be used{0}")]
    #[diagnostic(code(test::all), help("correct each of them"))]
    struct Faults(&'static str, #[related] Vec<Fault>);

    #[test]
    fn related_faults_are_listed() {
        let error = Faults("", vec![Fault("port"), Fault("path")]);
        assert_eq!(
            PlainReport(&error).to_string(),
            "the configuration cannot be used\
             \n  - the port is wrong\n    help: correct the port\n    code: test::fault\
             \n  - the path is wrong\n    help: correct the path\n    code: test::fault\
             \n  help: correct each of them\n  code: test::all"
        );
    }

    #[test]
    fn a_single_fault_is_not_repeated() {
        let error = Faults(": the port is wrong", vec![Fault("port")]);
        assert_eq!(
            PlainReport(&error).to_string(),
            "the configuration cannot be used: the port is wrong\n  help: correct the port\n  code: test::fault"
        );
    }

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("stderr of it:\n  one\n  two")]
    #[diagnostic(severity(Advice))]
    struct Evidence;

    #[derive(Debug, thiserror::Error, Diagnostic)]
    #[error("it failed")]
    #[diagnostic(code(test::failed), help("mend it"))]
    struct Failed(#[related] Vec<Evidence>);

    #[test]
    fn evidence_follows_at_the_end() {
        let error = Failed(vec![Evidence]);
        let report = PlainReport(&error);
        assert_eq!(format!("{report:?}"), report.to_string());
        assert_eq!(
            report.to_string(),
            "it failed\n  help: mend it\n  code: test::failed\n  stderr of it:\n    one\n    two"
        );
    }
}
