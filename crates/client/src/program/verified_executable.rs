//! The file to execute: found, and verified against a checksum where one is given.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use super::{checksum::Checksum, lookup::find};
use crate::{error::ProgramFault, os};

/// A program's file, ready to be executed.
#[derive(Debug)]
pub(crate) struct Executable {
    path: PathBuf,
    /// The file that was verified. It stays open until it is executed.
    _verified: Option<File>,
}

/// Exists for as long as a caller waits for the digest.
#[derive(Debug, Default)]
struct Wanted(Arc<()>);

/// A file whose reads fail once no caller waits any more. A blocking task cannot be cancelled and would delay the end
/// of its runtime.
struct WhileWanted {
    file: File,
    wanted: Weak<()>,
}

impl Executable {
    /// Finds the program, and verifies its file if a checksum is given.
    pub(crate) async fn find(program: &Path, checksum: Option<Checksum>) -> Result<Self, ProgramFault> {
        let path = find(program);
        let Some(checksum) = checksum else { return Ok(Self { path, _verified: None }) };
        let program = program.to_owned();
        let file = open_regular(&path, &program)?;
        let unreadable = |source| ProgramFault::ChecksumUnreadable { program: program.clone(), source };
        let expected = checksum.to_string();
        let wanted = Wanted::default();
        let mut file = WhileWanted { file, wanted: Arc::downgrade(&wanted.0) };
        let (checked, mut file) = tokio::task::spawn_blocking(move || (checksum.check(&mut file), file.file))
            .await
            .map_err(|_| unreadable(io::Error::other("the runtime is shutting down")))?;
        drop(wanted);
        match checked {
            Ok(Ok(())) => {
                let path = os::executable_file(path, &mut file)
                    .map_err(|source| ProgramFault::Spawn { program: program.clone(), source })?;
                Ok(Self { path, _verified: Some(file) })
            }
            Ok(Err(found)) => Err(ProgramFault::Checksum { program, expected, found }),
            Err(source) => Err(unreadable(source)),
        }
    }

    /// The path to execute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Read for WhileWanted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.wanted.strong_count() == 0 {
            return Err(io::Error::other("the launch was given up"));
        }
        self.file.read(buffer)
    }
}

/// Opens the file at `path`, which has to be a regular one.
fn open_regular(path: &Path, program: &Path) -> Result<File, ProgramFault> {
    let program = program.to_owned();
    let file = match os::open_without_waiting(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ProgramFault::NotFound { program });
        }
        Err(source) => return Err(ProgramFault::ChecksumUnreadable { program, source }),
    };
    match file.metadata() {
        Ok(kind) if kind.is_file() => Ok(file),
        Ok(kind) if kind.is_dir() => Err(ProgramFault::IsDirectory { program }),
        Ok(_) => Err(ProgramFault::NotAFile { program }),
        Err(source) => Err(ProgramFault::ChecksumUnreadable { program, source }),
    }
}
