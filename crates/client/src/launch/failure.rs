//! A failed launch: end the process and explain the fault.

use std::{sync::PoisonError, time::Duration};

use rpcplugin_handshake::HandshakeLineFault;
use tokio::time::timeout;

use super::context::Launch;
use crate::{
    error::{ConnectFault, HandshakeFault, LaunchError, LaunchFacts, LaunchFault, PluginReason},
    exit::ExitReason,
    process::{owner::ProcessHandle, runner::Runner},
    program::{lookup::find, notes::notes},
};

/// Ends the process of a failed launch, and explains the fault.
pub(super) async fn fail<R: Runner>(
    launch: &Launch<'_, R>,
    fault: LaunchFault,
    process: ProcessHandle,
) -> LaunchError {
    // A plugin that prints garbage or closes its connections is often about to exit. How it exits explains more.
    let fault = if fault.is_explained_by_exit() { refined_by_exit(fault, &process).await } else { fault };
    let exit = process.exit_reason();
    process.output_is_complete();
    process.kill();
    // The pipe may still hold the plugin's last lines. A process in uninterruptible I/O survives SIGKILL.
    let _ = timeout(2 * launch.host.config.drain_timeout, process.finished()).await;
    explain(launch, fault, exit).await
}

/// The better fault for a connection that broke because the process exited.
async fn refined_by_exit(fault: LaunchFault, process: &ProcessHandle) -> LaunchFault {
    match (timeout(EXIT_WAIT, process.exited()).await, fault) {
        (Ok(reason), LaunchFault::Connect(_) | LaunchFault::Requirement(_)) => {
            ConnectFault::Exited(reason).into()
        }
        (_, fault) => fault,
    }
}

/// The error, with all facts that are known.
pub(super) async fn explain<R: Runner>(
    launch: &Launch<'_, R>,
    fault: LaunchFault,
    exit: Option<ExitReason>,
) -> LaunchError {
    let stderr = launch.stderr_tail.lines();
    let reason = PluginReason::find(&stderr);
    let fault = fault.refined_by(&stderr, reason.as_ref());
    #[cfg(feature = "sandbox")]
    let fault = fault.denied_by(launch.runner.sandbox(), &stderr);
    let notes = timeout(DIAGNOSIS, launch.runner.diagnose(&fault)).await.ok().flatten().or_else(|| {
        // A program that prints a line and exits without a complaint is most likely not a plugin.
        let no_line =
            matches!(&fault, LaunchFault::Handshake(HandshakeFault::InvalidLine(error)) if error.fault == HandshakeLineFault::NotAHandshakeLine);
        let is_wrong_file = no_line && exit.is_some() && stderr.is_empty();
        is_wrong_file.then(|| notes(&find(&launch.program))).flatten()
    });
    let facts = LaunchFacts {
        program: launch.program.clone(),
        ended: exit,
        stderr,
        stdout: launch.stray_lines.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        reason,
        notes,
        elapsed: launch.started.elapsed(),
    };
    LaunchError::new(fault, facts)
}

/// The longest wait for a process that seems to be exiting.
const EXIT_WAIT: Duration = Duration::from_millis(100);

/// The time that a [runner](Runner) has to explain a fault.
const DIAGNOSIS: Duration = Duration::from_secs(1);
