//! What a sandbox denied.

use std::{fmt, path::PathBuf};

/// What a sandbox denied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// Access to this path.
    Path(PathBuf),
    /// A TCP connection to this port.
    Port(u16),
    /// Something that the plugin's words do not name.
    Unnamed,
    /// A system call of another architecture, which the filter ends with SIGSYS.
    ForeignSystemCall,
    /// Memory.
    Memory,
    /// Processor time.
    CpuTime,
    /// Open files.
    OpenFiles,
    /// Processes or threads.
    Processes,
    /// The size of a file.
    FileSize,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Port(port) => write!(f, "a connection to TCP port {port}"),
            Self::Unnamed => f.write_str("something that it does not name"),
            Self::ForeignSystemCall => f.write_str("a system call of another architecture"),
            Self::Memory => f.write_str("more memory"),
            Self::CpuTime => f.write_str("more processor time"),
            Self::OpenFiles => f.write_str("more open files"),
            Self::Processes => f.write_str("more processes or threads"),
            Self::FileSize => f.write_str("a larger file"),
        }
    }
}

impl Denied {
    /// The method of the sandbox that allows it.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Path(_) => "`Sandbox::read`, `write` or `execute`",
            Self::Port(_) => "`Sandbox::network` with `Network::connect`",
            Self::Unnamed => "a path, the network, the Unix sockets or a group of system calls",
            Self::ForeignSystemCall => "build the plugin for the architecture of this machine",
            Self::Memory => "`Limits::memory`",
            Self::CpuTime => "`Limits::cpu_time`",
            Self::OpenFiles => "`Limits::open_files`",
            Self::Processes => "`Limits::processes`",
            Self::FileSize => "`Limits::file_size`",
        }
    }
}
