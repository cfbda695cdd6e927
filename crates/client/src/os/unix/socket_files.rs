//! The socket files of a folder.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::file::is_socket;

/// The identity of a socket file. Another socket at the same path has another identity.
///
/// A file system may give the number of a removed file to the next file. So the time at which the socket was made is a part of the
/// identity. Connections, changed permissions and renames leave it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketFileId {
    device: u64,
    inode: u64,
    made: (i64, i64),
}

impl SocketFileId {
    fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino(), made: (file.mtime(), file.mtime_nsec()) }
    }
}

/// Returns the sockets in a folder, and links to sockets. Files that disappear meanwhile are left out.
pub(crate) fn sockets_in(dir: &Path) -> io::Result<Vec<(PathBuf, SocketFileId)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Some(kind) = existing(entry.file_type())? else { continue };
        // Most entries are known by the listing alone, so that a folder with many other files is read fast.
        if !(kind.is_symlink() || std::os::unix::fs::FileTypeExt::is_socket(&kind)) {
            continue;
        }
        let path = entry.path();
        // A link whose file is missing is not a socket.
        let Some(file) = existing(fs::metadata(&path))? else { continue };
        if is_socket(&file) {
            let id = SocketFileId::of(&file);
            found.push((path, id));
        }
    }
    Ok(found)
}

/// `None` for a file that does not exist any more.
fn existing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::{UnixListener, UnixStream},
    };

    use super::*;

    fn only(dir: &Path) -> (PathBuf, SocketFileId) {
        let found = sockets_in(dir).expect("readable");
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    #[test]
    fn sockets_and_links_to_sockets_are_found_and_other_files_are_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let elsewhere = tempfile::tempdir().expect("a directory");
        let inside = |name: &str| dir.path().join(name);
        fs::write(inside("file"), "").expect("written");
        fs::create_dir(inside("directory")).expect("made");
        let _listener = UnixListener::bind(elsewhere.path().join("s")).expect("bound");
        symlink(elsewhere.path().join("s"), inside("link.sock")).expect("made");
        symlink(elsewhere.path().join("missing"), inside("broken.sock")).expect("made");
        symlink(inside("file"), inside("file.sock")).expect("made");
        assert_eq!(only(dir.path()).0, inside("link.sock"));
        let missing = sockets_in(&inside("missing")).expect_err("it does not exist");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_socket_keeps_its_identity_until_another_takes_its_path() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("kv.sock");
        let first = UnixListener::bind(&path).expect("bound");
        let id = only(dir.path()).1;
        UnixStream::connect(&path).expect("it listens");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
        fs::rename(&path, dir.path().join("other.sock")).expect("ours");
        assert_eq!(only(dir.path()).1, id);
        fs::remove_file(dir.path().join("other.sock")).expect("ours");
        drop(first);
        let made_later = || {
            let _ = fs::remove_file(&path);
            let _next = UnixListener::bind(&path).expect("bound");
            only(dir.path()).1 != id
        };
        // The number may be that of the removed file. The clock of the file system goes on within milliseconds.
        assert!((0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            made_later()
        }));
    }
}
