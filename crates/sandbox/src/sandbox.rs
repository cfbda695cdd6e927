//! What a confined plugin may do.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    confinement::Confinement,
    error::SandboxFault,
    limits::Limits,
    network::{Network, UnixSockets},
    system_calls::SystemCalls,
};

/// What a plugin may do. Everything else is refused by the kernel, for the plugin and for all processes that it starts.
///
/// A plugin may always read and execute its own program, and read its dynamic loader and the system's library directories or its
/// interpreter. It may make files and sockets in its socket directory, in which it also has a private temporary directory
/// (`TMPDIR`). It inherits no variables but those of the handshake, no descriptors and no standard input of the host. It cannot
/// signal processes outside of the sandbox, gains no rights from setuid programs, and cannot make the
/// [system calls](SystemCalls) that plugins do not need.
///
/// ```
/// use rpcplugin_sandbox::{Limits, Network, Sandbox};
///
/// let sandbox = Sandbox::new()
///     .read("/srv/data")
///     .write("/var/cache/kv")
///     .network(Network::none().connect([443]).udp())
///     .limits(Limits::new().memory(256 << 20).open_files(256))
///     .environment(["LANG"]);
/// ```
///
/// The sandbox works on Linux with Landlock and seccomp. On other systems [`Enforce::Fully`] refuses the launch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sandbox {
    pub(crate) read: BTreeSet<PathBuf>,
    pub(crate) write: BTreeSet<PathBuf>,
    pub(crate) execute: BTreeSet<PathBuf>,
    pub(crate) network: Network,
    pub(crate) unix_sockets: UnixSockets,
    pub(crate) system_calls: BTreeSet<SystemCalls>,
    pub(crate) environment: BTreeSet<String>,
    pub(crate) limits: Limits,
    pub(crate) control_group: Option<PathBuf>,
    pub(crate) enforce: Enforce,
    /// The highest ABI of Landlock that is used, for tests.
    pub(crate) landlock_abi: Option<u32>,
}

/// What happens on a system that cannot enforce the whole sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Enforce {
    /// The launch fails, and the error names what is missing. The default.
    #[default]
    Fully,
    /// The plugin starts with the layers that the system has. The [`Confinement`](crate::Confinement) reports those that are missing.
    BestEffort,
}

impl Sandbox {
    /// A sandbox that allows nothing but what every plugin needs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows reading a file, or a directory with everything below it. The path has to exist at the launch.
    #[must_use]
    pub fn read(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.insert(path.into());
        self
    }

    /// Allows reading and writing a file, or a directory with everything below it. The path has to exist at the launch. Files there
    /// cannot be executed, and devices cannot be made.
    #[must_use]
    pub fn write(mut self, path: impl Into<PathBuf>) -> Self {
        self.write.insert(path.into());
        self
    }

    /// Allows reading and executing a file, or a directory with everything below it. The path has to exist at the launch. A program
    /// runs in the same sandbox as the plugin, and with its limits.
    #[must_use]
    pub fn execute(mut self, path: impl Into<PathBuf>) -> Self {
        self.execute.insert(path.into());
        self
    }

    /// Allows a network. A plugin with a network may also read the files that name resolution and TLS need, such as
    /// `/etc/resolv.conf` and `/etc/ssl/certs`.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Chooses the Unix sockets that the plugin may connect to.
    #[must_use]
    pub fn unix_sockets(mut self, sockets: UnixSockets) -> Self {
        self.unix_sockets = sockets;
        self
    }

    /// Allows a group of system calls.
    #[must_use]
    pub fn allow(mut self, calls: SystemCalls) -> Self {
        self.system_calls.insert(calls);
        self
    }

    /// Passes these variables of the host's environment on to the plugin. Replaces the policy of the command and of the host.
    #[must_use]
    pub fn environment<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.environment.extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets the resource limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Names the control group of version 2 in which the group of the plugin is made, such as `/sys/fs/cgroup/plugins`. Only for limits
    /// [of the plugin as a whole](Limits::total_memory).
    ///
    /// By default the group of the host, or the one above, if systemd has delegated it (`Delegate=yes`), and the top of the groups that
    /// the host sees, as in a container. The host needs the right to make groups there and to move processes from its own group. The
    /// group must have no processes of its own, unless it is the top: `DelegateSubgroup=` of systemd starts the host in a group beneath.
    ///
    /// The group of a plugin is removed when the plugin has exited, and all processes in it are killed then.
    #[must_use]
    pub fn control_group(mut self, group: impl Into<PathBuf>) -> Self {
        self.control_group = Some(group.into());
        self
    }

    /// Chooses what happens on a system that cannot enforce the whole sandbox.
    #[must_use]
    pub fn enforce(mut self, enforce: Enforce) -> Self {
        self.enforce = enforce;
        self
    }

    /// The paths that may be read, beside those that every plugin needs.
    pub fn read_paths(&self) -> impl Iterator<Item = &Path> {
        self.read.iter().map(PathBuf::as_path)
    }

    /// The paths that may be written.
    pub fn write_paths(&self) -> impl Iterator<Item = &Path> {
        self.write.iter().map(PathBuf::as_path)
    }

    /// The paths that may be executed, beside the plugin's program.
    pub fn execute_paths(&self) -> impl Iterator<Item = &Path> {
        self.execute.iter().map(PathBuf::as_path)
    }

    /// The variables that are passed on.
    pub fn environment_names(&self) -> impl Iterator<Item = &str> {
        self.environment.iter().map(String::as_str)
    }

    /// The network that is allowed.
    #[must_use]
    pub fn network_allowed(&self) -> &Network {
        &self.network
    }

    /// The Unix sockets that the plugin may connect to.
    #[must_use]
    pub fn unix_sockets_allowed(&self) -> UnixSockets {
        self.unix_sockets
    }

    /// The groups of system calls that are allowed.
    pub fn system_calls_allowed(&self) -> impl Iterator<Item = SystemCalls> {
        self.system_calls.iter().copied()
    }

    /// The resource limits.
    #[must_use]
    pub fn resource_limits(&self) -> &Limits {
        &self.limits
    }

    /// What happens on a system that cannot enforce the whole sandbox.
    #[must_use]
    pub fn enforcement(&self) -> Enforce {
        self.enforce
    }

    /// Refuses what would be enforced, if the sandbox asks for more and has [`Enforce::Fully`].
    ///
    /// # Errors
    /// [`SandboxFault::Unavailable`] with each layer that is missing.
    pub fn require(&self, confinement: &Confinement) -> Result<(), SandboxFault> {
        if self.enforce != Enforce::Fully || confinement.is_full() {
            return Ok(());
        }
        let missing = confinement.missing().map(|(layer, why)| (layer, why.to_owned()));
        Err(SandboxFault::Unavailable(missing.collect()))
    }

    /// What the sandbox allows beyond the default, one line for each, sorted: `connect tcp 443`, `read /srv/data`,
    /// `unix_sockets any`. Two sandboxes that allow the same have the same lines. Limits are not among them.
    #[must_use]
    pub fn capabilities(&self) -> Vec<String> {
        let paths = |what: &str, paths: &BTreeSet<PathBuf>| {
            paths.iter().map(|path| format!("{what} {}", path.display())).collect::<Vec<_>>()
        };
        let mut lines = paths("read", &self.read);
        lines.extend(paths("write", &self.write));
        lines.extend(paths("execute", &self.execute));
        lines.extend(self.environment.iter().map(|name| format!("environment {name}")));
        lines.extend(self.system_calls.iter().map(|calls| format!("system_calls {calls}")));
        lines.extend(self.network.capabilities());
        lines.extend((self.unix_sockets == UnixSockets::Any).then(|| "unix_sockets any".to_owned()));
        lines.sort();
        lines
    }

    /// Pretends that the kernel has at most this ABI of Landlock. For tests of what older kernels do.
    #[doc(hidden)]
    #[must_use]
    pub fn landlock_abi_at_most(mut self, abi: u32) -> Self {
        self.landlock_abi = Some(abi);
        self
    }
}
