//! Owners, permissions and identities of files.

use std::{
    ffi::OsStr,
    fs::{self, Metadata, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::Path,
};

pub(crate) use std::os::unix::fs::symlink;

/// Guards a directory that this process has made. Does nothing here: [`call_at_exit`](super::exit::call_at_exit) and the
/// records of owners do.
#[derive(Debug)]
pub(crate) struct DirGuard;

impl DirGuard {
    pub(crate) fn over(_: &Path) -> io::Result<Self> {
        Ok(Self)
    }
}

/// The identity of a file: its device and inode.
pub(crate) type FileId = (u64, u64);

/// Returns the identity of the file at a path. A symbolic link is not followed.
pub(crate) fn id(path: &Path) -> io::Result<FileId> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Whether the file belongs to the user of this process.
pub(crate) fn is_own(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// Whether the file is a socket.
pub(crate) fn is_socket(metadata: &Metadata) -> bool {
    metadata.file_type().is_socket()
}

/// Whether every user can replace the files in a directory.
pub(crate) fn is_open(metadata: &Metadata) -> bool {
    is_open_mode(mode(metadata))
}

fn is_open_mode(mode: u32) -> bool {
    mode & 0o002 != 0 && mode & 0o1000 == 0
}

/// The permissions of the file, with the set-id and sticky bits.
fn mode(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

/// Makes a directory below `parent` under a fresh name. Only the user of this process may enter the directory, from its
/// first moment, whatever the umask.
pub(crate) fn make_private_dir(parent: &Path, prefix: &str) -> io::Result<tempfile::TempDir> {
    let private = Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(prefix).permissions(private).tempdir_in(parent)
}

/// The bytes of a file's name or path.
pub(crate) fn bytes(name: &(impl AsRef<OsStr> + ?Sized)) -> &[u8] {
    name.as_ref().as_bytes()
}

/// Gives a directory that this process has just made to a group, with all permissions. Fails if another directory has
/// come to the path.
pub(crate) fn share_dir(path: &Path, group: u32) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(path, flags, Mode::empty())?;
    if rustix::fs::fstat(&dir)?.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("another directory has come to its place"));
    }
    // The group first: the other way round another group could enter for a moment.
    rustix::fs::fchown(&dir, None, Some(rustix::fs::Gid::from_raw(group)))?;
    Ok(rustix::fs::fchmod(&dir, Mode::RWXU | Mode::RWXG)?)
}

/// Whether this process can have bound the socket of this file.
fn is_own_socket(metadata: &Metadata) -> bool {
    is_socket(metadata) && is_own(metadata) && metadata.nlink() == 1
}

/// The file of a socket that this process has bound. No system call on it follows a symbolic link. On Linux it stays
/// the same file when another file comes to its path.
#[derive(Debug)]
pub(crate) struct BoundFile {
    file: imp::File,
    mode: u32,
    id: FileId,
}

impl BoundFile {
    /// Finds the socket at the path. Fails if this process cannot have bound the file that is there.
    pub(crate) fn find(path: &Path) -> io::Result<Self> {
        let (file, metadata) = imp::File::open(path)?;
        if !is_own_socket(&metadata) {
            return Err(io::Error::other("another file has come to the place of the socket"));
        }
        Ok(Self { file, mode: mode(&metadata), id: (metadata.dev(), metadata.ino()) })
    }

    /// Removes the file of a socket that this process has bound and cannot open. Any other file stays. Needs no descriptor.
    pub(crate) fn discard(path: &Path) {
        if fs::symlink_metadata(path).is_ok_and(|found| is_own_socket(&found)) {
            let _ = fs::remove_file(path);
        }
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Gives the socket to the group, with these permissions.
    pub(crate) fn give_to(&self, group: u32, mode: u32) -> io::Result<()> {
        // The group first: the other way round another group could connect for a moment.
        self.file.give_to(rustix::fs::Gid::from_raw(group))?;
        self.allow(mode)
    }

    /// Sets the permissions of the socket, unless it has them.
    pub(crate) fn allow(&self, mode: u32) -> io::Result<()> {
        if self.mode == mode { Ok(()) } else { self.file.set_mode(mode) }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::{
        fs::{self, Metadata, Permissions},
        io,
        os::{
            fd::{AsRawFd as _, OwnedFd},
            unix::fs::PermissionsExt as _,
        },
        path::Path,
    };

    use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, chownat};

    /// A file that is open as a path only.
    #[derive(Debug)]
    pub(super) struct File(OwnedFd);

    impl File {
        pub(super) fn open(path: &Path) -> io::Result<(Self, Metadata)> {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
            let metadata = fs::File::from(file.try_clone()?).metadata()?;
            Ok((Self(file), metadata))
        }

        pub(super) fn give_to(&self, group: Gid) -> io::Result<()> {
            Ok(chownat(&self.0, "", None, Some(group), AtFlags::EMPTY_PATH)?)
        }

        pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
            // The kernel resolves this name to the open file itself. No older system call changes the mode of a file that is
            // open as a path only.
            let file = format!("/proc/self/fd/{}", self.0.as_raw_fd());
            fs::set_permissions(file, Permissions::from_mode(mode)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    io::Error::other("its permissions cannot be set: /proc is not mounted")
                }
                _ => error,
            })
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::{
        fs::{self, Metadata},
        io,
        path::{Path, PathBuf},
    };

    use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
    use rustix::fs::{AtFlags, CWD, Gid, chownat};

    /// A file by its path.
    #[derive(Debug)]
    pub(super) struct File(PathBuf);

    impl File {
        pub(super) fn open(path: &Path) -> io::Result<(Self, Metadata)> {
            Ok((Self(path.to_owned()), fs::symlink_metadata(path)?))
        }

        pub(super) fn give_to(&self, group: Gid) -> io::Result<()> {
            Ok(chownat(CWD, &self.0, None, Some(group), AtFlags::SYMLINK_NOFOLLOW)?)
        }

        pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
            let mode = Mode::from_bits_truncate(mode as nix::libc::mode_t);
            Ok(fchmodat(CWD, &self.0, mode, FchmodatFlags::NoFollowSymlink)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_open_mode;

    #[test]
    fn a_directory_is_open_if_every_user_may_write_and_it_has_no_sticky_bit() {
        for (mode, open) in
            [(0o700, false), (0o755, false), (0o770, false), (0o1777, false), (0o777, true), (0o40702, true)]
        {
            assert_eq!(is_open_mode(mode), open, "{mode:o}");
        }
    }
}
