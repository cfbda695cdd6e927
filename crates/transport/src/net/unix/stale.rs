//! Socket files without a listener.

use std::{fs, io, path::Path};

use rpcplugin_core::SocketPath;

use crate::os::{files, sockets};

/// Removes the file of a socket that has no listener, such as a process leaves behind when it is killed.
///
/// Any other file at the path is left alone. Returns whether a file was removed. Does not wait for a listener.
pub fn remove_stale_socket(path: &SocketPath) -> bool {
    path.abstract_name().is_none()
        && occupant(path.as_path()).is_ok_and(|occupant| occupant == Occupant::Stale)
        && clear(path.as_path()).is_ok_and(|cleared| cleared)
}

/// Removes the file of a socket that was found stale. Returns false if another file has come to the path since.
pub(crate) fn clear(path: &Path) -> io::Result<bool> {
    // Another process that found the socket stale may listen here by now. So the file is renamed first and checked then: no
    // process can replace the renamed file, and the file that was checked is the one that is removed.
    let aside = path.with_file_name(format!(".{}", fastrand::u64(..10_000_000_000)));
    match fs::rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        moved => moved?,
    }
    match occupant(&aside) {
        Ok(Occupant::Live | Occupant::Other) => fs::rename(&aside, path).map(|()| false),
        // If the new name is too long for a socket, the first check must suffice.
        Ok(Occupant::Stale | Occupant::Nothing) | Err(_) => fs::remove_file(&aside).map(|()| true),
    }
}

/// What is at a path at which a socket is to be bound.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Occupant {
    Nothing,
    /// A socket without a listener.
    Stale,
    /// A socket that may have a listener.
    Live,
    /// Not a socket.
    Other,
}

/// Checks a path without changing anything.
pub(crate) fn occupant(path: &Path) -> io::Result<Occupant> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupant::Nothing),
        Err(error) => return Err(error),
    };
    if !files::is_socket(&metadata) {
        return Ok(Occupant::Other);
    }
    // Only a refused connection proves that there is no listener. A full backlog or a missing permission proves that
    // there is one.
    Ok(if sockets::refuses_connections(path)? { Occupant::Stale } else { Occupant::Live })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// Leaves the socket of a process that has died.
    fn stale(path: &Path) {
        drop(UnixListener::bind(path).expect("bound"));
    }

    #[test]
    fn a_socket_with_a_full_backlog_is_live_and_the_check_does_not_wait() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = SocketPath::new(dir.path().join("busy")).expect("it fits");
        let listener = UnixListener::bind(path.as_path()).expect("bound");
        rustix::net::listen(&listener, 0).expect("listening");
        let address = sockets::address(&path).expect("it fits");
        let connect = || sockets::connect_at_once(&address).ok();
        let waiting: Vec<_> = std::iter::from_fn(connect).take(1000).collect();
        assert!(waiting.len() < 1000, "there is an end to the backlog");
        assert_eq!(occupant(path.as_path()).expect("readable"), Occupant::Live);
        assert!(!remove_stale_socket(&path) && path.as_path().exists());
    }

    #[test]
    fn a_socket_that_replaced_a_stale_socket_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("given");
        let entries = || fs::read_dir(dir.path()).expect("readable").count();
        stale(&path);
        assert_eq!((clear(&path).expect("ours"), entries()), (true, 0));
        // Two processes have found a stale socket. One of them has replaced it.
        let listener = UnixListener::bind(&path).expect("bound");
        assert_eq!((clear(&path).expect("ours"), entries()), (false, 1));
        UnixStream::connect(&path).expect("it is where it was");
        drop(listener);
        assert!(clear(&path).expect("ours"));
        assert!(clear(&path).expect("already removed"));
    }

    #[test]
    fn the_longest_path_can_be_cleared() {
        let dir = tempfile::tempdir().expect("a directory");
        let longest = (1..200).rev().find_map(|length| {
            let parent = dir.path().join("x".repeat(length));
            SocketPath::new(parent.join("s")).ok()
        });
        let path = longest.expect("some path fits").as_path().to_owned();
        fs::create_dir(path.parent().expect("a directory")).expect("made");
        stale(&path);
        assert_eq!(occupant(&path).expect("readable"), Occupant::Stale);
        assert!(clear(&path).expect("ours") && !path.exists());
    }
}
