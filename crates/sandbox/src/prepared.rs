//! A sandbox that is ready for one launch.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{confinement::Confinement, error::SandboxFault, os, program::Program, sandbox::Sandbox};

/// A sandbox that is ready for one launch.
#[derive(Debug)]
pub struct Prepared(os::Prepared);

/// The control group of one plugin. Dropping it kills all processes in it, and removes it: a wait of 200 ms at most.
#[derive(Debug)]
pub struct ControlGroup(os::ControlGroup);

impl Sandbox {
    /// What this system would enforce of the sandbox, without a launch.
    #[must_use]
    pub fn check(&self) -> Confinement {
        os::check(self)
    }

    /// Prepares the launch of a program whose socket directory exists. Makes the [temporary directory](Prepared::temporary_dir) in it.
    ///
    /// # Errors
    /// [`SandboxFault`] if this system cannot enforce the sandbox fully and the sandbox asks for that, or if a path cannot be opened.
    pub fn prepare(&self, program: &Program, socket_dir: &Path) -> Result<Prepared, SandboxFault> {
        let prepared = os::Prepared::new(self, program, socket_dir)?;
        let dir = Prepared::temporary_dir(socket_dir);
        match os::make_private_dir(&dir) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(SandboxFault::Path { path: dir, source })
            }
            _ => Ok(Prepared(prepared)),
        }
    }
}

impl ControlGroup {
    /// Whether the kernel has killed processes of the plugin, because it used more memory than its limit.
    #[must_use]
    pub fn ran_out_of_memory(&self) -> bool {
        self.0.ran_out_of_memory()
    }

    /// Lets the processes run on. The group stays until a host that makes another group beside it finds it empty.
    pub fn leave(self) {
        self.0.leave();
    }
}

impl Prepared {
    /// The private temporary directory of a plugin, in its socket directory. The variable `TMPDIR` has to name it.
    #[must_use]
    pub fn temporary_dir(socket_dir: &Path) -> PathBuf {
        socket_dir.join("tmp")
    }

    /// What is enforced on what [`spawn`](Self::spawn) starts.
    #[must_use]
    pub fn confinement(&self) -> &Confinement {
        self.0.confinement()
    }

    /// Calls `spawn` on a thread that is confined, and waits for it. What `spawn` starts inherits the confinement. The thread ends
    /// with the call. The inner result is that of `spawn`.
    ///
    /// # Errors
    /// [`SandboxFault::Failed`] if the kernel refuses a layer. `spawn` has not been called then.
    ///
    /// # Panics
    /// If `spawn` panics.
    pub fn spawn<T: Send>(
        &self,
        spawn: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<io::Result<T>, SandboxFault> {
        self.0.spawn(spawn)
    }

    /// Sets the resource limits of a process that [`spawn`](Self::spawn) has just started.
    ///
    /// # Errors
    /// [`SandboxFault::Failed`] if the kernel refuses a limit. The caller has to end the process then.
    pub fn limit(&self, pid: u32) -> Result<(), SandboxFault> {
        self.0.limit(pid)
    }

    /// Takes the control group of the process over, if the sandbox has limits of the plugin as a whole. Otherwise the group ends with
    /// this value.
    pub fn take_control_group(&mut self) -> Option<ControlGroup> {
        self.0.take_control_group().map(ControlGroup)
    }
}
