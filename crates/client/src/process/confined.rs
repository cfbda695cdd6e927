//! The start of a process, in its sandbox if the command has one.

use std::{io, path::Path};

use tokio::process::Child;

use super::runner::LaunchEnvironment;
use crate::{command::Command, error::LaunchFault, os};

/// The sandbox of one launch, if the command has one.
#[cfg_attr(not(feature = "sandbox"), derive(Default))]
pub(super) struct Confined {
    #[cfg(feature = "sandbox")]
    prepared: Option<rpcplugin_sandbox::Prepared>,
}

#[cfg(not(feature = "sandbox"))]
impl Confined {
    pub(super) fn prepare(_: &Command, _: &Path, _: &LaunchEnvironment) -> Result<Self, LaunchFault> {
        Ok(Self::default())
    }

    pub(super) fn spawn(
        &self,
        command: &mut tokio::process::Command,
    ) -> Result<io::Result<Child>, LaunchFault> {
        Ok(os::spawn(command))
    }
}

#[cfg(feature = "sandbox")]
impl Confined {
    /// Prepares the sandbox for a program that has been found.
    pub(super) fn prepare(
        command: &Command,
        executable: &Path,
        environment: &LaunchEnvironment,
    ) -> Result<Self, LaunchFault> {
        let Some(sandbox) = &command.sandbox else { return Ok(Self { prepared: None }) };
        let program = crate::program::parts::parts(executable);
        Ok(Self { prepared: Some(sandbox.prepare(&program, &environment.socket_dir)?) })
    }

    /// Starts the process. The outer error is that of the sandbox. Nothing is left running then.
    pub(super) fn spawn(
        &self,
        command: &mut tokio::process::Command,
    ) -> Result<io::Result<Child>, LaunchFault> {
        let Some(prepared) = &self.prepared else { return Ok(os::spawn(command)) };
        // The child belongs to the runtime of this thread.
        let runtime = tokio::runtime::Handle::current();
        let spawned = prepared.spawn(|| {
            let _entered = runtime.enter();
            os::spawn(command)
        })?;
        let Ok(child) = spawned else { return Ok(spawned) };
        if let Err(fault) = child.id().map_or(Ok(()), |pid| prepared.limit(pid)) {
            // Dropping the tree kills the group, whatever the process has started in the meantime.
            drop(os::ProcessTree::over(child, true, None));
            return Err(fault.into());
        }
        Ok(Ok(child))
    }

    /// The control group of the process, which has been started.
    pub(super) fn take_control_group(&mut self) -> Option<rpcplugin_sandbox::ControlGroup> {
        self.prepared.as_mut()?.take_control_group()
    }

    /// What is enforced on the process.
    pub(super) fn confinement(&self) -> Option<&rpcplugin_sandbox::Confinement> {
        self.prepared.as_ref().map(rpcplugin_sandbox::Prepared::confinement)
    }
}
