//! Faults of the program.

use std::{io, path::PathBuf};

use miette::Diagnostic;

/// The program cannot be executed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum ProgramFault {
    /// The program does not exist.
    #[error("there is no program {}", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_not_found),
        help(
            "check the path: it is taken relative to the working directory, and a bare name is looked for in PATH"
        )
    )]
    NotFound {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// The program exists. Its interpreter or its dynamic loader does not.
    #[error("the interpreter or the dynamic loader of {} is missing", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::interpreter_not_found),
        help(
            "install what the first line (`#!`) or the dynamic loader of the program names; or make the working directory"
        )
    )]
    InterpreterNotFound {
        /// The program.
        program: PathBuf,
    },
    /// The host's user may not execute the program.
    #[error("{} may not be executed", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_not_executable),
        help("make it executable for this user (`chmod +x`), and check that its directory may be entered")
    )]
    NotExecutable {
        /// The program.
        program: PathBuf,
    },
    /// The path is that of a directory.
    #[error("{} is a directory, not a program", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_is_directory),
        help("give the path of the program itself, not that of its directory")
    )]
    IsDirectory {
        /// The directory.
        program: PathBuf,
    },
    /// The path is that of a pipe or a device.
    #[error("{} is a pipe or a device, not a program", program.display())]
    #[diagnostic(code(rpcplugin::transport::plugin_not_a_file), help("give the path of the program itself"))]
    NotAFile {
        /// The path.
        program: PathBuf,
    },
    /// The operating system does not know the format of the file.
    #[error("{} is not a program for this machine", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::not_a_program),
        help("build it for this system and architecture; a script needs a first line such as `#!/bin/sh`")
    )]
    NotAProgram {
        /// The file.
        program: PathBuf,
    },
    /// The working directory of the command does not exist.
    #[error("the working directory {} does not exist", dir.display())]
    #[diagnostic(
        code(rpcplugin::transport::no_directory),
        help("make the directory, or start the plugin in another one")
    )]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// A process has the program's file open for writing (`ETXTBSY`).
    #[error("{} is still being written", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::program_busy),
        help("wait until it is installed; a process that has the file open for writing has to close it")
    )]
    TextFileBusy {
        /// The program.
        program: PathBuf,
    },
    /// The program's file does not have the expected checksum.
    #[error("the checksum of {} is {found}, not {expected}", program.display())]
    #[diagnostic(
        code(rpcplugin::security::checksum_mismatch),
        help(
            "install the plugin anew from a source you trust; after a wanted update give the host the new checksum"
        )
    )]
    Checksum {
        /// The program.
        program: PathBuf,
        /// The checksum that the host was given.
        expected: String,
        /// The checksum of the file.
        found: String,
    },
    /// The program's file cannot be read to verify its checksum.
    #[error("{} cannot be read to verify its checksum", program.display())]
    #[diagnostic(
        code(rpcplugin::security::checksum_unreadable),
        help("allow the host to read the file, not only to execute it")
    )]
    ChecksumUnreadable {
        /// The program.
        program: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The operating system refuses to start the program for another reason.
    #[error("the operating system cannot start {}", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::spawn),
        help("the cause says more; often the system is out of processes, memory or file descriptors")
    )]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}
