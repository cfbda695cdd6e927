//! Socket files are gone even when a process ends without unwinding: by `std::process::exit`, or by a panic where
//! panics abort.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

/// Something on disk that must not outlive the process.
#[derive(Debug)]
pub(crate) enum Leftover {
    /// A directory, with everything in it.
    Dir(PathBuf),
    /// A socket's file, by path, device and inode.
    Socket(PathBuf, (u64, u64)),
}

/// As long as this lives, its leftover is removed when the process exits.
#[derive(Debug)]
pub(crate) struct Registered(u64);

/// A process has one exit, so there is one list of what to do then.
static LEFT: Mutex<Left> = Mutex::new(Left { next: 0, things: BTreeMap::new() });

struct Left {
    next: u64,
    things: BTreeMap<u64, Leftover>,
}

/// Removes a leftover at exit, unless what comes back is dropped before.
pub(crate) fn register(leftover: Leftover) -> Registered {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(call_at_exit);
    let mut left = lock();
    let number = left.next;
    left.next += 1;
    left.things.insert(number, leftover);
    Registered(number)
}

/// Removes the files of all sockets that this process has bound, and the private directories it has made.
///
/// For those who are about to end the process in a way that runs no destructors, such as a panic hook in a program
/// whose panics abort. Sockets that are still open go on working for whoever is connected.
pub fn remove_sockets() {
    // Whoever holds the lock is ending, or adds a socket that is younger than this call.
    let Ok(mut left) = LEFT.try_lock() else { return };
    for leftover in std::mem::take(&mut left.things).into_values() {
        leftover.remove();
    }
}

impl Leftover {
    pub(crate) fn remove(&self) {
        // Nothing can be done about a failure, and nobody is left to be told.
        let _ = match self {
            Self::Dir(path) => fs::remove_dir_all(path),
            Self::Socket(path, identity) if is_the_same(path, *identity) => fs::remove_file(path),
            Self::Socket(..) => Ok(()),
        };
    }
}

/// Whether the file at `path` is still the one that was bound, and not another in its place.
fn is_the_same(path: &Path, identity: (u64, u64)) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| (file.dev(), file.ino()) == identity)
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock().things.remove(&self.0);
    }
}

fn lock() -> MutexGuard<'static, Left> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the C library call [`remove_sockets`] at `exit`.
#[expect(unsafe_code, reason = "the standard library offers no way to be called at exit")]
fn call_at_exit() {
    static OWNER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    extern "C" fn at_exit() {
        // A fork that never became another program is not the owner of these files.
        if OWNER.get() == Some(&std::process::id()) {
            remove_sockets();
        }
    }
    OWNER.get_or_init(std::process::id);
    // SAFETY: `at_exit` is a function of this program, which is never unloaded; it does not unwind, since nothing in it
    // panics. A refusal, for want of memory, leaves things as they are without it.
    let _ = unsafe { nix::libc::atexit(at_exit) };
}
