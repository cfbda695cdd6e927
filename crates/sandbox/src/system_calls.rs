//! Groups of system calls that a confined plugin may not make, unless a group is allowed.

use std::fmt;

/// A group of system calls that fails with EPERM in a confined plugin, unless [`Sandbox::allow`](crate::Sandbox::allow) allows it.
///
/// Other calls that no plugin needs are refused without such an exception: kernel modules, mounts, `bpf`, `perf_event_open`,
/// `userfaultfd`, key rings, `kexec_load`, `reboot`, clocks, quotas, and access to other processes (`process_vm_readv`, `pidfd_getfd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SystemCalls {
    /// `io_uring_setup` and its relatives. What a process does by io_uring is not seen by the filter of system calls: with this group
    /// the layers `udp` and `unix_sockets` cannot be enforced, unless they allow everything.
    IoUring,
    /// Changes of mode, owner, times and extended attributes by path. Landlock does not restrict these, so that a plugin could change
    /// every file of its user. Changes by an open descriptor are always allowed.
    FileMetadata,
    /// `ptrace`, for a plugin that debugs processes of its own.
    Debugging,
    /// New namespaces, for a plugin that has a sandbox of its own. Landlock still refuses mounts.
    Namespaces,
}

impl SystemCalls {
    /// All groups.
    pub const ALL: &'static [Self] = &[Self::IoUring, Self::FileMetadata, Self::Debugging, Self::Namespaces];

    /// The name of the group: `io_uring`, `file_metadata`, `debugging` or `namespaces`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IoUring => "io_uring",
            Self::FileMetadata => "file_metadata",
            Self::Debugging => "debugging",
            Self::Namespaces => "namespaces",
        }
    }
}

impl fmt::Display for SystemCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
