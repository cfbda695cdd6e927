//! The exit codes.

use std::process::ExitCode;

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

impl Exit {
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
