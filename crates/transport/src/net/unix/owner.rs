//! Records of the processes for which a socket directory exists.

use std::{fmt, fs, io, path::Path};

use crate::os::{
    files::{self, symlink},
    processes::{PidScope, is_running, start_time},
};

/// A process, as it is recorded in a socket directory, or in a label of a container.
///
/// The pid alone does not identify a process that has ended, because pids are reused. The start time, in clock ticks
/// since the boot of the machine, distinguishes the two. Both mean something only on one machine, in one boot, and
/// within one pid namespace, so these are recorded too.
///
/// [`Display`](fmt::Display) writes the record as a text without control characters, which [`parse`](Self::parse) reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pid: u32,
    started: String,
    scope: PidScope,
}

impl Owner {
    /// The process with this pid. `None` where there is no `/proc`, and when the process has ended.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: start_time(pid)?, scope: PidScope::own()?.clone() })
    }

    /// Writes the record into a directory.
    ///
    /// The target of a symbolic link holds the record. A link is made whole or not at all, is on disk together with its
    /// directory, and cannot be opened by mistake.
    pub(crate) fn write(&self, dir: &Path, role: &str) -> io::Result<()> {
        symlink(self.to_string(), dir.join(role))
    }

    /// Reads a record from a directory. `None` if there is no valid record of this user.
    pub(crate) fn read(dir: &Path, role: &str) -> Option<Self> {
        let file = dir.join(role);
        let is_ours = files::is_own(&fs::symlink_metadata(&file).ok()?);
        is_ours.then(|| Self::parse(fs::read_link(&file).ok()?.to_str()?)).flatten()
    }

    /// Whether the process has certainly ended. `false` for a process of another machine or of another pid namespace.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.scope.is_earlier_boot() || (self.scope.is_visible() && !is_running(self.pid, &self.started))
    }

    /// Reads a record from the text that `Display` writes. `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        (parts.next()? == FORMAT).then_some(())?;
        let (pid, started) = (parts.next()?.parse().ok()?, parts.next()?.to_owned());
        let mut part = || parts.next().map(str::to_owned);
        let scope = PidScope { boot: part()?, namespaces: part()?, machine: part()? };
        parts.next().is_none().then_some(Self { pid, started, scope })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PidScope { boot, namespaces, machine } = &self.scope;
        write!(f, "{FORMAT} {} {} {boot} {namespaces} {machine}", self.pid, self.started)
    }
}

/// The record of the process that made the directory.
pub(crate) const HOST: &str = ".host";

/// The record of the process that listens in the directory, if that is another process.
pub(crate) const PLUGIN: &str = ".plugin";

/// The first word of each record.
const FORMAT: &str = "rpcplugin-owner-1";

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn own() -> Owner {
        Owner::of(std::process::id()).expect("this is Linux")
    }

    #[test]
    fn a_written_record_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        own().write(dir.path(), HOST).expect("writable");
        assert_eq!(Owner::read(dir.path(), HOST), Some(own()));
        assert_eq!(Owner::read(dir.path(), PLUGIN), None);
        for text in ["", "anything", &own().to_string().replace("-1 ", "-2 "), &(own().to_string() + " more")]
        {
            let file = dir.path().join(PLUGIN);
            symlink(if text.is_empty() { "." } else { text }, &file).expect("made");
            assert_eq!(Owner::read(dir.path(), PLUGIN), None, "{text:?}");
            fs::remove_file(file).expect("there");
        }
        fs::write(dir.path().join(PLUGIN), own().to_string()).expect("writable");
        assert_eq!(Owner::read(dir.path(), PLUGIN), None, "a file is not a record");
    }

    #[test]
    fn only_what_is_certainly_gone_has_ended() {
        let with = |change: &dyn Fn(&mut Owner)| {
            let mut owner = own();
            change(&mut owner);
            owner.has_ended()
        };
        assert!(!with(&|_| {}));
        assert!(with(&|owner| owner.started = "1".into()), "the pid has passed to another process");
        assert!(with(&|owner| owner.pid = 0x7fff_fff0), "no process has the pid");
        let other_namespace = |owner: &mut Owner| {
            owner.pid = 0x7fff_fff0;
            owner.scope.namespaces = "pid:[1]".into();
        };
        assert!(!with(&other_namespace), "processes of another container are not visible");
        assert!(with(&|owner| owner.scope.boot = "earlier".into()), "the machine has been booted again");
        let other_machine = |owner: &mut Owner| {
            owner.scope.boot = "other".into();
            owner.scope.machine = "other".into();
        };
        assert!(!with(&other_machine), "the directory is shared by two machines");
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut child = std::process::Command::new("/bin/cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("it is there");
        let owner = Owner::of(child.id()).expect("it runs");
        assert!(!owner.has_ended());
        drop(child.stdin.take());
        while !owner.has_ended() {
            std::thread::yield_now();
        }
        assert!(start_time(child.id()).is_some(), "it has not been reaped");
        child.wait().expect("it is ours");
        assert!(owner.has_ended());
    }
}
