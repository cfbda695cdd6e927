//! Directories of sockets that are left of processes which are gone, where their guards are gone too.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::owner::{HOST, Owner, PLUGIN};

/// How the names of directories begin that this library makes.
pub(crate) const PREFIX: &str = "rpcplugin-";

/// Sweeps a directory, once for each process. Nothing waits for it, and nothing fails by it.
pub(crate) fn once(parent: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let is_first = SWEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(parent.to_owned());
    if is_first {
        let parent = parent.to_owned();
        // Without a thread it is for the next to do.
        let _ = std::thread::Builder::new().name("rpcplugin-sweep".to_owned()).spawn(move || sweep(&parent));
    }
}

/// Removes the directories in `parent` that this library made for this user, and whose processes are gone: the one that
/// made it, and the plugin.
///
/// By nothing but what is written in them. A directory in which nothing is written, or that is another user's, stays.
pub(crate) fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_of_that_kind = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes());
        if is_of_that_kind && is_orphaned(&entry.path()) && fs::remove_dir_all(entry.path()).is_ok() {
            tracing::debug!(dir = %entry.path().display(), "removed what a process that is gone has left");
        }
    }
}

fn is_orphaned(dir: &Path) -> bool {
    // What is no directory, such as a link to one, is nothing that was made here.
    let is_ours = fs::symlink_metadata(dir)
        .is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw());
    if !is_ours || !Owner::read(dir, HOST).is_some_and(|host| host.is_gone()) {
        return false;
    }
    let plugin_is_gone = match Owner::read(dir, PLUGIN) {
        Some(plugin) => plugin.is_gone(),
        // Whatever is there, it is not understood.
        None => {
            fs::symlink_metadata(dir.join(PLUGIN)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        }
    };
    plugin_is_gone && !is_listened_in(dir)
}

/// Whether anything in this network namespace listens in the directory: a plugin that was left to another process than
/// the one that is written down. Asking does not disturb it, as connecting would.
fn is_listened_in(dir: &Path) -> bool {
    let Ok(sockets) = fs::read("/proc/net/unix") else { return true };
    let within = [b" ", dir.as_os_str().as_bytes(), b"/"].concat();
    sockets.split(|byte| *byte == b'\n').any(|line| line.windows(within.len()).any(|part| part == within))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::{
        fs::symlink,
        net::{UnixListener, UnixStream},
    };

    use super::*;

    /// A process that is gone.
    fn gone() -> Owner {
        let mut child = std::process::Command::new("/bin/cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("it is there");
        let owner = Owner::of(child.id()).expect("it runs");
        drop(child.stdin.take());
        child.wait().expect("it is ours");
        owner
    }

    #[test]
    fn only_what_belongs_to_nobody_any_more_is_removed() {
        let base = tempfile::tempdir().expect("a directory");
        let (alive, gone) = (Owner::of(std::process::id()).expect("this is Linux"), gone());
        let dir = |name: &str, host: Option<&Owner>, plugin: Option<&Owner>| {
            let dir = base.path().join(name);
            fs::create_dir(&dir).expect("made");
            for (owner, role) in [(host, HOST), (plugin, PLUGIN)] {
                if let Some(owner) = owner {
                    owner.write(&dir, role).expect("writable");
                }
            }
            drop(UnixListener::bind(dir.join("stale")).expect("bound"));
            dir
        };
        let removed =
            [dir("rpcplugin-gone", Some(&gone), None), dir("rpcplugin-both", Some(&gone), Some(&gone))];
        let stay = [
            dir("rpcplugin-alive", Some(&alive), None),
            dir("rpcplugin-handed", Some(&gone), Some(&alive)),
            dir("rpcplugin-unknown", None, None),
            dir("rpcplugin-odd", Some(&gone), None),
            dir("rpcplugin-listening", Some(&gone), Some(&gone)),
            dir("somebody-elses", Some(&gone), None),
        ];
        symlink("anything", stay[3].join(PLUGIN)).expect("made");
        let listener = UnixListener::bind(stay[4].join("plugin")).expect("bound");
        let outside = tempfile::tempdir().expect("a directory");
        gone.write(outside.path(), HOST).expect("writable");
        symlink(outside.path(), base.path().join("rpcplugin-link")).expect("made");

        sweep(base.path());
        for dir in removed {
            assert!(!dir.exists(), "{}", dir.display());
        }
        for dir in &stay {
            assert!(dir.exists(), "{}", dir.display());
        }
        assert!(outside.path().exists() && base.path().join("rpcplugin-link").is_symlink());
        listener.set_nonblocking(true).expect("a socket");
        assert!(listener.accept().is_err(), "it was not disturbed");
        UnixStream::connect(stay[4].join("plugin")).expect("it is where it was");
        drop(listener);
        sweep(base.path());
        assert!(!stay[4].exists(), "now nothing listens there");
        sweep(&base.path().join("nowhere"));
    }
}
