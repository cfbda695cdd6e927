//! Socket files: where they are made, who may connect, and that they are gone in the end.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use nix::unistd::{Gid, Group, chown};
use rpcplugin_core::{EndpointError, SocketPath};
use tempfile::TempDir;

use crate::at_exit::{self, Leftover, Registered};

/// A directory in which sockets are made under names that nobody else has.
///
/// Cheap to clone. A private one is removed with everything in it when the last clone and the last listener that was
/// made in it are dropped.
#[derive(Debug, Clone)]
pub struct SocketDir(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    group: Option<SocketGroup>,
    /// Present if the directory is ours to remove.
    private: Mutex<Option<(TempDir, Registered)>>,
}

/// The group that may connect to a socket, besides its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketGroup(Gid);

/// No directory for sockets could be had.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum SocketDirError {
    /// The directory could not be made.
    #[error("cannot make a directory for sockets in {}", parent.display())]
    #[diagnostic(
        code(rpcplugin::transport::socket_dir),
        help("set TMPDIR to a directory that exists and in which this user may write")
    )]
    Create {
        /// Where it was to be made.
        parent: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// No name in the directory would fit the operating system's limit.
    #[error("no socket fits into {}", dir.display())]
    #[diagnostic(
        code(rpcplugin::transport::socket_dir_unfit),
        help("set TMPDIR or PLUGIN_UNIX_SOCKET_DIR to a short path such as /tmp")
    )]
    Unfit {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with a path in it.
        source: EndpointError,
    },
    /// The group does not exist.
    #[error("there is no group {group:?}")]
    #[diagnostic(
        code(rpcplugin::config::unknown_group),
        help("name a group of this system, or give its number")
    )]
    UnknownGroup {
        /// The group as it was named.
        group: String,
        /// What the operating system says, if it could not even be asked.
        source: Option<io::Error>,
    },
    /// The directory or socket could not be given to the group.
    #[error("cannot give {} to its group", path.display())]
    #[diagnostic(
        code(rpcplugin::transport::socket_group),
        help("the process has to belong to the group, or run as root, to share its sockets with it")
    )]
    Share {
        /// The directory or socket.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl SocketGroup {
    /// A group by its number or its name. Digits are always a number, as go-plugin has it.
    ///
    /// # Errors
    /// [`SocketDirError::UnknownGroup`].
    pub fn find(group: &str) -> Result<Self, SocketDirError> {
        if let Ok(number) = group.parse() {
            return Ok(Self(Gid::from_raw(number)));
        }
        match Group::from_name(group) {
            Ok(Some(found)) => Ok(Self(found.gid)),
            Ok(None) => Err(SocketDirError::UnknownGroup { group: group.to_owned(), source: None }),
            Err(error) => {
                Err(SocketDirError::UnknownGroup { group: group.to_owned(), source: Some(error.into()) })
            }
        }
    }

    /// Gives a socket or directory to this group, with these permissions.
    fn share(self, path: &Path, mode: u32) -> Result<(), SocketDirError> {
        // The group first: the other way round another group could connect for a moment.
        chown(path, None, Some(self.0))
            .map_err(io::Error::from)
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
            .map_err(|source| SocketDirError::Share { path: path.to_owned(), source })
    }
}

impl SocketDir {
    /// A fresh directory that only this user, and `group` if given, may enter.
    ///
    /// It is made in the temporary directory, or in `/tmp` should no socket fit there (macOS and many build systems
    /// have long ones).
    ///
    /// # Errors
    /// [`SocketDirError`] when no directory can be made or shared.
    pub fn private(group: Option<SocketGroup>) -> Result<Self, SocketDirError> {
        let parent = std::env::temp_dir();
        Self::private_in(&parent, group).or_else(|error| {
            let short = Path::new("/tmp");
            if parent == short { Err(error) } else { Self::private_in(short, group).map_err(|_| error) }
        })
    }

    /// A fresh directory inside `parent` that only this user, and `group` if given, may enter.
    ///
    /// # Errors
    /// [`SocketDirError`] when no directory can be made or shared, or no socket would fit.
    pub fn private_in(parent: &Path, group: Option<SocketGroup>) -> Result<Self, SocketDirError> {
        // An absolute path means the same to a peer with another working directory.
        let dir = std::path::absolute(parent)
            .and_then(|parent| {
                // Closed from its first moment, whatever the umask.
                let closed = fs::Permissions::from_mode(0o700);
                tempfile::Builder::new().prefix("rpcplugin-").permissions(closed).tempdir_in(parent)
            })
            .map_err(|source| SocketDirError::Create { parent: parent.to_owned(), source })?;
        let path = dir.path().to_owned();
        let at_exit = at_exit::register(Leftover::Dir(path.clone()));
        let this = Self(Arc::new(Inner { path, group, private: Mutex::new(Some((dir, at_exit))) }));
        this.name("plugin0123456789")?;
        if let Some(group) = group {
            group.share(this.path(), 0o770)?;
        }
        Ok(this)
    }

    /// A directory that somebody else made and will remove.
    ///
    /// # Errors
    /// [`SocketDirError::Unfit`] when no socket would fit, and [`Create`](SocketDirError::Create) when it is relative
    /// to a working directory that cannot be told.
    pub fn given(dir: &Path, group: Option<SocketGroup>) -> Result<Self, SocketDirError> {
        let path = std::path::absolute(dir)
            .map_err(|source| SocketDirError::Create { parent: dir.to_owned(), source })?;
        let this = Self(Arc::new(Inner { path, group, private: Mutex::default() }));
        this.name("plugin0123456789")?;
        Ok(this)
    }

    /// Leaves a private directory where it is, for another process that goes on with what is in it.
    pub fn keep(&self) {
        if let Some((dir, at_exit)) = self.0.private.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = dir.keep();
            drop(at_exit);
        }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn group(&self) -> Option<SocketGroup> {
        self.0.group
    }

    /// The path of a socket in this directory.
    pub(crate) fn name(&self, name: &str) -> Result<SocketPath, SocketDirError> {
        SocketPath::new(self.0.path.join(name))
            .map_err(|source| SocketDirError::Unfit { dir: self.0.path.clone(), source })
    }
}

/// The file of a socket that is bound: removed on drop, unless somebody put another in its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    file: Leftover,
    _at_exit: Registered,
    /// Keeps the directory as long as there is a socket in it.
    _dir: Option<SocketDir>,
}

impl SocketFile {
    /// Takes charge of the file of a socket just bound, and lets in whom it should.
    pub(crate) fn new(
        path: &SocketPath,
        group: Option<SocketGroup>,
        dir: Option<SocketDir>,
    ) -> Result<Self, SocketDirError> {
        let path = path.as_path().to_owned();
        let share = |source| SocketDirError::Share { path: path.clone(), source };
        let metadata = fs::symlink_metadata(&path).map_err(share)?;
        let leftover = || Leftover::Socket(path.clone(), (metadata.dev(), metadata.ino()));
        let this = Self { file: leftover(), _at_exit: at_exit::register(leftover()), _dir: dir };
        match group {
            Some(group) => group.share(&path, 0o660)?,
            None => fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(share)?,
        }
        Ok(this)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.file.remove();
    }
}

/// Removes the file of a socket on which nobody listens any more: what a process that was killed leaves behind.
///
/// Anything else at the path is left alone. Returns whether a file was removed.
pub fn remove_stale_socket(path: &SocketPath) -> bool {
    path.abstract_name().is_none()
        && occupant(path.as_path()).is_ok_and(|occupant| occupant == Occupant::Stale)
        && fs::remove_file(path.as_path()).is_ok()
}

/// What stands at a path where a socket is to be bound.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Occupant {
    Nothing,
    /// A socket on which nobody listens any more.
    Stale,
    /// A socket on which somebody may listen.
    Live,
    /// Not a socket.
    Other,
}

/// Looks at a path without changing anything.
pub(crate) fn occupant(path: &Path) -> io::Result<Occupant> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupant::Nothing),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Ok(Occupant::Other);
    }
    // Only a refusal proves that nobody listens; a full backlog or a missing permission proves the contrary.
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Occupant::Stale),
        _ => Ok(Occupant::Live),
    }
}

#[cfg(test)]
mod tests {
    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn what_cannot_be_given_to_a_group_is_an_error() {
        let group = SocketGroup::find("0").expect("a number");
        let error = group.share(Path::new("/nowhere/at/all"), 0o770).expect_err("it is not there");
        assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::transport::socket_group");
    }
}
