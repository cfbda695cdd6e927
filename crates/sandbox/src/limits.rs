//! Resource limits of a confined plugin.

use std::time::Duration;

/// Resource limits of a confined plugin. No limit by default, except that no core file is written.
///
/// The kernel counts for each process: a plugin that starts processes gets each limit once for each of them. A limit above that of
/// the host has the value of the host. The limits with `total` in their name are of the plugin as a whole, with all processes that it
/// starts. They need a control group.
///
/// The limits are set right after the start of the process, before it has printed anything. A process that the plugin starts within
/// that moment of some microseconds can miss them.
///
/// ```
/// use std::time::Duration;
/// use rpcplugin_sandbox::Limits;
///
/// let limits = Limits::new().memory(256 << 20).open_files(256).cpu_time(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// The memory of each process that it can write and shares with no other, in bytes.
    pub memory: Option<u64>,
    /// The open files of each process.
    pub open_files: Option<u64>,
    /// The processes and threads that are started.
    pub processes: Option<u64>,
    /// The processor time of each process.
    pub cpu_time: Option<Duration>,
    /// The size of a file that is written, in bytes.
    pub file_size: Option<u64>,
    /// The size of a core file, in bytes.
    pub core_size: u64,
    /// The memory of the plugin and of all processes that it starts, in bytes.
    pub total_memory: Option<u64>,
    /// The processes and threads of the plugin and of all processes that it starts.
    pub total_processes: Option<u64>,
}

impl Limits {
    /// No limits, except that no core file is written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the private memory of each process, in bytes: heap, writable mappings and stacks of threads. Address space that is only reserved
    /// does not count, so that Go programs work with it. Memory that several processes can share does not count either, so that
    /// this limit refuses anonymous shared memory (`mmap`, `memfd_create`, `shmget`).
    ///
    /// An allocation beyond the limit fails, and most programs end then: a fault [of memory](crate::Denied::Memory).
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Limits the open files of each process. Further ones fail with EMFILE.
    #[must_use]
    pub fn open_files(mut self, files: u64) -> Self {
        self.open_files = Some(files);
        self
    }

    /// Limits the processes and threads: the plugin's user may have this many more than at the launch. The kernel counts all
    /// of the user, so that other programs of the user take part. It does not count for root: the limit is not available there.
    #[must_use]
    pub fn processes(mut self, processes: u64) -> Self {
        self.processes = Some(processes);
        self
    }

    /// Limits the processor time of each process, rounded up to seconds. SIGXCPU ends a process at the limit, and SIGKILL a second later.
    #[must_use]
    pub fn cpu_time(mut self, time: Duration) -> Self {
        self.cpu_time = Some(time);
        self
    }

    /// Limits the size of each file that is written, in bytes. SIGXFSZ ends a process that writes more. The number of files has no limit.
    #[must_use]
    pub fn file_size(mut self, bytes: u64) -> Self {
        self.file_size = Some(bytes);
        self
    }

    /// Limits the memory of the plugin with all processes that it starts, in bytes. Files in the cache of the kernel and shared memory
    /// count too, and there is no swap beyond it. The kernel kills the plugin with all its processes at the limit: the exit has the cause
    /// `OutOfMemory`.
    ///
    /// Needs a control group: see [`Sandbox::control_group`](crate::Sandbox::control_group).
    #[must_use]
    pub fn total_memory(mut self, bytes: u64) -> Self {
        self.total_memory = Some(bytes);
        self
    }

    /// Limits the processes and threads of the plugin with all processes that it starts, itself included. Further ones fail with
    /// EAGAIN. Holds for root too.
    ///
    /// Needs a control group: see [`Sandbox::control_group`](crate::Sandbox::control_group).
    #[must_use]
    pub fn total_processes(mut self, processes: u64) -> Self {
        self.total_processes = Some(processes);
        self
    }

    /// Allows core files up to this size, in bytes. A core file has the plugin's memory in it.
    #[must_use]
    pub fn core_size(mut self, bytes: u64) -> Self {
        self.core_size = bytes;
        self
    }
}
