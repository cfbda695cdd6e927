//! The exit codes.

use std::process::ExitCode;

/// An exit code. `docs/cli.md` documents all of them. Their meanings are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: success.
    Ok,
    /// 1: a call returned an error, a check failed, or stdout could not be written.
    Failed,
    /// 2: the arguments are invalid. clap uses the same code.
    Usage,
    /// 3: the plugin could not be launched or attached to.
    NotStarted,
    /// 4: the plugin exited while it was needed.
    PluginExited,
    /// 130: interrupted before the command was done, for example with Ctrl-C.
    Interrupted,
    /// The exit status of the plugin that `bridge` or `tap` runs.
    OfPlugin(u8),
    /// 141: the reader of stdout closed the pipe early. Shells report this code for a program that SIGPIPE ended.
    ReaderGone,
}

impl Exit {
    /// Returns the meaning for the help: one line.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "success",
            Self::Failed => "a call returned an error, a check failed, or stdout could not be written",
            Self::Usage => "the arguments are invalid",
            Self::NotStarted => "the plugin could not be launched or attached to",
            Self::PluginExited => "the plugin exited while it was needed",
            Self::Interrupted => "interrupted before the command was done",
            Self::OfPlugin(_) => "the exit status of the plugin",
            Self::ReaderGone => "the reader of stdout closed the pipe early",
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
            Self::OfPlugin(status) => status,
            Self::ReaderGone => 141,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
