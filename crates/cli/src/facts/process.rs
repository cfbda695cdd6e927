//! What the operating system reports about a plugin's process and its socket.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rpcplugin::host::{Pid, ProgramFile};
use serde::Serialize;

use crate::os::{self, Access};

/// A process.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessFacts {
    pub(crate) pid: u32,
    /// The executed file. For a script this is its interpreter.
    pub(crate) executable: Option<PathBuf>,
    /// The processor architecture of the executed file.
    pub(crate) architecture: Option<&'static str>,
}

/// A socket file or its directory.
#[derive(Debug, Serialize)]
pub(crate) struct FileFacts {
    pub(crate) path: PathBuf,
    /// The permissions in octal digits, such as `0600`.
    pub(crate) mode: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether the file belongs to the user who runs this program.
    pub(crate) yours: bool,
}

impl ProcessFacts {
    /// Inspects a process. `program` is the path from which the process was started.
    pub(crate) fn of(pid: Pid, program: Option<&Path>) -> Self {
        let running = os::executable(pid);
        let link = running.as_ref().and_then(|running| named_by(running));
        let executable = link.or_else(|| program.and_then(|program| program.canonicalize().ok()));
        let mut files = running.into_iter().chain(executable.clone());
        let architecture = files.find_map(|file| architecture(&file));
        Self { pid: pid.get(), executable, architecture }
    }
}

impl FileFacts {
    /// Inspects a file. Returns `None` if there is no such file, and on a system without permission bits.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok()?;
        let access = Access::of(&metadata)?;
        Some(Self {
            path: path.to_owned(),
            mode: format!("{:04o}", access.mode),
            uid: access.uid,
            gid: access.gid,
            yours: access.is_own(),
        })
    }
}

/// Returns the file to which a path leads: the target of a link, or the path of a file.
fn named_by(path: &Path) -> Option<PathBuf> {
    fs::read_link(path).ok().or_else(|| path.is_file().then(|| path.to_owned()))
}

/// Returns the architecture in the header of an ELF, Mach-O or PE file.
fn architecture(file: &Path) -> Option<&'static str> {
    Some(match ProgramFile::of(file).ok()?.architecture()? {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        known @ ("x86" | "arm" | "riscv64") => known,
        _ => "unknown",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspects_its_own_process() {
        let facts = ProcessFacts::of(Pid::current(), None);
        if cfg!(target_arch = "x86_64") && cfg!(target_os = "linux") {
            assert_eq!(facts.architecture, Some("x86-64"), "{facts:?}");
        }
        if let Some(root) = FileFacts::of(Path::new("/")) {
            assert!(root.mode.starts_with('0'), "{root:?}");
        }
    }
}
