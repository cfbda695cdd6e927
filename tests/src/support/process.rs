//! Processes, as the system shows them.

use std::{
    io, process, thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::wait::blocking::eventually;
use crate::os::table;

/// The state of a process as a letter: `Z` is a zombie. `None` when the process is gone.
#[must_use]
pub fn state(pid: impl Into<u32>) -> Option<char> {
    table::of(pid.into()).map(|process| process.state)
}

/// Whether the process runs: it is neither gone nor a zombie.
#[must_use]
pub fn is_alive(pid: impl Into<u32>) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Waits until the process is gone and has been reaped.
#[track_caller]
pub fn eventually_gone(pid: impl Into<u32>) {
    let pid = pid.into();
    eventually(&format!("process {pid} is gone"), || state(pid).is_none());
}

/// The children of this process, zombies included.
#[must_use]
pub fn children() -> Vec<u32> {
    let me = process::id();
    table::all().filter(|process| process.parent == me).map(|process| process.pid).collect()
}

/// The processes of a process group, zombies included.
#[must_use]
pub fn group(leader: impl Into<u32>) -> Vec<u32> {
    let leader = leader.into();
    table::all().filter(|process| process.group == leader).map(|process| process.pid).collect()
}

/// The processes of a process group that run.
#[must_use]
pub fn running_group(leader: impl Into<u32>) -> Vec<u32> {
    group(leader).into_iter().filter(|pid| is_alive(*pid)).collect()
}

/// Sends a signal to a process.
///
/// # Errors
/// As `kill(2)`: mostly because the process is gone.
pub fn try_send(pid: impl Into<u32>, signal: Signal) -> io::Result<()> {
    let pid = i32::try_from(pid.into()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, signal)?)
}

/// Sends a signal to a process, which must be there.
#[track_caller]
pub fn send(pid: impl Into<u32>, signal: Signal) {
    try_send(pid, signal).unwrap();
}

/// Stops a process with SIGSTOP, and waits until none of its threads runs.
///
/// The system stops one thread after another: on a busy machine, a call that is made right after the signal may still be
/// answered.
///
/// # Errors
/// There is no such process, or it has not stopped within 10 s.
pub fn suspend(pid: impl Into<u32>) -> io::Result<()> {
    let pid = pid.into();
    try_send(pid, Signal::STOP)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !table::have_stopped(pid)? {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
