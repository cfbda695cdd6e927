//! One attempt: spawn, greet, connect.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{task::yield_now, time::Instant};
use tracing::{Instrument as _, field::Empty};

use super::{
    connect::connect,
    context::Launch,
    failure::explain,
    greet::{Greeted, greet},
    spawn::spawn,
};
use crate::{
    command::name,
    error::LaunchError,
    host::Host,
    observe::fan_out::FanOut,
    plugin::{Plugin, span},
    process::runner::Runner,
    streams::stderr_tail::StderrTail,
};

/// Launches the plugin once, within `timeout`.
pub(crate) async fn launch(
    host: &Host,
    runner: &impl Runner,
    fan_out: Arc<FanOut>,
    timeout: Duration,
) -> Result<Plugin, LaunchError> {
    let started = Instant::now();
    let program = runner.program();
    let plugin_span = span::span(&program);
    let launch = Launch {
        host,
        runner,
        name: name(&program),
        span: plugin_span.clone(),
        program,
        started,
        timeout,
        // Validation of the settings has already rejected a timeout that overflows.
        deadline: started.checked_add(timeout).unwrap_or(started),
        stderr_tail: Arc::new(StderrTail::new(&host.config)),
        fan_out,
        stray_lines: Mutex::default(),
        #[cfg(feature = "sandbox")]
        confinement: std::sync::OnceLock::new(),
    };
    let launch_span = tracing::debug_span!(parent: &plugin_span, "launch", elapsed = Empty, error = Empty);
    // Boxed, because hosts launch plugins from within large futures of their own.
    let launched = Box::pin(steps(&launch)).instrument(launch_span.clone()).instrument(plugin_span).await;
    launch_span.record("elapsed", tracing::field::debug(started.elapsed()));
    if let Err(error) = &launched {
        launch.fan_out.not_launched(error);
        launch_span.record("error", tracing::field::display(&error.fault));
        // A failure may need no wait, as without descriptors. A caller that tries again must not keep other tasks from running.
        yield_now().await;
    }
    launched
}

async fn steps<R: Runner>(launch: &Launch<'_, R>) -> Result<Plugin, LaunchError> {
    let spawned = match spawn(launch).await {
        Ok(spawned) => spawned,
        Err(fault) => return Err(explain(launch, fault, None).await),
    };
    let greeted: Greeted = greet(launch, spawned).instrument(tracing::debug_span!("greet")).await?;
    let endpoint = &greeted.endpoint.clone();
    connect(launch, greeted).instrument(tracing::debug_span!("connect", %endpoint)).await
}
