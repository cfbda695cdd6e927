//! The watchdog: runs the plugin on a runtime of its own, and ends a process whose runtime is blocked.

use std::{io, path::Path, process::ExitCode, time::Duration};

use rpcplugin_handshake::variable;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{environment, listen};

/// The settings of a plugin that the watchdog needs.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// How many threads serve.
    pub(crate) workers: usize,
    /// How long an orderly end may take.
    pub(crate) grace: Duration,
}

/// Runs the plugin from its start to its end. `plugin` is given the runtime on which signals, the host and the shutdown file
/// are to be watched.
///
/// That runtime runs on the calling thread. Handlers that block every thread of the plugin's own runtime therefore cannot keep
/// the process from ending.
///
/// # Errors
/// When the process is out of file descriptors or threads.
pub(crate) fn run<F>(
    limits: Limits,
    shutdown: CancellationToken,
    plugin: impl FnOnce(Handle) -> F,
) -> io::Result<ExitCode>
where
    F: Future<Output = ExitCode> + Send + 'static,
{
    let Limits { workers, grace } = limits;
    let runtime = Builder::new_multi_thread().worker_threads(workers.max(1)).enable_all().build()?;
    let watch = Builder::new_current_thread().enable_all().build()?;
    let plugin = runtime.spawn(plugin(watch.handle().clone()));
    let code = watch.block_on(async {
        tokio::select! {
            biased;
            code = plugin => code.unwrap_or(ExitCode::FAILURE),
            () = blocked(&runtime, shutdown, grace) => {
                tracing::error!("the plugin cannot shut down: handlers block the threads of its runtime");
                remove_sockets().await;
                ExitCode::FAILURE
            }
        }
    });
    // The sockets of brokered services are removed with their tasks. A handler that blocks a thread must not keep the
    // process from ending.
    runtime.shutdown_timeout(LAST_TASKS);
    Ok(code)
}

/// Resolves when the shutdown has begun and will not complete: when the runtime runs no task for as long as the grace, or
/// when it runs tasks and the plugin has not ended long after.
async fn blocked(runtime: &Runtime, shutdown: CancellationToken, grace: Duration) {
    shutdown.cancelled().await;
    // On a busy machine a task waits too, although no thread is blocked.
    let longest = grace.max(BUSY);
    let responds = async {
        while timeout(longest, runtime.spawn(async {})).await.is_ok() {
            sleep(PROBE_INTERVAL).await
        }
    };
    // The calls on the main connection have the grace, and after them the calls on brokered connections.
    let _ = timeout(grace.saturating_mul(2).saturating_add(ORDERLY), responds).await;
}

/// Removes the sockets and their directory, as an orderly end would have done.
async fn remove_sockets() {
    rpcplugin_transport::remove_sockets();
    // The host may have exited. If it has not, it does not need the directory any more.
    if let Some(dir) = environment::variable(variable::UNIX_SOCKET_DIR) {
        listen::remove_orphaned_dir(Path::new(&dir)).await;
    }
}

/// How long the tasks may take to end. Tasks that are not blocked need far less.
const LAST_TASKS: Duration = Duration::from_millis(100);

/// How long an empty task may wait for a thread on a busy machine.
const BUSY: Duration = Duration::from_secs(1);

/// The pause between two empty tasks.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// How long an orderly end may take beyond the grace, with a wide margin.
const ORDERLY: Duration = Duration::from_secs(3);
