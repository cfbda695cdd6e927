//! Parts of the programs of this crate.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::process::CommandExt as _,
    process::Command,
};

use rustix::process::{getpgid, getppid, setpgid};

/// Moves this process to the process group of its parent.
///
/// # Errors
/// As `setpgid(2)`: mostly because the parent is of another session.
pub fn join_group_of_parent() -> io::Result<()> {
    let group = getpgid(getppid())?;
    Ok(setpgid(None, Some(group))?)
}

/// A command that sleeps for a long time.
///
/// # Errors
/// On Windows: the path of this program is unknown.
pub fn sleeper() -> io::Result<Command> {
    let mut command = Command::new("sleep");
    command.arg("1000");
    Ok(command)
}

/// Gives the process of the command a group of its own.
#[must_use]
pub fn in_own_group(mut command: Command) -> Command {
    command.process_group(0);
    command
}

/// Replaces this process with a program that sleeps, and that has no handlers of signals. It may ignore SIGTERM.
#[must_use]
pub fn become_sleeper(ignores_termination: bool) -> io::Error {
    if ignores_termination {
        return Command::new("sh").args(["-c", "trap '' TERM; while :; do sleep 1; done"]).exec();
    }
    sleeper().map_or_else(|error| error, |mut sleeper| sleeper.exec())
}

/// The stderr of the process before the plugin redirects it.
///
/// # Errors
/// The system has no files for open descriptors.
pub fn original_stderr() -> io::Result<File> {
    let path = if cfg!(target_os = "linux") { "/proc/self/fd/2" } else { "/dev/fd/2" };
    OpenOptions::new().write(true).open(path)
}

/// Lets stdout lead nowhere.
///
/// # Errors
/// Those of opening `/dev/null`.
pub fn silence_stdout() -> io::Result<()> {
    let nowhere = File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nowhere)?)
}
