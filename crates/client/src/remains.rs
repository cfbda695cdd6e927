//! The socket file that a plugin leaves behind where it was not asked to make one.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rpcplugin_core::SocketPath;
use rpcplugin_transport::{SocketDir, remove_stale_socket};

/// A moment by the clock of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64, i64);

/// A path at which a plugin says it listens, which is only its word for it.
///
/// What is there is removed when the plugin's process is gone, if it is a socket on which nobody listens and which has
/// come there since the plugin was launched. Whatever a plugin names, what was there before stays.
#[derive(Debug)]
pub(crate) struct NamedSocket {
    path: SocketPath,
    since: Moment,
}

/// What is to be removed when a process is gone: shared by those who come to know of it, and by who sees the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remains(Arc<Mutex<State>>, Arc<Mutex<Option<SocketDir>>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    Socket(NamedSocket),
    /// The process is gone.
    Over,
}

/// Removes what remains when it is dropped.
#[derive(Debug)]
pub(crate) struct RemovedInTheEnd(Remains);

impl Moment {
    /// When this directory was made, or last changed.
    pub(crate) fn of(dir: &Path) -> io::Result<Self> {
        fs::symlink_metadata(dir).map(|dir| Self(dir.ctime(), dir.ctime_nsec()))
    }
}

impl NamedSocket {
    pub(crate) fn new(path: SocketPath, since: Moment) -> Self {
        Self { path, since }
    }

    fn remove(&self) {
        let Ok(file) = fs::symlink_metadata(self.path.as_path()) else { return };
        let is_new = Moment(file.ctime(), file.ctime_nsec()) >= self.since;
        if file.file_type().is_socket() && is_new {
            remove_stale_socket(&self.path);
        }
    }
}

impl Remains {
    /// Adds what may be left; removed at once if the process is gone already.
    pub(crate) fn add(&self, socket: NamedSocket) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Over => socket.remove(),
            _ => *state = State::Socket(socket),
        }
    }

    /// Adds the directory of its sockets. A process that runs may make a file in it at any time, so that removing it earlier
    /// can fail.
    pub(crate) fn add_dir(&self, dir: SocketDir) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(dir);
    }

    fn take_dir(&self) -> Option<SocketDir> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn removed_in_the_end(&self) -> RemovedInTheEnd {
        RemovedInTheEnd(self.clone())
    }

    fn turn(&self, new: State) -> State {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), new)
    }
}

impl RemovedInTheEnd {
    /// Leaves it where it is: the process goes on.
    pub(crate) fn keep(self) {
        self.0.turn(State::Nothing);
        drop(self.0.take_dir());
    }
}

impl Drop for RemovedInTheEnd {
    fn drop(&mut self) {
        if let State::Socket(socket) = self.0.turn(State::Over) {
            socket.remove();
        }
        if let Some(dir) = self.0.take_dir() {
            dir.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_dead_socket_that_came_since_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| SocketPath::new(dir.path().join(name)).expect("a path");
        let bind = |name: &str| UnixListener::bind(path(name).as_path()).expect("bound");
        drop(bind("old"));
        let old = fs::symlink_metadata(path("old").as_path()).expect("there");
        let since = Moment(old.ctime(), old.ctime_nsec() + 1);
        // The clock of the files may tick slowly.
        let come_later = |name: &str| loop {
            let socket = bind(name);
            let file = fs::symlink_metadata(path(name).as_path()).expect("there");
            if Moment(file.ctime(), file.ctime_nsec()) >= since {
                break socket;
            }
            fs::remove_file(path(name).as_path()).expect("there");
        };
        drop(come_later("dead"));
        let alive = come_later("alive");
        fs::write(path("file").as_path(), "no socket").expect("writable");
        for name in ["old", "dead", "alive", "file", "nothing"] {
            let remains = Remains::default();
            let end = remains.removed_in_the_end();
            remains.add(NamedSocket::new(path(name), since));
            assert_eq!(path(name).as_path().exists(), name != "nothing", "{name}: too early");
            drop(end);
            let stays = ["old", "alive", "file"].contains(&name);
            assert_eq!(path(name).as_path().exists(), stays, "{name}");
        }
        drop(alive);
        let remains = Remains::default();
        remains.removed_in_the_end().keep();
        drop(remains.removed_in_the_end());
        remains.add(NamedSocket::new(path("alive"), since));
        assert!(!path("alive").as_path().exists(), "known after the end");
    }
}
