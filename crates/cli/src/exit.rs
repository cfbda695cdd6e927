//! How the program ends.

use std::process::ExitCode;

use rpcplugin::{AttachError, SuperviseError, handshake::HandshakeLineFault};

use crate::{
    attach::{TargetError, WithoutIdentity},
    call::MethodError,
    given_tls::GivenTlsError,
    interrupt::Interrupted,
    launch_args::{CookieMissing, NotInPath, NotStarted, OtherVersion},
};

/// The exit codes. They are documented in `docs/cli.md`, and do not change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: what was asked for was done.
    Ok,
    /// 1: it was done, and the answer is no: a call failed, a check failed.
    Failed,
    /// 2: the arguments make no sense. clap uses the same code.
    Usage,
    /// 3: the plugin could not be started, or not be attached to.
    NotStarted,
    /// 4: the plugin ended by itself while it was needed.
    PluginExited,
    /// 130: somebody pressed Ctrl-C before it was done.
    Interrupted,
    /// 141: whoever read stdout went away before it was done. Shells say so of a program that SIGPIPE ended.
    ReaderGone,
}

/// The arguments fit the grammar, and still make no sense.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
#[diagnostic(code(rpcplugin::config::arguments))]
pub(crate) struct UsageError {
    message: String,
    #[help]
    help: String,
}

impl Exit {
    /// The code for an error that nobody has dealt with.
    pub(crate) fn of(report: &miette::Report) -> Self {
        let not_started = report.is::<NotStarted>()
            || report.is::<CookieMissing>()
            || report.is::<NotInPath>()
            || report.is::<OtherVersion>()
            || report.is::<HandshakeLineFault>()
            || report.is::<AttachError>()
            || report.is::<WithoutIdentity>()
            || report.is::<SuperviseError>();
        let usage = report.is::<UsageError>()
            || report.is::<MethodError>()
            || report.is::<TargetError>()
            || report.is::<GivenTlsError>();
        match () {
            () if not_started => Self::NotStarted,
            () if usage => Self::Usage,
            () if report.is::<Interrupted>() => Self::Interrupted,
            () => Self::Failed,
        }
    }

    /// What the code says, on a line of help.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "what was asked for was done",
            Self::Failed => "it was done, and the answer is no: a call failed, a check failed",
            Self::Usage => "the arguments make no sense",
            Self::NotStarted => "the plugin could not be started, or not be attached to",
            Self::PluginExited => "the plugin ended by itself while it was needed",
            Self::Interrupted => "interrupted before it was done",
            Self::ReaderGone => "the reader of stdout went away before it was done",
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotStarted => 3,
            Self::PluginExited => 4,
            Self::Interrupted => 130,
            Self::ReaderGone => 141,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl UsageError {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }

    /// With the words and the advice of an error.
    pub(crate) fn of(error: &impl miette::Diagnostic) -> Self {
        Self::new(error.to_string(), error.help().map_or_else(String::new, |help| help.to_string()))
    }
}
