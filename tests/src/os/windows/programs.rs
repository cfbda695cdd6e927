//! Parts of the programs of this crate.

use std::{
    env,
    fs::File,
    io,
    os::windows::{io::AsHandle as _, process::CommandExt as _},
    process::Command,
    time::Duration,
};

use tokio::{signal::windows::ctrl_break, time::sleep};

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

/// Sleeps for a long time. Ctrl-Break ends this process, unless it is to be ignored.
#[must_use]
pub fn become_sleeper(ignores_termination: bool) -> io::Error {
    let sleeping = async {
        // As long as an event of the console has a receiver, the system does not end the process.
        let _receiver = ignores_termination.then(ctrl_break).transpose()?;
        sleep(Duration::from_secs(1000)).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .and_then(|runtime| runtime.block_on(sleeping))
        .map_or_else(|error| error, |never: Never| match never {})
}

/// Has no value.
enum Never {}

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
