//! Parts of the programs of this crate.

use std::{
    env,
    fs::File,
    io,
    os::windows::{io::AsHandle as _, process::CommandExt as _},
    process::Command,
    thread,
    time::Duration,
};

use super::{kernel, unsupported};

/// Fails: there is no process group to join.
///
/// # Errors
/// Always.
pub fn join_group_of_parent() -> io::Result<()> {
    Err(unsupported("Windows has no process groups to join"))
}

/// A command that sleeps for a long time: this program, which has to sleep if `HOSTILE` is `sleeps`.
///
/// # Errors
/// The path of this program is unknown.
pub fn sleeper() -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env("HOSTILE", "sleeps");
    Ok(command)
}

/// Gives the process of the command a group of its own.
#[must_use]
pub fn in_own_group(mut command: Command) -> Command {
    command.creation_flags(kernel::NEW_PROCESS_GROUP);
    command
}

/// Sleeps for a long time. What this process ignores, it ignores in its sleep too.
#[must_use]
pub fn become_sleeper(_: bool) -> io::Error {
    thread::sleep(Duration::from_secs(1000));
    io::ErrorKind::TimedOut.into()
}

/// The stderr of the process before the plugin redirects it.
///
/// # Errors
/// There is no stderr.
pub fn original_stderr() -> io::Result<File> {
    Ok(io::stderr().as_handle().try_clone_to_owned()?.into())
}

/// Fails: only the C library could do this to a running process.
///
/// # Errors
/// Always.
pub fn silence_stdout() -> io::Result<()> {
    Err(unsupported("stdout cannot be replaced on Windows"))
}
