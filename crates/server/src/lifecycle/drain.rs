//! The end of serving: hooks run, calls in flight end, and the last output goes out.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use rpcplugin_broker::Broker;
use tokio::{
    task::yield_now,
    time::{Instant, timeout_at},
};

use crate::{
    instances::ServeInstances,
    layers::InFlightCalls,
    serve::ShutdownHook,
    services::Health,
    stdio::{Capture, CaptureBuffer},
};

/// Everything that has to end in order before the plugin exits.
pub(super) struct Drain {
    pub(super) hooks: Vec<ShutdownHook>,
    pub(super) calls: InFlightCalls,
    pub(super) instances: Option<Arc<dyn ServeInstances>>,
    pub(super) health: Health,
    pub(super) broker: Broker,
    pub(super) output: Arc<CaptureBuffer>,
    /// How long hooks and calls may take.
    pub(super) grace: Duration,
}

impl Drain {
    /// Drains. Restores stdout and stderr once nothing of the plugin prints any more.
    pub(super) async fn run(self, mut capture: Option<Capture>) {
        let Self { hooks, calls, instances, health, broker, output, grace } = self;
        let deadline = Instant::now() + grace;
        if let Some(capture) = &mut capture {
            capture.release_stdout();
        }
        health.end();
        if let Some(instances) = &instances {
            instances.begin_shutdown();
        }
        // Calls that arrived before the Shutdown call may not have begun yet.
        yield_now().await;
        let hooks = timeout_at(deadline, run_hooks(hooks));
        let calls = async {
            if timeout_at(deadline, calls.finished()).await.is_err() {
                calls.cut();
            }
        };
        let (hooks, ()) = tokio::join!(hooks, calls);
        if hooks.is_err() {
            tracing::warn!("a shutdown hook was still running after the grace period");
        }
        broker.close();
        if let Some(instances) = instances
            && timeout_at(deadline.max(Instant::now() + LAST_INSTANCES), instances.shut_down()).await.is_err()
        {
            tracing::warn!("instances were still being removed after the grace period");
        }
        // Hooks and calls may have printed until now.
        if let Some(capture) = &mut capture {
            capture.finish(deadline.max(Instant::now() + LAST_OUTPUT).into_std()).await;
        }
        output.close();
    }
}

/// Runs all hooks concurrently. If a hook panics, the panic hook of the process logs it, and the other hooks and the shutdown
/// go on.
async fn run_hooks(hooks: Vec<ShutdownHook>) {
    let hooks = join_all(hooks.into_iter().map(|hook| AssertUnwindSafe(hook).catch_unwind())).await;
    let panicked = hooks.iter().filter(|hook| hook.is_err()).count();
    if panicked > 0 {
        tracing::error!(panicked, "shutdown hooks panicked; the shutdown goes on");
    }
}

/// How long instances may take to end when the grace is used up.
const LAST_INSTANCES: Duration = Duration::from_millis(250);

/// How long the last output may take to reach hosts when the grace is used up.
const LAST_OUTPUT: Duration = Duration::from_millis(200);
