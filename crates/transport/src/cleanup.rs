//! Removal of socket files when the process exits without unwinding: by `std::process::exit`, or by a panic where
//! panics abort.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

use crate::os::{
    exit::call_at_exit,
    files::{self, FileId},
};

/// A file or directory that must not outlive the process.
#[derive(Debug)]
pub(crate) enum Leftover {
    /// A directory, with everything in it.
    Dir(PathBuf),
    /// The file of a socket, with its identity.
    Socket(PathBuf, FileId),
}

/// Keeps a leftover registered. Dropping it removes the registration.
#[derive(Debug)]
pub(crate) struct Registration(u64);

/// The leftovers of the process. There is one list because a process exits once.
static LEFTOVERS: Mutex<Leftovers> = Mutex::new(Leftovers::new());

struct Leftovers {
    next: u64,
    entries: BTreeMap<u64, Leftover>,
    /// Directories that could not be removed when their time had come.
    postponed: Vec<PathBuf>,
}

/// Registers a leftover for removal at exit.
pub(crate) fn register(leftover: Leftover) -> Registration {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| call_at_exit(remove_sockets));
    let mut leftovers = lock(&LEFTOVERS);
    let number = leftovers.next;
    leftovers.next += 1;
    leftovers.entries.insert(number, leftover);
    Registration(number)
}

/// Removes the files of all sockets that this process has bound, and the private directories that it has made.
///
/// Call it before the process ends in a way that runs no destructors, for example in a panic hook of a program whose
/// panics abort. Sockets that are open keep working for connected peers.
pub fn remove_sockets() {
    // A thread that holds the lock is ending, or registers a socket that is younger than this call.
    let Ok(mut leftovers) = LEFTOVERS.try_lock() else { return };
    let postponed = std::mem::take(&mut leftovers.postponed).into_iter().map(Leftover::Dir);
    for leftover in std::mem::take(&mut leftovers.entries).into_values().chain(postponed) {
        leftover.remove();
    }
}

/// Removes a directory that this process has made, with everything in it.
///
/// The files in it cannot be listed while the process can open no further file. Then the directory is removed at the
/// next call of [`remove_postponed`], or at exit.
pub(crate) fn remove_dir(dir: PathBuf) {
    remove_now_or_later(&LEFTOVERS, dir);
}

/// Removes the directories that could not be removed before.
pub(crate) fn remove_postponed() {
    remove_postponed_of(&LEFTOVERS);
}

fn remove_now_or_later(leftovers: &Mutex<Leftovers>, dir: PathBuf) {
    if !is_removed(&dir) {
        lock(leftovers).postponed.push(dir);
    }
}

fn remove_postponed_of(leftovers: &Mutex<Leftovers>) {
    let postponed = lock(leftovers).postponed.clone();
    let removed: Vec<PathBuf> = postponed.into_iter().filter(|dir| is_removed(dir)).collect();
    if !removed.is_empty() {
        lock(leftovers).postponed.retain(|dir| !removed.contains(dir));
    }
}

/// Removes a directory. Returns whether it is gone. An empty one is removed without a descriptor.
fn is_removed(dir: &Path) -> bool {
    match fs::remove_dir_all(dir) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound || fs::remove_dir(dir).is_ok(),
    }
}

impl Leftovers {
    const fn new() -> Self {
        Self { next: 0, entries: BTreeMap::new(), postponed: Vec::new() }
    }
}

impl Leftover {
    pub(crate) fn remove(&self) {
        // There is no remedy for a failure at this point.
        let _ = match self {
            Self::Dir(path) => fs::remove_dir_all(path),
            // Another file may have come to the path.
            Self::Socket(path, id) if files::id(path).is_ok_and(|found| found == *id) => {
                fs::remove_file(path)
            }
            Self::Socket(..) => Ok(()),
        };
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&LEFTOVERS).entries.remove(&self.0);
    }
}

fn lock(leftovers: &Mutex<Leftovers>) -> MutexGuard<'_, Leftovers> {
    leftovers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_removed_yet_is_removed_later() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("dir");
        // A file in its place cannot be removed as a directory.
        fs::write(&dir, "").expect("writable");
        // Other tests of this process use the list of the process.
        let leftovers = Mutex::new(Leftovers::new());
        remove_now_or_later(&leftovers, dir.clone());
        assert!(lock(&leftovers).postponed.contains(&dir));
        remove_postponed_of(&leftovers);
        assert!(lock(&leftovers).postponed.contains(&dir), "it is still there");
        fs::remove_file(&dir).expect("there");
        fs::create_dir(&dir).expect("made");
        fs::write(dir.join("file"), "").expect("writable");
        remove_postponed_of(&leftovers);
        assert!(!dir.exists() && lock(&leftovers).postponed.is_empty());
    }
}
