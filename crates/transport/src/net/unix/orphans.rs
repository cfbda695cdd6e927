//! Socket directories whose processes have all ended.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::owner::{HOST, Owner, PLUGIN};
use crate::os::{files, sockets::is_listened_in};

/// The prefix of the names of directories that this library makes.
pub(crate) const PREFIX: &str = "rpcplugin-";

/// Removes the orphans in `parent` in the background, once for each process. Failures are ignored.
pub(crate) fn sweep_once(parent: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let is_first = SWEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(parent.to_owned());
    if is_first {
        let parent = parent.to_owned();
        // If no thread can be started, the next process does it.
        let _ = std::thread::Builder::new().name("rpcplugin-sweep".to_owned()).spawn(move || sweep(&parent));
    }
}

/// Removes the directories in `parent` that this library made for this user, and whose processes have ended: the
/// process that made the directory, and the plugin.
///
/// Only the records in the directories count. A directory without records, and a directory of another user, stays.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        remove_orphaned_dir(&entry.path());
    }
}

/// Removes one socket directory, with everything in it, if this library made it for this user and its processes have
/// ended. Returns whether the directory was removed. Any other directory stays.
pub fn remove_orphaned_dir(dir: &Path) -> bool {
    let has_prefix = dir.file_name().is_some_and(|name| files::bytes(name).starts_with(PREFIX.as_bytes()));
    let removed = has_prefix && is_orphaned(dir) && fs::remove_dir_all(dir).is_ok();
    if removed {
        tracing::debug!(dir = %dir.display(), "removed the socket directory of an ended process");
    }
    removed
}

fn is_orphaned(dir: &Path) -> bool {
    // This library makes directories only, and no links to directories.
    let is_ours = fs::symlink_metadata(dir).is_ok_and(|found| found.is_dir() && files::is_own(&found));
    if !is_ours || !Owner::read(dir, HOST).is_some_and(|host| host.has_ended()) {
        return false;
    }
    let plugin_has_ended = match Owner::read(dir, PLUGIN) {
        Some(plugin) => plugin.has_ended(),
        // A file that is not a record may mean anything.
        None => {
            fs::symlink_metadata(dir.join(PLUGIN)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        }
    };
    plugin_has_ended && !is_listened_in(dir)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::{
        fs::symlink,
        net::{UnixListener, UnixStream},
    };

    use super::*;

    /// Returns a process that has ended.
    fn ended() -> Owner {
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
    fn only_directories_whose_processes_have_all_ended_are_removed() {
        let base = tempfile::tempdir().expect("a directory");
        let (alive, ended) = (Owner::of(std::process::id()).expect("this is Linux"), ended());
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
            [dir("rpcplugin-gone", Some(&ended), None), dir("rpcplugin-both", Some(&ended), Some(&ended))];
        let stay = [
            dir("rpcplugin-alive", Some(&alive), None),
            dir("rpcplugin-handed", Some(&ended), Some(&alive)),
            dir("rpcplugin-unknown", None, None),
            dir("rpcplugin-odd", Some(&ended), None),
            dir("rpcplugin-listening", Some(&ended), Some(&ended)),
            dir("another-users", Some(&ended), None),
        ];
        symlink("anything", stay[3].join(PLUGIN)).expect("made");
        let listener = UnixListener::bind(stay[4].join("plugin")).expect("bound");
        let outside = tempfile::tempdir().expect("a directory");
        ended.write(outside.path(), HOST).expect("writable");
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
