//! The file that is executed: found, and verified if that is asked for.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use rustix::fs::OFlags;

use crate::{child::find, command::Command, error::LaunchFault};

/// A program's file, ready to be executed.
#[derive(Debug)]
pub(crate) struct Image {
    path: PathBuf,
    /// The file that was verified. It stays open until it is executed.
    _verified: Option<File>,
}

/// As long as this is there, somebody waits for what is read.
#[derive(Debug, Default)]
struct Wanted(Arc<()>);

/// A file that ends with an error when nobody waits for it any more. A blocking task cannot be cancelled, and holds up the
/// end of its runtime.
struct WhileWanted {
    file: File,
    wanted: Weak<()>,
}

impl Image {
    /// Finds the program, and verifies its checksum if it has to have one.
    pub(crate) async fn load(command: &Command) -> Result<Self, LaunchFault> {
        let path = find(&command.program);
        let Some(checksum) = command.checksum.clone() else { return Ok(Self { path, _verified: None }) };
        let unread = |source| LaunchFault::ChecksumUnread { program: command.program.clone(), source };
        let file = open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => LaunchFault::NotFound { program: command.program.clone() },
            _ => unread(source),
        })?;
        let kind = file.metadata().map_err(unread)?;
        if kind.is_dir() {
            return Err(LaunchFault::IsDirectory { program: command.program.clone() });
        }
        if !kind.is_file() {
            return Err(LaunchFault::NotAFile { program: command.program.clone() });
        }
        let expected = checksum.to_string();
        let wanted = Wanted::default();
        let mut file = WhileWanted { file, wanted: Arc::downgrade(&wanted.0) };
        let (checked, file) = tokio::task::spawn_blocking(move || (checksum.check(&mut file), file.file))
            .await
            .map_err(|_| unread(io::Error::other("the runtime is shutting down")))?;
        drop(wanted);
        match checked {
            Ok(Ok(())) => {
                Self::of_open_file(path, file).map_err(|source| LaunchFault::spawn(command, source))
            }
            Ok(Err(found)) => {
                Err(LaunchFault::Checksum { program: command.program.clone(), expected, found })
            }
            Err(source) => Err(unread(source)),
        }
    }

    /// What to execute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// On Linux the open file itself is executed: what is put at the path meanwhile does not matter.
    #[cfg(target_os = "linux")]
    fn of_open_file(_: PathBuf, mut file: File) -> io::Result<Self> {
        use std::{
            io::{Seek as _, SeekFrom},
            os::fd::AsRawFd as _,
        };

        use rustix::io::{FdFlags, fcntl_setfd};

        let mut start = [0; 2];
        file.seek(SeekFrom::Start(0))?;
        if file.read(&mut start)? == 2 && start == *b"#!" {
            // A script's interpreter opens the file by its descriptor, and must therefore inherit it.
            fcntl_setfd(&file, FdFlags::empty())?;
        }
        Ok(Self { path: format!("/proc/self/fd/{}", file.as_raw_fd()).into(), _verified: Some(file) })
    }

    #[cfg(not(target_os = "linux"))]
    fn of_open_file(path: PathBuf, file: File) -> io::Result<Self> {
        Ok(Self { path, _verified: Some(file) })
    }
}

impl Read for WhileWanted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.wanted.strong_count() == 0 {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        self.file.read(buffer)
    }
}

/// Opens what may be a regular file, and does not wait for anybody should it be a pipe.
fn open(path: &Path) -> io::Result<File> {
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(without_waiting).open(path)
}
