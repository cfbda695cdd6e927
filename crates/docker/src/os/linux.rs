//! Linux: how often the kernel killed a process of a control group because its memory ran out, and sockets without links.
//!
//! Podman before 5.0 does not report such a kill (its pull request 21523). The control group outlives the process by the moment
//! that the engine needs to clean up.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{FileType, Mode, OFlags};

/// A socket that no link can replace between its check and the connection to it.
#[derive(Debug)]
pub(crate) struct HeldSocket(OwnedFd);

impl HeldSocket {
    /// Opens a socket without following a link in the last part of the path.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let file = rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let found = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        if found == FileType::Socket { Ok(Self(file)) } else { Err(super::not_a_socket()) }
    }

    /// The path by which this very socket is reached, as long as it is held.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// The counter of a container's control group.
#[derive(Debug)]
pub(crate) struct OutOfMemoryCounter(PathBuf);

impl OutOfMemoryCounter {
    /// The counter of the control group of this process. `None` if the process is on another machine.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        file(&groups).filter(|file| file.exists()).map(Self)
    }

    /// Whether the kernel has killed a process in the group. `false` once the group is removed.
    pub(crate) fn has_killed(&self) -> bool {
        fs::read_to_string(&self.0).is_ok_and(|counters| has_killed(&counters))
    }
}

/// How many processes the system allows, all users together.
pub(crate) fn most_processes() -> Option<u64> {
    fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse().ok()
}

/// The file with the counter, from the list of a process's control groups: the memory controller of version 1, else version 2.
fn file(groups: &str) -> Option<PathBuf> {
    let find = |wanted: &dyn Fn(&str) -> bool| {
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            // The root is the group of everything, and no container's.
            (wanted(controllers) && path != "/").then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let root = Path::new("/sys/fs/cgroup");
    let first = find(&|controllers| controllers.split(',').any(|controller| controller == "memory"))
        .map(|path| root.join("memory").join(path).join("memory.oom_control"));
    first.or_else(|| find(&str::is_empty).map(|path| root.join(path).join("memory.events")))
}

/// Whether the line `oom_kill N` has a number above 0.
fn has_killed(counters: &str) -> bool {
    counters.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_that_of_the_memory_controller() {
        let first = "9:name=systemd:/a\n5:memory:/engine/box\n0::/unified\n";
        let expected = "/sys/fs/cgroup/memory/engine/box/memory.oom_control";
        assert_eq!(file(first), Some(expected.into()));
        let second = "0::/system.slice/docker-1.scope\n";
        assert_eq!(file(second), Some("/sys/fs/cgroup/system.slice/docker-1.scope/memory.events".into()));
        assert_eq!(file("0::/\n"), None, "the whole machine");
        assert_eq!(file(""), None);
    }

    #[test]
    fn only_a_kill_counts() {
        assert!(has_killed("low 0\noom 1\noom_kill 1\noom_group_kill 0\n"));
        assert!(!has_killed("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"));
        assert!(!has_killed(""));
    }
}
