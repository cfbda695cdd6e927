//! Whose a directory of sockets is: which processes it is there for, and whether they are gone.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    sync::OnceLock,
};

/// A process, as it is written down in a directory that is there for it.
///
/// The number alone says nothing once the process has ended, since it passes to others; the moment at which the process
/// started, in ticks since the machine did, tells the two apart. Both mean something on one machine, in one run of it, and
/// within one namespace of processes, which is why these are part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pid: u32,
    started: String,
    view: View,
}

/// From where numbers of processes are seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    /// The run of the machine.
    boot: String,
    /// The namespaces of process numbers and of clocks.
    namespaces: String,
    /// The machine, or the container that passes for one.
    machine: String,
}

impl Owner {
    /// The process with this number. None where there is no `/proc`, and when it is gone.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: start_time(pid)?, view: View::own()?.clone() })
    }

    /// Writes it into a directory.
    ///
    /// A symbolic link holds the text, and leads nowhere: it is made whole or not at all, is on disk together with its
    /// directory, and cannot be opened by mistake.
    pub(crate) fn write(&self, dir: &Path, role: &str) -> io::Result<()> {
        symlink(self.text(), dir.join(role))
    }

    /// What is written in a directory. None if it is not written so, or not by this user.
    pub(crate) fn read(dir: &Path, role: &str) -> Option<Self> {
        let file = dir.join(role);
        let is_ours = fs::symlink_metadata(&file).ok()?.uid() == rustix::process::geteuid().as_raw();
        is_ours.then(|| Self::parse(fs::read_link(&file).ok()?.to_str()?)).flatten()
    }

    /// Whether it is certain that the process is gone.
    pub(crate) fn is_gone(&self) -> bool {
        let Some(here) = View::own() else { return false };
        if self.view.boot != here.boot {
            // Another run of this machine. Two machines can share a directory, too, and those without an id look alike.
            return self.view.machine == here.machine && !here.machine.starts_with('@');
        }
        self.view.namespaces == here.namespaces && !is_running(self.pid, &self.started)
    }

    fn text(&self) -> String {
        let View { boot, namespaces, machine } = &self.view;
        format!("{FORM} {} {} {boot} {namespaces} {machine}", self.pid, self.started)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        (parts.next()? == FORM).then_some(())?;
        let (pid, started) = (parts.next()?.parse().ok()?, parts.next()?.to_owned());
        let mut part = || parts.next().map(str::to_owned);
        let view = View { boot: part()?, namespaces: part()?, machine: part()? };
        parts.next().is_none().then_some(Self { pid, started, view })
    }
}

impl View {
    /// That of this process. None where the system does not say.
    fn own() -> Option<&'static Self> {
        static OWN: OnceLock<Option<View>> = OnceLock::new();
        OWN.get_or_init(Self::look).as_ref()
    }

    fn look() -> Option<Self> {
        // A `/proc` of another namespace has other processes under these numbers.
        let is_ours = fs::read_link("/proc/self").ok()?.to_str() == Some(&*std::process::id().to_string());
        if !is_ours {
            return None;
        }
        let read =
            |path: &str| fs::read_to_string(path).map(|text| text.split_whitespace().collect::<String>());
        let namespace = |name: &str| {
            let link = fs::read_link(format!("/proc/self/ns/{name}"));
            link.map(|link| link.to_string_lossy().split_whitespace().collect::<String>())
        };
        Some(Self {
            boot: read("/proc/sys/kernel/random/boot_id").ok()?,
            // Clocks have namespaces since Linux 5.6.
            namespaces: namespace("pid").ok()? + &namespace("time").unwrap_or_default(),
            machine: read("/etc/machine-id").unwrap_or_default()
                + "@"
                + &read("/proc/sys/kernel/hostname").unwrap_or_default(),
        })
    }
}

/// When a process started, in ticks of the clock since the machine did. A number that has passed to another process has
/// another. None where there is no `/proc`.
#[must_use]
pub fn start_time(pid: u32) -> Option<String> {
    look_up(pid).map(|seen| seen.started)
}

/// Whether the process that started then runs. One that nobody has reaped does not.
fn is_running(pid: u32, started: &str) -> bool {
    match look_up(pid) {
        Some(Seen { ended, started: now }) => now == started && !ended,
        // What cannot be read may run: `/proc` hides processes, and descriptors run out.
        None => {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            pid.is_none_or(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
        }
    }
}

/// What `/proc` says of a process.
struct Seen {
    /// Whether it has ended and waits to be reaped.
    ended: bool,
    started: String,
}

fn look_up(pid: u32) -> Option<Seen> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name in it may hold anything, also brackets. What comes behind it begins with the third column.
    let columns = stat.rsplit_once(") ")?.1;
    let mut columns = columns.split(' ');
    let state = columns.next()?;
    let threads = columns.nth(THREADS - STATE - 1)?;
    let started = columns.nth(START_TIME - THREADS - 1)?.to_owned();
    // A process whose first thread has ended looks like a zombie while its others go on.
    let ended = state == "X" || state == "Z" && matches!(threads, "0" | "1");
    Some(Seen { ended, started })
}

/// The process that made the directory.
pub(crate) const HOST: &str = ".host";

/// The process that listens in it, where that is another.
pub(crate) const PLUGIN: &str = ".plugin";

/// What each text begins with.
const FORM: &str = "rpcplugin-owner-1";

/// The columns of a process's line in `/proc`, counted from 1.
const STATE: usize = 3;
const THREADS: usize = 20;
const START_TIME: usize = 22;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn own() -> Owner {
        Owner::of(std::process::id()).expect("this is Linux")
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        own().write(dir.path(), HOST).expect("writable");
        assert_eq!(Owner::read(dir.path(), HOST), Some(own()));
        assert_eq!(Owner::read(dir.path(), PLUGIN), None);
        for text in ["", "anything", &own().text().replace("-1 ", "-2 "), &(own().text() + " more")] {
            let file = dir.path().join(PLUGIN);
            symlink(if text.is_empty() { "." } else { text }, &file).expect("made");
            assert_eq!(Owner::read(dir.path(), PLUGIN), None, "{text:?}");
            fs::remove_file(file).expect("there");
        }
        fs::write(dir.path().join(PLUGIN), own().text()).expect("writable");
        assert_eq!(Owner::read(dir.path(), PLUGIN), None, "a file is no such text");
    }

    #[test]
    fn only_what_is_certainly_gone_is_gone() {
        let with = |change: &dyn Fn(&mut Owner)| {
            let mut owner = own();
            change(&mut owner);
            owner.is_gone()
        };
        assert!(!with(&|_| {}));
        assert!(with(&|owner| owner.started = "1".into()), "the number has passed to another");
        assert!(with(&|owner| owner.pid = 0x7fff_fff0), "nobody has the number");
        let other_namespace = |owner: &mut Owner| {
            owner.pid = 0x7fff_fff0;
            owner.view.namespaces = "pid:[1]".into();
        };
        assert!(!with(&other_namespace), "what runs in another container is not seen from here");
        assert!(with(&|owner| owner.view.boot = "earlier".into()), "the machine has been started again");
        let other_machine = |owner: &mut Owner| {
            owner.view.boot = "other".into();
            owner.view.machine = "other".into();
        };
        assert!(!with(&other_machine), "the directory is shared by two machines");
    }

    #[test]
    fn a_zombie_is_gone() {
        let mut child = std::process::Command::new("/bin/cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("it is there");
        let owner = Owner::of(child.id()).expect("it runs");
        assert!(!owner.is_gone());
        drop(child.stdin.take());
        while !owner.is_gone() {
            std::thread::yield_now();
        }
        assert!(start_time(child.id()).is_some(), "it has not been reaped");
        child.wait().expect("it is ours");
        assert!(owner.is_gone());
    }
}
