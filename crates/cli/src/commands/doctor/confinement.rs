//! The lock file and the sandbox.

use rpcplugin::{
    host::LaunchFault,
    sandbox::{Enforce, SandboxFault},
};

use super::record::{Fault, Record};
use crate::{plugin_args::LaunchArgs, sandbox::help_for};

/// Examines whether the lock file lets the plugin start, and whether this system can enforce the sandbox.
pub(super) fn examine(launch: &LaunchArgs, record: &mut Record<'_>) -> Result<(), Fault> {
    let permit = launch.permit().map_err(|error| Fault::of("trust", error.report.as_ref()))?;
    if let Some(checksum) = &permit.checksum {
        record.ok("trust", format!("in the lock file, with the digest {checksum}"));
    }
    // In a container the engine decides: see the launch.
    let Some(sandbox) = permit.sandbox.as_ref().filter(|_| launch.runner.is_none()) else { return Ok(()) };
    let confinement = sandbox.check();
    if confinement.is_full() {
        record.ok("sandbox", confinement.to_string());
        return Ok(());
    }
    let missing = confinement.missing().map(|(layer, why)| (layer, why.to_owned())).collect();
    let fault = of_the_sandbox(&SandboxFault::Unavailable(missing));
    if sandbox.enforcement() == Enforce::BestEffort {
        record.doubt("sandbox", confinement.to_string(), "use a kernel that has what is missing");
        return Ok(());
    }
    Err(fault)
}

/// Returns the fault of a start that the lock file or the sandbox refused. `None` for every other fault.
pub(super) fn refused(launch: &LaunchArgs, fault: &LaunchFault) -> Option<Fault> {
    match fault {
        LaunchFault::Sandbox(fault) => Some(of_the_sandbox(fault)),
        fault => launch.changed(fault).map(|refusal| Fault::of("trust", &refusal)),
    }
}

/// Returns the fault of a plugin whose words show that the sandbox denied it something.
pub(super) fn denied(launch: &LaunchArgs, seen: &str, stderr: &str) -> Option<Fault> {
    let sandbox = launch.permit().ok()?.sandbox?;
    let (denied, line) = stderr.lines().rev().find_map(|line| Some((sandbox.denied_in(line)?, line)))?;
    let fault = SandboxFault::Denied { denied, line: line.trim().to_owned() };
    let advice = help_for(&fault).unwrap_or_default();
    Some(Fault::new("sandbox", format!("{seen}; {fault}"), advice))
}

fn of_the_sandbox(fault: &SandboxFault) -> Fault {
    let plain = Fault::of("sandbox", fault);
    match help_for(fault) {
        Some(advice) => plain.advising(advice),
        None => plain,
    }
}
