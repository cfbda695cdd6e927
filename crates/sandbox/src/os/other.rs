//! Systems without a sandbox.

use std::{io, path::Path};

use crate::{
    confinement::{Confinement, Layer, LayerState},
    error::SandboxFault,
    program::Program,
    sandbox::{Enforce, Sandbox},
};

/// A launch without a sandbox.
#[derive(Debug)]
pub(crate) struct Prepared {
    confinement: Confinement,
}

/// There are no control groups.
#[derive(Debug)]
pub(crate) enum ControlGroup {}

impl ControlGroup {
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        match *self {}
    }

    pub(crate) fn leave(self) {
        match self {}
    }
}

/// Nothing is enforced here but the environment, which the host makes.
pub(crate) fn check(sandbox: &Sandbox) -> Confinement {
    let limits = &sandbox.limits;
    let network = &sandbox.network;
    Confinement::new(|layer| {
        let is_unrestricted = match layer {
            Layer::Environment => return LayerState::Enforced,
            Layer::Tcp => network.is_all_tcp(),
            Layer::Udp => network.allows_udp(),
            Layer::UnixSockets => sandbox.unix_sockets == crate::UnixSockets::Any,
            Layer::Memory => limits.memory.is_none(),
            Layer::OpenFiles => limits.open_files.is_none(),
            Layer::Processes => limits.processes.is_none(),
            Layer::CpuTime => limits.cpu_time.is_none(),
            Layer::FileSize => limits.file_size.is_none(),
            Layer::TotalMemory => limits.total_memory.is_none(),
            Layer::TotalProcesses => limits.total_processes.is_none(),
            _ => false,
        };
        if is_unrestricted { LayerState::Unrestricted } else { LayerState::unavailable("needs Linux") }
    })
}

/// Makes a directory.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::create_dir(dir)
}

impl Prepared {
    pub(crate) fn new(sandbox: &Sandbox, _: &Program, _: &Path) -> Result<Self, SandboxFault> {
        match sandbox.enforce {
            Enforce::Fully => Err(SandboxFault::Unsupported {
                place: "this operating system",
                what: "a sandbox".to_owned(),
            }),
            Enforce::BestEffort => Ok(Self { confinement: check(sandbox) }),
        }
    }

    pub(crate) fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    pub(crate) fn spawn<T: Send>(
        &self,
        spawn: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<io::Result<T>, SandboxFault> {
        Ok(spawn())
    }

    pub(crate) fn limit(&self, _: u32) -> Result<(), SandboxFault> {
        Ok(())
    }

    pub(crate) fn take_control_group(&mut self) -> Option<ControlGroup> {
        None
    }
}
