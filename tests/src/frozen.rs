//! Processes that are stopped in the middle of their work.

use std::{
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Stops a process until it is continued or killed.
///
/// The system stops one thread after another: on a busy machine a call that is made after the signal was sent may still
/// be answered. This returns when no thread runs any more.
///
/// # Errors
/// When there is no such process, or it has not stopped within 10 s.
pub fn freeze(pid: u32) -> io::Result<()> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    kill_process(number, Signal::STOP)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_frozen(pid)? {
        if Instant::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn is_frozen(pid: u32) -> io::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        if state_in(&thread?.path().join("stat")) != Some('T') {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The state of a process or thread, which follows its name in brackets.
fn state_in(stat: &Path) -> Option<char> {
    fs::read_to_string(stat).ok()?.rsplit_once(") ")?.1.chars().next()
}
