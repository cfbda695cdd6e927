//! The file that is executed: found, and verified if that is asked for.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{child::find, command::Command, error::LaunchFault};

/// A program's file, ready to be executed.
#[derive(Debug)]
pub(crate) struct Image {
    path: PathBuf,
    /// The file that was verified. It stays open until it is executed.
    _verified: Option<File>,
}

impl Image {
    /// Finds the program, and verifies its checksum if it has to have one.
    pub(crate) async fn load(command: &Command) -> Result<Self, LaunchFault> {
        let path = find(&command.program);
        let Some(checksum) = command.checksum.clone() else { return Ok(Self { path, _verified: None }) };
        let opened = File::open(&path);
        let mut file = opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => LaunchFault::NotFound { program: command.program.clone() },
            _ => LaunchFault::ChecksumUnread { program: command.program.clone(), source },
        })?;
        let expected = checksum.to_string();
        let (checked, file) = tokio::task::spawn_blocking(move || (checksum.check(&mut file), file))
            .await
            .map_err(|_| LaunchFault::ChecksumUnread {
                program: command.program.clone(),
                source: io::Error::other("the runtime is shutting down"),
            })?;
        match checked {
            Ok(Ok(())) => {
                Self::of_open_file(path, file).map_err(|source| LaunchFault::spawn(command, source))
            }
            Ok(Err(found)) => {
                Err(LaunchFault::Checksum { program: command.program.clone(), expected, found })
            }
            Err(source) => Err(LaunchFault::ChecksumUnread { program: command.program.clone(), source }),
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
