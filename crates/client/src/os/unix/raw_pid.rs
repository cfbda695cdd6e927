//! Pids in the form that system calls take.

use rpcplugin_core::Pid;

/// The pid in the form that system calls take. `None` for a number that no pid of this system has.
pub(in crate::os) fn raw(pid: Pid) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(pid.get()).ok()?)
}
