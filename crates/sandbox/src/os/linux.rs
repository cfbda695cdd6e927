//! Linux: a thread confines itself with Landlock and seccomp, and starts the plugin, which inherits both.

mod control_group;
mod descriptors;
mod filesystem;
mod filter;
mod limits;
mod support;

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc, thread};

use seccompiler::BpfProgram;

pub(crate) use self::control_group::ControlGroup;
use self::{filesystem::PathRules, limits::ProcessLimits, support::Support};
use crate::{
    confinement::{Confinement, Layer, LayerState},
    error::SandboxFault,
    network::UnixSockets,
    program::Program,
    sandbox::Sandbox,
    system_calls::SystemCalls,
};

/// A sandbox that is ready for one launch.
#[derive(Debug)]
pub(crate) struct Prepared {
    confinement: Confinement,
    rules: Option<PathRules>,
    filter: Option<Arc<BpfProgram>>,
    limits: ProcessLimits,
    control_group: Option<ControlGroup>,
    /// Descriptors that the plugin has to inherit.
    inherited: Vec<i32>,
}

/// What this kernel enforces of the sandbox.
pub(crate) fn check(sandbox: &Sandbox) -> Confinement {
    // A group is made, and removed again.
    confinement(sandbox, Support::of(sandbox), &ControlGroup::of(sandbox))
}

/// Makes a directory that only this user can enter.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)
}

impl Prepared {
    /// Prepares the start of a program whose socket directory exists. Everything that the confined thread could not open any more
    /// is opened here.
    pub(crate) fn new(sandbox: &Sandbox, program: &Program, socket_dir: &Path) -> Result<Self, SandboxFault> {
        let support = Support::of(sandbox);
        let control_group = ControlGroup::of(sandbox);
        let confinement = confinement(sandbox, support, &control_group);
        sandbox.require(&confinement)?;
        let rules = match support.landlock {
            0 => None,
            abi => Some(PathRules::new(sandbox, program, socket_dir, abi)?),
        };
        let filter = support.seccomp.then(|| filter::of(sandbox, refuses_connect(sandbox, support)));
        Ok(Self {
            confinement,
            rules,
            filter: filter.transpose().map_err(failed(Layer::SystemCalls))?,
            limits: ProcessLimits::new(&sandbox.limits),
            control_group: control_group.ok().flatten(),
            inherited: program.inherited_descriptors().collect(),
        })
    }

    pub(crate) fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// Calls `spawn` on a confined thread, and waits for it: a few hundred microseconds.
    pub(crate) fn spawn<T: Send>(
        &self,
        spawn: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<io::Result<T>, SandboxFault> {
        let confined = || self.confine().map(|()| spawn());
        thread::scope(|scope| {
            let thread = thread::Builder::new().name("rpcplugin-sandbox".to_owned()).stack_size(STACK);
            let started = thread.spawn_scoped(scope, confined);
            match started {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(error) => Ok(Err(error)),
            }
        })
    }

    /// Confines the calling thread, until it ends, and what it starts.
    fn confine(&self) -> Result<(), SandboxFault> {
        descriptors::close_on_exec(&self.inherited).map_err(failed(Layer::Descriptors))?;
        rustix::thread::set_no_new_privs(true).map_err(|error| failed(Layer::SystemCalls)(error.into()))?;
        if let Some(rules) = &self.rules {
            rules.restrict_this_thread().map_err(failed(Layer::Filesystem))?;
        }
        if let Some(filter) = &self.filter {
            seccompiler::apply_filter(filter)
                .map_err(|error| failed(Layer::SystemCalls)(io::Error::other(error)))?;
        }
        Ok(())
    }

    /// Sets the limits of a process that has just been started.
    pub(crate) fn limit(&self, pid: u32) -> Result<(), SandboxFault> {
        if let Some(group) = &self.control_group {
            group.add(pid).map_err(failed(Layer::TotalMemory))?;
        }
        self.limits.apply(pid)
    }

    pub(crate) fn take_control_group(&mut self) -> Option<ControlGroup> {
        self.control_group.take()
    }
}

/// What holds of each layer.
fn confinement(
    sandbox: &Sandbox,
    support: Support,
    control_group: &Result<Option<ControlGroup>, String>,
) -> Confinement {
    use LayerState::{Enforced, Unrestricted};
    let Support { landlock, seccomp } = support;
    let (network, limits) = (&sandbox.network, &sandbox.limits);
    let by_landlock = |abi: u32, linux: &str| {
        if landlock >= abi { Enforced } else { LayerState::unavailable(lacks_landlock(abi, linux, landlock)) }
    };
    let by_seccomp = || if seccomp { Enforced } else { LayerState::unavailable(NO_SECCOMP) };
    let by_rlimit = |is_set: bool| if is_set { Enforced } else { Unrestricted };
    let by_group = |is_set: bool| match control_group {
        _ if !is_set => Unrestricted,
        Ok(_) => Enforced,
        Err(why) => LayerState::unavailable(why.as_str()),
    };
    // The filter does not see what a process does by io_uring.
    let sees_sockets = || match by_seccomp() {
        Enforced if sandbox.system_calls.contains(&SystemCalls::IoUring) => {
            LayerState::unavailable("io_uring is allowed, by which sockets are made without a system call")
        }
        state => state,
    };
    Confinement::new(|layer| match layer {
        Layer::Filesystem => by_landlock(3, "6.2"),
        Layer::Tcp if network.is_all_tcp() => Unrestricted,
        Layer::Tcp if network.allows_tcp() => match by_landlock(4, "6.7") {
            Enforced => sees_sockets(),
            state => state,
        },
        Layer::Tcp => sees_sockets(),
        Layer::Udp if network.allows_udp() => Unrestricted,
        Layer::Udp => sees_sockets(),
        Layer::Signals => by_landlock(6, "6.12"),
        Layer::AbstractSockets if refuses_connect(sandbox, support) => sees_sockets(),
        Layer::AbstractSockets => by_landlock(6, "6.12"),
        Layer::UnixSockets if sandbox.unix_sockets == UnixSockets::Any => Unrestricted,
        Layer::UnixSockets if refuses_connect(sandbox, support) => sees_sockets(),
        Layer::UnixSockets => match by_landlock(9, "7.1") {
            LayerState::Unavailable(why) => LayerState::unavailable(format!(
                "{why}; a plugin without TCP and UDP can be confined there, and `UnixSockets::Any` allows all"
            )),
            state => state,
        },
        Layer::SystemCalls => by_seccomp(),
        Layer::Descriptors | Layer::Environment | Layer::CoreSize => Enforced,
        Layer::Memory if limits.memory.is_some() => by_seccomp(),
        Layer::Memory => Unrestricted,
        Layer::OpenFiles => by_rlimit(limits.open_files.is_some()),
        Layer::Processes if limits.processes.is_some() && rustix::process::getuid().is_root() => {
            LayerState::unavailable("the kernel does not limit the processes of root")
        }
        Layer::Processes => by_rlimit(limits.processes.is_some()),
        Layer::TotalMemory => by_group(limits.total_memory.is_some()),
        Layer::TotalProcesses => by_group(limits.total_processes.is_some()),
        Layer::CpuTime => by_rlimit(limits.cpu_time.is_some()),
        Layer::FileSize => by_rlimit(limits.file_size.is_some()),
    })
}

/// Whether the filter refuses `connect`, because this kernel cannot restrict it to a directory. Only for plugins that need it for
/// nothing else.
fn refuses_connect(sandbox: &Sandbox, support: Support) -> bool {
    let network = &sandbox.network;
    sandbox.unix_sockets == UnixSockets::Directory
        && support.landlock < filesystem::RESOLVES_UNIX
        && network.connect.is_empty()
        && !network.allows_udp()
}

fn lacks_landlock(needed: u32, linux: &str, found: u32) -> String {
    match found {
        0 => format!(
            "needs Landlock ABI {needed}, Linux {linux}: this kernel has no Landlock, or does not enable it"
        ),
        _ => format!("needs Landlock ABI {needed}, Linux {linux}: this kernel has ABI {found}"),
    }
}

fn failed(layer: Layer) -> impl FnOnce(io::Error) -> SandboxFault {
    move |source| SandboxFault::Failed { layer, source }
}

/// The stack of the confined thread, in bytes. A large one takes time to map and to remove.
const STACK: usize = 256 << 10;
const NO_SECCOMP: &str = "needs filters of system calls (seccomp), on x86-64, ARM64 or RISC-V of 64 bits";
