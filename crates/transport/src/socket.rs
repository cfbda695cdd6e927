//! Socket files: where they are made, who may connect, and that they are gone in the end.

use std::{
    fmt, fs, io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use nix::unistd::{Gid, Group};
use rpcplugin_core::{EndpointError, SocketPath};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use tempfile::TempDir;

use crate::{
    at_exit::{self, Leftover, Registered},
    owner::{HOST, Owner, PLUGIN},
    sweep,
};

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
    /// It says which process made it. The first of each process also removes the directories in `parent` that processes
    /// of this user which are gone have left, in the background.
    ///
    /// # Errors
    /// [`SocketDirError`] when no directory can be made or shared, or no socket would fit.
    pub fn private_in(parent: &Path, group: Option<SocketGroup>) -> Result<Self, SocketDirError> {
        warn_if_open(parent);
        let create = |source| SocketDirError::Create { parent: parent.to_owned(), source };
        // An absolute path means the same to a peer with another working directory.
        let parent = std::path::absolute(parent).map_err(create)?;
        // Closed from its first moment, whatever the umask.
        let closed = fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new()
            .prefix(sweep::PREFIX)
            .permissions(closed)
            .tempdir_in(&parent)
            .map_err(create)?;
        let path = dir.path().to_owned();
        let at_exit = at_exit::register(Leftover::Dir(path.clone()));
        // A directory without an owner only stays where it is if nobody removes it.
        if let Some(Err(error)) = Owner::of(std::process::id()).map(|owner| owner.write(&path, HOST)) {
            tracing::debug!(%error, dir = %path.display(), "the directory's owner cannot be written down");
        }
        sweep::once(&parent);
        let this = Self(Arc::new(Inner { path, group, private: Mutex::new(Some((dir, at_exit))) }));
        this.name("plugin0123456789")?;
        if let Some(group) = group {
            share_dir(this.path(), group)?;
        }
        Ok(this)
    }

    /// A directory that another process made and will remove.
    ///
    /// # Errors
    /// [`SocketDirError::Unfit`] when no socket would fit, and [`Create`](SocketDirError::Create) when it is relative to a
    /// working directory that is gone.
    pub fn given(dir: &Path, group: Option<SocketGroup>) -> Result<Self, SocketDirError> {
        let path = std::path::absolute(dir)
            .map_err(|source| SocketDirError::Create { parent: dir.to_owned(), source })?;
        let this = Self(Arc::new(Inner { path, group, private: Mutex::default() }));
        this.name("plugin0123456789")?;
        warn_if_open(this.path());
        Ok(this)
    }

    /// Writes down that the directory is there for this process too, so that it stays while that runs, whatever becomes of
    /// the one that made it. A process that is gone already is not written down.
    pub fn belongs_to(&self, pid: u32) {
        let Some(owner) = Owner::of(pid) else { return };
        if let Err(error) = owner.write(&self.0.path, PLUGIN) {
            tracing::debug!(%error, pid, "the directory's second owner cannot be written down");
        }
    }

    /// Removes a private directory now, with everything in it, whatever clones are left. Another directory stays.
    pub fn remove(&self) {
        let removed = self.0.private.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(removed);
    }

    /// Leaves a private directory where it is, for another process that goes on with what is in it.
    ///
    /// One for which no process [is written down](Self::belongs_to) stays until it is removed by whoever uses it.
    pub fn keep(&self) {
        if fs::symlink_metadata(self.0.path.join(PLUGIN)).is_err() {
            let _ = fs::remove_file(self.0.path.join(HOST));
        }
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
        let bound = BoundFile::find(&path).map_err(share)?;
        let leftover = || Leftover::Socket(path.clone(), bound.identity);
        let this = Self { file: leftover(), _at_exit: at_exit::register(leftover()), _dir: dir };
        match group {
            Some(group) => bound.give_to(group, 0o660).map_err(share)?,
            None => bound.allow(0o600).map_err(share)?,
        }
        Ok(this)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.file.remove();
    }
}

/// Removes a directory that [`SocketDir::private`] has made in another process, if there is nothing in it but the note of
/// whose it is. Any other directory is removed if it is empty.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::DirectoryNotEmpty`] if there is something in it.
pub fn remove_empty_dir(dir: &Path) -> io::Result<()> {
    let is_note = |entry: &fs::DirEntry| {
        [HOST, PLUGIN].iter().any(|role| entry.file_name() == *role)
            && entry.file_type().is_ok_and(|kind| kind.is_symlink())
    };
    for entry in fs::read_dir(dir)? {
        if !is_note(&entry?) {
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

/// The file of a socket that this process has bound. On Linux it stays the same file whatever comes to its path; no
/// system call on it follows a symbolic link.
struct BoundFile {
    #[cfg(target_os = "linux")]
    file: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    path: PathBuf,
    mode: u32,
    identity: (u64, u64),
}

impl BoundFile {
    /// Finds the socket at the path. What this process cannot just have bound there is an error.
    fn find(path: &Path) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        let (file, metadata) = {
            use rustix::fs::{CWD, Mode, OFlags};
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
            let metadata = fs::File::from(file.try_clone()?).metadata()?;
            (file, metadata)
        };
        #[cfg(not(target_os = "linux"))]
        let metadata = fs::symlink_metadata(path)?;
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.nlink() == 1;
        if !metadata.file_type().is_socket() || !is_ours {
            return Err(io::Error::other("another file has come to the place of the socket"));
        }
        Ok(Self {
            #[cfg(target_os = "linux")]
            file,
            #[cfg(not(target_os = "linux"))]
            path: path.to_owned(),
            mode: metadata.mode() & 0o7777,
            identity: (metadata.dev(), metadata.ino()),
        })
    }

    /// Gives the socket to the group, with these permissions.
    fn give_to(&self, group: SocketGroup, mode: u32) -> io::Result<()> {
        use rustix::fs::{AtFlags, chownat};
        let gid = Some(rustix::fs::Gid::from_raw(group.0.as_raw()));
        // The group first: the other way round another group could connect for a moment.
        #[cfg(target_os = "linux")]
        chownat(&self.file, "", None, gid, AtFlags::EMPTY_PATH)?;
        #[cfg(not(target_os = "linux"))]
        chownat(rustix::fs::CWD, &self.path, None, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        self.allow(mode)
    }

    /// Sets the permissions of the socket, unless it has them.
    fn allow(&self, mode: u32) -> io::Result<()> {
        if self.mode == mode {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd as _;
            // The kernel resolves this name to the open file itself. No older call changes the mode of a file that is
            // open as a path only.
            let file = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    io::Error::other("its permissions cannot be set: /proc is not mounted")
                }
                _ => error,
            })
        }
        #[cfg(not(target_os = "linux"))]
        {
            use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
            let mode = Mode::from_bits_truncate(mode as nix::libc::mode_t);
            fchmodat(rustix::fs::CWD, &self.path, mode, FchmodatFlags::NoFollowSymlink)?;
            Ok(())
        }
    }
}

/// Lets a group into a directory that this process has just made, and into nothing that has come to its place.
fn share_dir(path: &Path, group: SocketGroup) -> Result<(), SocketDirError> {
    use rustix::fs::{Mode, OFlags};
    let share = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::open(path, flags, Mode::empty())?;
        if rustix::fs::fstat(&dir)?.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("another directory has come to its place"));
        }
        // The group first: the other way round another group could enter for a moment.
        rustix::fs::fchown(&dir, None, Some(rustix::fs::Gid::from_raw(group.0.as_raw())))?;
        Ok(rustix::fs::fchmod(&dir, Mode::RWXU | Mode::RWXG)?)
    };
    share().map_err(|source| SocketDirError::Share { path: path.to_owned(), source })
}

/// Warns of a directory in which every user can replace a socket, and so meet its clients in its place. A peer that requires
/// mutual TLS is not deceived by that, so the directory is not refused: volumes that containers share are such directories.
pub(crate) fn warn_if_open(dir: &Path) {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    if let Ok(metadata) = fs::metadata(dir)
        && is_open(metadata.mode())
    {
        tracing::warn!(
            dir = %dir.display(),
            "every user can replace a socket in this directory: take the write permission from others (chmod o-w), set the \
             sticky bit (chmod +t), or choose another directory"
        );
    }
}

/// Whether a directory with this mode lets every user replace what is in it.
fn is_open(mode: u32) -> bool {
    mode & 0o002 != 0 && mode & 0o1000 == 0
}

/// Removes the file of a socket on which nobody listens any more: what a process that was killed leaves behind.
///
/// Anything else at the path is left alone. Returns whether a file was removed. Never waits for whoever listens there.
pub fn remove_stale_socket(path: &SocketPath) -> bool {
    path.abstract_name().is_none()
        && occupant(path.as_path()).is_ok_and(|occupant| occupant == Occupant::Stale)
        && clear(path.as_path()).is_ok_and(|cleared| cleared)
}

/// Removes the file of a socket that was found stale. Returns false if another has come to its place since.
pub(crate) fn clear(path: &Path) -> io::Result<bool> {
    // Another process that found it stale may listen here by now. What was moved aside nobody else can replace, so that
    // what is looked at is what is removed.
    let aside = path.with_file_name(format!(".{}", random_digits()));
    match fs::rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        moved => moved?,
    }
    match occupant(&aside) {
        Ok(Occupant::Live | Occupant::Other) => fs::rename(&aside, path).map(|()| false),
        // Where the other name is too long for a socket's, the first look has to do.
        Ok(Occupant::Stale | Occupant::Nothing) | Err(_) => fs::remove_file(&aside).map(|()| true),
    }
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
    match connect_at_once(&SocketAddrUnix::new(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Occupant::Stale),
        _ => Ok(Occupant::Live),
    }
}

/// The address by which the system knows a path.
pub(crate) fn address(path: &SocketPath) -> io::Result<SocketAddrUnix> {
    #[cfg(target_os = "linux")]
    if let Some(name) = path.abstract_name() {
        return Ok(SocketAddrUnix::new_abstract_name(name.as_bytes())?);
    }
    Ok(SocketAddrUnix::new(path.as_path())?)
}

/// A connection that is made at once or not at all: to a socket whose backlog is full an ordinary one would wait for as
/// long as it is. It does not block.
pub(crate) fn connect_at_once(address: &SocketAddrUnix) -> io::Result<UnixStream> {
    let socket = unblocking_socket()?;
    rustix::net::connect(&socket, address)?;
    Ok(socket.into())
}

/// Listens at a path or abstract name, open to this user alone.
pub(crate) fn listen_closed(address: &SocketAddrUnix) -> io::Result<UnixListener> {
    let socket = unblocking_socket()?;
    // On Linux the file is made with the mode of the socket, less the umask, so that there is no moment in which others can
    // connect. Elsewhere this fails, and there is one.
    let _ = rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
    rustix::net::bind(&socket, address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn unblocking_socket() -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    let socket = {
        use rustix::net::{SocketFlags, socket_with};
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?
    };
    #[cfg(not(target_os = "linux"))]
    let socket = {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        socket
    };
    Ok(socket)
}

/// Ten digits that nobody else has chosen.
pub(crate) fn random_digits() -> impl fmt::Display {
    use std::hash::{BuildHasher as _, RandomState};
    // Each `RandomState` has other keys; the directory keeps strangers out, so a guessable name would do no harm.
    RandomState::new().hash_one(std::process::id()) % 10_000_000_000
}

/// More than any system grants, which then gives what it has.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use miette::Diagnostic as _;

    use super::*;

    #[test]
    fn what_cannot_be_given_to_a_group_is_an_error() {
        let group = SocketGroup::find("0").expect("a number");
        let error = share_dir(Path::new("/nowhere/at/all"), group).expect_err("it is not there");
        assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::transport::socket_group");
    }

    /// A socket that was bound and whose process died.
    fn stale(path: &Path) {
        drop(UnixListener::bind(path).expect("bound"));
    }

    #[test]
    fn a_socket_with_a_full_backlog_is_live_and_nobody_waits_for_it() {
        let dir = SocketDir::private(None).expect("a directory");
        let path = dir.name("busy").expect("it fits");
        let address = SocketAddrUnix::new(path.as_path()).expect("it fits");
        let socket = unblocking_socket().expect("a socket");
        rustix::net::bind(&socket, &address).expect("bound");
        rustix::net::listen(&socket, 0).expect("listening");
        let waiting: Vec<_> = std::iter::from_fn(|| connect_at_once(&address).ok()).take(1000).collect();
        assert!(waiting.len() < 1000, "there is an end to the backlog");
        assert_eq!(occupant(path.as_path()).expect("readable"), Occupant::Live);
        assert!(!remove_stale_socket(&path) && path.as_path().exists());
    }

    #[test]
    fn a_socket_that_came_to_the_place_of_a_stale_one_is_left_there() {
        let dir = SocketDir::private(None).expect("a directory");
        let path = dir.name("given").expect("it fits").as_path().to_owned();
        let entries = || {
            let entries = fs::read_dir(dir.path()).expect("readable").flatten();
            entries.filter(|entry| entry.file_name() != HOST).count()
        };
        stale(&path);
        assert_eq!((clear(&path).expect("ours"), entries()), (true, 0));
        // Two have found a stale one; one of them has replaced it.
        let listener = UnixListener::bind(&path).expect("bound");
        assert_eq!((clear(&path).expect("ours"), entries()), (false, 1));
        UnixStream::connect(&path).expect("it is where it was");
        drop(listener);
        assert!(clear(&path).expect("ours"));
        assert!(clear(&path).expect("somebody else has done it"));
    }

    #[test]
    fn the_longest_path_can_be_cleared_too() {
        let dir = SocketDir::private(None).expect("a directory");
        let longest = (1..200).rev().find_map(|length| {
            let parent = dir.path().join("x".repeat(length));
            SocketPath::new(parent.join("s")).ok()
        });
        let path = longest.expect("some fit").as_path().to_owned();
        fs::create_dir(path.parent().expect("a directory")).expect("made");
        stale(&path);
        assert_eq!(occupant(&path).expect("readable"), Occupant::Stale);
        assert!(clear(&path).expect("ours") && !path.exists());
    }

    #[test]
    fn a_link_in_the_place_of_a_socket_is_not_followed() {
        let own = SocketGroup(nix::unistd::getegid());
        let dir = SocketDir::private(None).expect("a directory");
        let path = dir.name("given").expect("it fits");
        let precious = dir.path().join("precious");
        fs::write(&precious, "x").expect("written");
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o640)).expect("ours");
        let other = dir.path().join("other");
        let _other = UnixListener::bind(&other).expect("bound");
        fs::set_permissions(&other, fs::Permissions::from_mode(0o640)).expect("ours");
        for group in [None, Some(own)] {
            for (target, hard) in [(&precious, false), (&precious, true), (&other, false), (&other, true)] {
                if hard {
                    fs::hard_link(target, path.as_path()).expect("linked");
                } else {
                    std::os::unix::fs::symlink(target, path.as_path()).expect("linked");
                }
                let error = SocketFile::new(&path, group, None).expect_err("it is another's");
                assert_eq!(error.code().expect("a code").to_string(), "rpcplugin::transport::socket_group");
                let mode = fs::metadata(target).expect("there").permissions().mode() & 0o777;
                assert_eq!(mode, 0o640, "{target:?} {hard}");
                fs::remove_file(path.as_path()).expect("the link is still there");
            }
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_directory_is_not_followed() {
        let own = SocketGroup(nix::unistd::getegid());
        let dir = SocketDir::private(None).expect("a directory");
        let (precious, link) = (dir.path().join("precious"), dir.path().join("link"));
        fs::create_dir(&precious).expect("made");
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o700)).expect("ours");
        std::os::unix::fs::symlink(&precious, &link).expect("linked");
        share_dir(&link, own).expect_err("a link");
        assert_eq!(fs::metadata(&precious).expect("there").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_is_open_where_every_user_may_write_and_no_sticky_bit_protects_the_files() {
        for (mode, open) in
            [(0o700, false), (0o755, false), (0o770, false), (0o1777, false), (0o777, true), (0o40702, true)]
        {
            assert_eq!(is_open(mode), open, "{mode:o}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_is_closed_to_others_from_its_first_moment() {
        let dir = SocketDir::private(None).expect("a directory");
        let path = dir.name("given").expect("it fits");
        let address = SocketAddrUnix::new(path.as_path()).expect("it fits");
        let _listener = listen_closed(&address).expect("bound");
        let mode = fs::metadata(path.as_path()).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777 & !0o600, 0, "{mode:o}");
    }
}
