//! Errors that end a command, with their exit codes.

use miette::{Diagnostic, Report};
use rpcplugin::{handshake::HandshakeLineFault, host::AttachError};

use crate::exit::Exit;

/// The error of a command: what is reported, and the exit code.
///
/// An error with a code of its own implements [`ExitsWith`]. Every other error ends the program with [`Exit::Failed`].
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) exit: Exit,
    pub(crate) report: Report,
}

/// An error that ends the program with an exit code of its own.
pub(crate) trait ExitsWith {
    const EXIT: Exit = Exit::Failed;
}

/// The arguments fit the grammar of the command line and are invalid all the same.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(code(rpcplugin::config::invalid_arguments))]
pub(crate) struct UsageError {
    message: String,
    #[help]
    help: String,
}

/// A signal has asked this program to end.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("interrupted before the command was done")]
#[diagnostic(code(rpcplugin::base::interrupted))]
pub(crate) struct Interrupted;

impl UsageError {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    /// A usage error with the text and the help of another error.
    pub(crate) fn of(error: &impl Diagnostic) -> Self {
        Self::new(error.to_string(), error.help().map_or_else(String::new, |help| help.to_string()))
    }
}

impl<E: ExitsWith + Diagnostic + Send + Sync + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self { exit: E::EXIT, report: error.into() }
    }
}

impl From<Report> for CommandError {
    fn from(report: Report) -> Self {
        Self { exit: Exit::Failed, report }
    }
}

impl ExitsWith for UsageError {
    const EXIT: Exit = Exit::Usage;
}

impl ExitsWith for Interrupted {
    const EXIT: Exit = Exit::Interrupted;
}

impl ExitsWith for AttachError {
    const EXIT: Exit = Exit::NotStarted;
}

impl ExitsWith for HandshakeLineFault {
    const EXIT: Exit = Exit::NotStarted;
}
