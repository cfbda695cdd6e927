//! Directories in which sockets are made.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rpcplugin_core::SocketPath;
use tempfile::TempDir;

use super::{
    error::SocketDirError,
    group::SocketGroup,
    orphans,
    owner::{HOST, Owner, PLUGIN},
};
use crate::{
    cleanup::{self, Leftover, Registration},
    os::{
        files::{self, DirGuard},
        sockets,
    },
};

/// A directory in which sockets are made under fresh names.
///
/// Cheap to clone. A private directory is removed, with everything in it, when its last clone and the last listener in
/// it have been dropped.
#[derive(Debug, Clone)]
pub struct SocketDir(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    group: Option<SocketGroup>,
    /// Present if this process made the directory and removes it.
    private: Mutex<Option<Private>>,
}

/// A directory that this process made.
#[derive(Debug)]
struct Private {
    guard: DirGuard,
    dir: TempDir,
    at_exit: Registration,
}

impl Private {
    /// Removes the directory, with everything in it.
    fn remove(self) {
        let (dir, at_exit) = self.unguarded();
        cleanup::remove_dir(dir.keep());
        drop(at_exit);
    }

    fn unguarded(self) -> (TempDir, Registration) {
        let Self { guard: _guard, dir, at_exit } = self;
        (dir, at_exit)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(private) = self.private.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            private.remove();
        }
    }
}

impl SocketDir {
    /// Makes a directory that only this user, and `group` if given, may enter.
    ///
    /// The directory is made in the temporary directory. If no socket would fit there, it is made in `/tmp`: macOS and
    /// many build systems have long temporary directories.
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

    /// Makes a directory inside `parent` that only this user, and `group` if given, may enter.
    ///
    /// The directory records which process made it. The first call of each process also removes, in the background, the
    /// directories in `parent` that ended processes of this user have left.
    ///
    /// # Errors
    /// [`SocketDirError`] when no directory can be made or shared, or when no socket would fit.
    pub fn private_in(parent: &Path, group: Option<SocketGroup>) -> Result<Self, SocketDirError> {
        warn_if_open(parent);
        cleanup::remove_postponed();
        let create = |source| SocketDirError::Create { parent: parent.to_owned(), source };
        // A peer with another working directory needs an absolute path.
        let parent = std::path::absolute(parent).map_err(create)?;
        let dir = files::make_private_dir(&parent, orphans::PREFIX).map_err(create)?;
        let guard = DirGuard::over(dir.path()).map_err(create)?;
        let path = dir.path().to_owned();
        let at_exit = cleanup::register(Leftover::Dir(path.clone()));
        // Without a record only the later removal of an orphan is lost.
        if let Some(Err(error)) = Owner::of(std::process::id()).map(|owner| owner.write(&path, HOST)) {
            tracing::debug!(%error, dir = %path.display(), "the owner of a socket directory could not be recorded");
        }
        orphans::sweep_once(&parent);
        let this =
            Self(Arc::new(Inner { path, group, private: Mutex::new(Some(Private { guard, dir, at_exit })) }));
        this.check_length()?;
        if let Some(group) = group {
            share(this.path(), group)?;
        }
        Ok(this)
    }

    /// Uses a directory that another process has made and will remove.
    ///
    /// # Errors
    /// [`SocketDirError::Unfit`] when no socket would fit. [`SocketDirError::Create`] when the path is relative and the
    /// working directory does not exist any more.
    pub fn given(dir: &Path, group: Option<SocketGroup>) -> Result<Self, SocketDirError> {
        let path = std::path::absolute(dir)
            .map_err(|source| SocketDirError::Create { parent: dir.to_owned(), source })?;
        let this = Self(Arc::new(Inner { path, group, private: Mutex::default() }));
        this.check_length()?;
        warn_if_open(this.path());
        Ok(this)
    }

    /// Records the process as a second owner of the directory. The directory then stays while the process runs, also
    /// after the end of the process that made it. A process that has already ended is not recorded.
    pub fn add_owner(&self, pid: u32) {
        let Some(owner) = Owner::of(pid) else { return };
        if let Err(error) = owner.write(&self.0.path, PLUGIN) {
            tracing::debug!(%error, pid, "the second owner of a socket directory could not be recorded");
        }
    }

    /// Removes a private directory now, with everything in it, even if clones are left. Any other directory stays.
    pub fn remove(&self) {
        let private = self.0.private.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(private) = private {
            private.remove();
        }
    }

    /// Leaves a private directory in place for another process.
    ///
    /// A directory without a [second owner](Self::add_owner) stays until its user removes it.
    pub fn keep(&self) {
        if fs::symlink_metadata(self.0.path.join(PLUGIN)).is_err() {
            let _ = fs::remove_file(self.0.path.join(HOST));
        }
        let kept = self.0.private.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Private { guard, dir, at_exit }) = kept {
            let _ = dir.keep();
            drop((guard, at_exit));
        }
    }

    /// The path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    pub(crate) fn group(&self) -> Option<SocketGroup> {
        self.0.group
    }

    /// Fails if no socket fits into the directory.
    fn check_length(&self) -> Result<(), SocketDirError> {
        if sockets::AVAILABLE { self.name("plugin0123456789").map(drop) } else { Ok(()) }
    }

    /// Returns the path of a socket in this directory.
    pub(crate) fn name(&self, name: &str) -> Result<SocketPath, SocketDirError> {
        SocketPath::new(self.0.path.join(name))
            .map_err(|source| SocketDirError::Unfit { dir: self.0.path.clone(), source })
    }
}

/// Removes a directory that [`SocketDir::private`] made in another process, if it holds nothing but the records of its
/// owners. Any other directory is removed if it is empty.
///
/// # Errors
/// The error of the operating system. [`io::ErrorKind::DirectoryNotEmpty`] if the directory holds anything else.
pub fn remove_empty_dir(dir: &Path) -> io::Result<()> {
    let is_record = |entry: &fs::DirEntry| {
        [HOST, PLUGIN].iter().any(|role| entry.file_name() == *role)
            && entry.file_type().is_ok_and(|kind| kind.is_symlink())
    };
    for entry in fs::read_dir(dir)? {
        if !is_record(&entry?) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
    }
    for role in [PLUGIN, HOST] {
        match fs::remove_file(dir.join(role)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(dir)
}

fn share(path: &Path, group: SocketGroup) -> Result<(), SocketDirError> {
    files::share_dir(path, group.number())
        .map_err(|source| SocketDirError::Share { path: path.to_owned(), source })
}

/// Warns of a directory in which every user can replace a socket, and so impersonate its listener. The directory is not
/// refused: a peer that requires mutual TLS is safe, and volumes that containers share are such directories.
pub(crate) fn warn_if_open(dir: &Path) {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    if let Ok(metadata) = fs::metadata(dir)
        && files::is_open(&metadata)
    {
        tracing::warn!(
            dir = %dir.display(),
            "every user can replace a socket in this directory: take the write permission from others (chmod o-w), set the \
             sticky bit (chmod +t), or choose another directory"
        );
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn a_directory_that_cannot_be_given_to_a_group_is_an_error() {
        let group = SocketGroup::find("0").expect("a number");
        let error = share(Path::new("/nowhere/at/all"), group).expect_err("it does not exist");
        assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::transport::socket_not_shared");
    }

    #[test]
    fn a_link_in_the_place_of_a_directory_is_not_followed() {
        let own = SocketGroup::find(&nix::unistd::getegid().to_string()).expect("a number");
        let dir = SocketDir::private(None).expect("a directory");
        let (precious, link) = (dir.path().join("precious"), dir.path().join("link"));
        fs::create_dir(&precious).expect("made");
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o700)).expect("ours");
        std::os::unix::fs::symlink(&precious, &link).expect("linked");
        share(&link, own).expect_err("a link");
        assert_eq!(fs::metadata(&precious).expect("there").permissions().mode() & 0o777, 0o700);
    }
}
