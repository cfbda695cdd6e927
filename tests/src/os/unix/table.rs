//! The processes of this machine: from `/proc` on Linux, and from `ps` elsewhere.

pub(crate) use self::system::{all, have_stopped, of, with_variable};

/// A process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) pid: u32,
    /// `Z` is a zombie, `T` a stopped process.
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) group: u32,
}

#[cfg(target_os = "linux")]
mod system {
    use std::{fs, io, path::Path};

    use super::Row;

    /// All processes.
    pub(crate) fn all() -> impl Iterator<Item = Row> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| of(entry.file_name().to_str()?.parse().ok()?))
    }

    /// The process with this pid, if it is not gone.
    pub(crate) fn of(pid: u32) -> Option<Row> {
        read(pid, Path::new(&format!("/proc/{pid}/stat")))
    }

    /// Whether all threads of a process have stopped.
    pub(crate) fn have_stopped(pid: u32) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            if read(pid, &thread?.path().join("stat")).is_none_or(|thread| thread.state != 'T') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The processes that were started with this variable, as `NAME=VALUE`.
    pub(crate) fn with_variable(variable: &str) -> Vec<u32> {
        let has_it = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|other| other == variable.as_bytes())
        };
        all().map(|process| process.pid).filter(has_it).collect()
    }

    /// Reads the `stat` file of a process or thread. The name of the process may contain anything, also brackets.
    fn read(pid: u32, stat: &Path) -> Option<Row> {
        let stat = fs::read_to_string(stat).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        Some(Row { pid, state, parent: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::{io, process::Command};

    use super::Row;

    /// All processes.
    pub(crate) fn all() -> impl Iterator<Item = Row> {
        rows(&["-ax"]).into_iter()
    }

    /// The process with this pid, if it is not gone.
    pub(crate) fn of(pid: u32) -> Option<Row> {
        rows(&["-p", &pid.to_string()]).pop()
    }

    /// Whether a process has stopped.
    pub(crate) fn have_stopped(pid: u32) -> io::Result<bool> {
        of(pid).map(|process| process.state == 'T').ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The processes that were started with this variable, as `NAME=VALUE`. `ps` shows variables behind the arguments.
    pub(crate) fn with_variable(variable: &str) -> Vec<u32> {
        let has_it = |line: &&str| line.split_whitespace().any(|word| word == variable);
        let pid = |line: &str| line.split_whitespace().next()?.parse().ok();
        ps(&["-axEww", "-o", "pid=,command="]).lines().filter(has_it).filter_map(pid).collect()
    }

    fn rows(which: &[&str]) -> Vec<Row> {
        let row = |line: &str| {
            let mut fields = line.split_whitespace();
            let mut number = || fields.next()?.parse().ok();
            let (pid, parent, group) = (number()?, number()?, number()?);
            Some(Row { pid, state: fields.next()?.chars().next()?, parent, group })
        };
        ps(&[which, &["-o", "pid=,ppid=,pgid=,stat="]].concat()).lines().filter_map(row).collect()
    }

    fn ps(args: &[&str]) -> String {
        let output = Command::new("ps").args(args).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }
}
