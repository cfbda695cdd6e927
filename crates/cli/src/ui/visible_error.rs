//! An error whose texts cannot act on a terminal.

use std::{error::Error, fmt};

use miette::{Diagnostic, LabeledSpan, Severity, SourceCode};
use rpcplugin::error::Visible;

/// A copy of an error in which every text is [visible](Visible). A report of it has no terminal sequences except those of the renderer.
pub(super) struct VisibleError<'a> {
    of: &'a dyn Diagnostic,
    message: String,
    code: Option<String>,
    help: Option<String>,
    /// The cause, if it is a diagnostic. Otherwise `cause` has all causes.
    inner: Option<Box<Self>>,
    cause: Option<Cause>,
    related: Vec<Self>,
}

/// A cause and its own cause.
#[derive(Debug)]
struct Cause(String, Option<Box<Self>>);

impl<'a> VisibleError<'a> {
    pub(super) fn new(of: &'a dyn Diagnostic) -> Self {
        let inner = of.diagnostic_source().map(|inner| Box::new(Self::new(inner)));
        let cause = if inner.is_some() { None } else { of.source().map(Cause::new) };
        Self {
            of,
            message: visible(of),
            code: of.code().map(visible),
            help: of.help().map(visible),
            inner,
            cause,
            related: of.related().into_iter().flatten().map(Self::new).collect(),
        }
    }
}

impl Cause {
    fn new(error: &(dyn Error + 'static)) -> Self {
        Self(visible(error), error.source().map(|source| Box::new(Self::new(source))))
    }
}

fn visible(text: impl fmt::Display) -> String {
    Visible(&text.to_string()).to_string()
}

impl fmt::Display for VisibleError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for VisibleError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for VisibleError<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl Diagnostic for VisibleError<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.code.as_ref().map(|code| Box::new(code) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<Severity> {
        self.of.severity()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.of.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.of.labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let related = self.related.iter().map(|related| related as &dyn Diagnostic);
        if self.related.is_empty() { None } else { Some(Box::new(related)) }
    }

    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        self.inner.as_ref().map(|inner| &**inner as &dyn Diagnostic)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_ref().map(|cause| &**cause as &(dyn Error + 'static))
    }
}
