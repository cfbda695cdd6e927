//! Removing the sockets of a plugin after its process has exited.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rpcplugin_core::SocketPath;
use rpcplugin_transport::{SocketDir, remove_stale_socket};

use crate::os::{self, FileTime};

/// The socket path from the handshake line. The path is untrusted. After the process has exited, the file is removed
/// only if it is a socket, has no listener, and was created after the launch.
#[derive(Debug)]
pub(crate) struct AnnouncedSocket {
    path: SocketPath,
    launched: FileTime,
}

/// The sockets to remove when a process has exited. Shared by the launch, which adds them, and the owner of the
/// process, which removes them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SocketCleanup(Arc<Mutex<State>>, Arc<Mutex<Option<SocketDir>>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    Socket(AnnouncedSocket),
    /// The process has exited.
    Exited,
}

/// Removes the sockets when it is dropped.
#[derive(Debug)]
pub(crate) struct RemoveOnDrop(SocketCleanup);

/// The time at which this directory was made, or last changed.
pub(crate) fn change_time(dir: &Path) -> io::Result<FileTime> {
    fs::symlink_metadata(dir).map(|dir| FileTime::of(&dir))
}

impl AnnouncedSocket {
    pub(crate) fn new(path: SocketPath, launched: FileTime) -> Self {
        Self { path, launched }
    }

    fn remove(&self) {
        let Ok(file) = fs::symlink_metadata(self.path.as_path()) else { return };
        if os::is_socket(&file) && FileTime::of(&file) >= self.launched {
            remove_stale_socket(&self.path);
        }
    }
}

impl SocketCleanup {
    /// Adds the announced socket. Removes it at once if the process has exited already.
    pub(crate) fn add(&self, socket: AnnouncedSocket) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Exited => socket.remove(),
            _ => *state = State::Socket(socket),
        }
    }

    /// Adds the directory of the plugin's sockets. It is not removed earlier, because a running process may make a
    /// file in it at any time.
    pub(crate) fn add_dir(&self, dir: SocketDir) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(dir);
    }

    fn take_dir(&self) -> Option<SocketDir> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn remove_on_drop(&self) -> RemoveOnDrop {
        RemoveOnDrop(self.clone())
    }

    fn replace(&self, new: State) -> State {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), new)
    }
}

impl RemoveOnDrop {
    /// Keeps the sockets, because the process runs on.
    pub(crate) fn keep(self) {
        self.0.replace(State::Nothing);
        drop(self.0.take_dir());
    }
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        if let State::Socket(socket) = self.0.replace(State::Exited) {
            socket.remove();
        }
        if let Some(dir) = self.0.take_dir() {
            dir.remove();
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_a_socket_without_a_listener_that_is_newer_than_the_launch_is_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| SocketPath::new(dir.path().join(name)).expect("a path");
        let bind = |name: &str| UnixListener::bind(path(name).as_path()).expect("bound");
        drop(bind("old"));
        let old = fs::symlink_metadata(path("old").as_path()).expect("there");
        let launched = FileTime::of(&old).next();
        // The clock of the file system may tick slowly.
        let come_later = |name: &str| loop {
            let socket = bind(name);
            let file = fs::symlink_metadata(path(name).as_path()).expect("there");
            if FileTime::of(&file) >= launched {
                break socket;
            }
            fs::remove_file(path(name).as_path()).expect("there");
        };
        drop(come_later("dead"));
        let alive = come_later("alive");
        fs::write(path("file").as_path(), "no socket").expect("writable");
        for name in ["old", "dead", "alive", "file", "nothing"] {
            let sockets = SocketCleanup::default();
            let end = sockets.remove_on_drop();
            sockets.add(AnnouncedSocket::new(path(name), launched));
            assert_eq!(path(name).as_path().exists(), name != "nothing", "{name}: too early");
            drop(end);
            let stays = ["old", "alive", "file"].contains(&name);
            assert_eq!(path(name).as_path().exists(), stays, "{name}");
        }
        drop(alive);
        let sockets = SocketCleanup::default();
        sockets.remove_on_drop().keep();
        drop(sockets.remove_on_drop());
        sockets.add(AnnouncedSocket::new(path("alive"), launched));
        assert!(!path("alive").as_path().exists(), "known after the end");
    }
}
