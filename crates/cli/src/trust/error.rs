//! Faults of a lock file, and plugins that it does not let start.

use std::{io, path::PathBuf};

use miette::Diagnostic;

use crate::{error::ExitsWith, exit::Exit};

/// A lock file cannot be read or written.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum LockFileError {
    #[error("there is no lock file {}", path.display())]
    #[diagnostic(
        code(rpcplugin::config::lock_file_missing),
        help(
            "make it with `rpcplugin trust PLUGIN`, or name another one: --locked=FILE here, --lock-file FILE for `trust`"
        )
    )]
    Missing { path: PathBuf },
    #[error("the lock file {} cannot be read", path.display())]
    #[diagnostic(
        code(rpcplugin::config::lock_file_unreadable),
        help("check that this user may read the file, and that it is a regular file of at most 1 MiB")
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the lock file {} is invalid: {why}", path.display())]
    #[diagnostic(
        code(rpcplugin::config::lock_file_invalid),
        help(
            "restore the file from version control, or remove it and trust its plugins again with `rpcplugin trust`"
        )
    )]
    Invalid { path: PathBuf, why: String },
    #[error("the lock file {} cannot be written", path.display())]
    #[diagnostic(
        code(rpcplugin::config::lock_file_unwritable),
        help(
            "check that this user may create files in its directory, and that no other program keeps it locked"
        )
    )]
    Unwritable { path: PathBuf, source: io::Error },
}

/// A plugin that the lock file does not let start, or that cannot be added to it.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
pub(crate) enum Refusal {
    #[error("the plugin {} is not trusted: it is not in {}", program.display(), file.display())]
    #[diagnostic(
        code(rpcplugin::security::plugin_not_trusted),
        help("if you trust it, record it with `rpcplugin trust` and the sandbox that it may have")
    )]
    NotTrusted { program: PathBuf, file: PathBuf },
    #[error(
        "the plugin {} has changed since it was trusted: {} has the digest {trusted}, and the file has {found}",
        program.display(),
        file.display()
    )]
    #[diagnostic(
        code(rpcplugin::security::plugin_changed),
        help("find out why it changed; if you trust the new file, record it with `rpcplugin trust`")
    )]
    Changed { program: PathBuf, file: PathBuf, trusted: String, found: String },
    #[error("the plugin {} would get more than {} grants: {}", program.display(), file.display(), excess.join("; "))]
    #[diagnostic(
        code(rpcplugin::security::plugin_asks_for_more),
        help(
            "leave the options away, and the plugin gets what was granted; or grant more with `rpcplugin trust` and these options"
        )
    )]
    AsksForMore { program: PathBuf, file: PathBuf, excess: Vec<String> },
    #[error("the plugin {} could change {}: the sandbox lets it write to {}", program.display(), victim.display(), grant.display())]
    #[diagnostic(
        code(rpcplugin::security::grant_breaks_trust),
        help("allow writing to a directory that has neither the lock file nor the plugin in it")
    )]
    CouldChangeItself { program: PathBuf, victim: PathBuf, grant: PathBuf },
    #[error("{} runs what its arguments name, so that its digest says nothing about the plugin", program.display())]
    #[diagnostic(
        code(rpcplugin::security::interpreter_not_trusted),
        help(
            "make the script executable, with its interpreter in its first line (`#!`), and name the script as the plugin"
        )
    )]
    Interpreter { program: PathBuf },
    #[error("the plugin {} cannot be read: {why}", program.display())]
    #[diagnostic(
        code(rpcplugin::security::plugin_unreadable),
        help("give the path of the plugin's program, which has to be a regular file with a name in UTF-8")
    )]
    Unreadable { program: PathBuf, why: String },
}

impl ExitsWith for LockFileError {
    const EXIT: Exit = Exit::Usage;
}

impl ExitsWith for Refusal {
    const EXIT: Exit = Exit::NotStarted;
}
