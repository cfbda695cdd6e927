//! A runtime of the plugin's own, watched by a thread that is not part of it.

use std::{io, path::Path, process::ExitCode, time::Duration};

use rpcplugin_handshake::variable;
use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    listening,
    serve::{Serve, process_environment},
};

/// Runs the plugin from its start to its end.
///
/// The calling thread would have nothing to do but wait, so it is the one that notices what ends the plugin from
/// outside, and that the plugin does not end: handlers that block every thread of the runtime cannot keep it.
///
/// # Errors
/// When the process is out of file descriptors or threads.
pub(crate) fn run(serve: Serve) -> io::Result<ExitCode> {
    let runtime =
        Builder::new_multi_thread().worker_threads(serve.config.workers.max(1)).enable_all().build()?;
    let watch = Builder::new_current_thread().enable_all().build()?;
    let (end, grace) = (serve.shutdown.clone(), serve.config.grace);
    let plugin = runtime.spawn(serve.watched_by(watch.handle().clone()).run_to_exit());
    let code = watch.block_on(async {
        tokio::select! {
            biased;
            code = plugin => code.unwrap_or(ExitCode::FAILURE),
            () = stuck(&runtime, end, grace) => {
                tracing::error!("the plugin could not end in order: something blocks the threads on which it serves");
                leave_no_sockets().await;
                ExitCode::FAILURE
            }
        }
    });
    // Sockets of brokered services go with their tasks. A handler that blocks a thread must not keep the process from
    // ending.
    runtime.shutdown_timeout(LAST_TASKS);
    Ok(code)
}

/// Resolves when the plugin has been asked to end and will not: when its runtime has not turned for as long as calls are
/// given, or when it turns and yet has not come to an end long after.
async fn stuck(runtime: &Runtime, end: CancellationToken, grace: Duration) {
    end.cancelled().await;
    // A busy machine is no blocked thread.
    let patience = grace.max(BUSY);
    let turns = async {
        while timeout(patience, runtime.spawn(async {})).await.is_ok() {
            sleep(PAUSE).await
        }
    };
    // The calls on the main connection have the grace, and then those on side connections.
    let _ = timeout(grace.saturating_mul(2).saturating_add(ORDERLY), turns).await;
}

/// What an orderly end would have removed.
async fn leave_no_sockets() {
    rpcplugin_transport::remove_sockets();
    // Its host may be dead. One that lives has no use for it any more.
    if let Some(dir) = process_environment(variable::UNIX_SOCKET_DIR) {
        listening::remove_orphaned_dir(Path::new(&dir)).await;
    }
}

/// Tasks that are not blocked end in far less.
const LAST_TASKS: Duration = Duration::from_millis(100);

/// How long a runtime may need for a task that does nothing.
const BUSY: Duration = Duration::from_secs(1);

/// Between two of those tasks.
const PAUSE: Duration = Duration::from_millis(100);

/// What an orderly end may take beyond the grace, with much to spare.
const ORDERLY: Duration = Duration::from_secs(3);
