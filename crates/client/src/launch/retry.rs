//! Launching again after a failure that may pass.

use std::{sync::Arc, time::Duration};

use rpcplugin_config::RetryConfig;
use tokio::time::{Instant, sleep};

use super::attempt;
use crate::{
    backoff::Backoff, error::LaunchError, host::Host, observe::fan_out::FanOut, plugin::Plugin,
    process::runner::Runner,
};

/// Launches once, or as often as the configuration says, and keeps the error of every failed attempt.
pub(crate) async fn launch(
    host: &Host,
    runner: &impl Runner,
    fan_out: &Arc<FanOut>,
) -> Result<Plugin, LaunchError> {
    let launch_timeout = host.config.launch_timeout;
    let Some(retry) = &host.config.retry else {
        return attempt::launch(host, runner, Arc::clone(fan_out), launch_timeout).await;
    };
    let begun = Instant::now();
    let left = || retry.total.saturating_sub(begun.elapsed());
    let mut pauses = pauses(retry, || retry.jitter.mul_f64(fastrand::f64()));
    let mut earlier = Vec::new();
    loop {
        let timeout = launch_timeout.min(left());
        let error = match attempt::launch(host, runner, Arc::clone(fan_out), timeout).await {
            Ok(plugin) => return Ok(plugin),
            Err(error) => error,
        };
        let pause = pauses.next().filter(|pause| error.fault.may_pass() && *pause < left());
        let Some(pause) = pause else { return Err(error.after(earlier)) };
        tracing::info!(
            plugin = %runner.program().display(),
            error = %error.fault,
            ?pause,
            "the plugin did not start; trying again"
        );
        earlier.push(error);
        sleep(pause).await;
    }
}

/// The pauses before the second attempt, the third, and so on.
fn pauses(retry: &RetryConfig, mut jitter: impl FnMut() -> Duration) -> impl Iterator<Item = Duration> {
    let RetryConfig { max_retries, initial, multiplier, max, .. } = *retry;
    let backoff = Backoff { initial: initial.min(max), multiplier, max };
    (0..max_retries).map(move |number| backoff.pause(number) + jitter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_pause_for_each_retry_with_its_own_jitter() {
        let mut retry = RetryConfig::default();
        (retry.max_retries, retry.initial, retry.multiplier) = (4, Duration::from_millis(100), 3.0);
        retry.max = Duration::from_millis(500);
        let mut jitter = (1..).map(Duration::from_millis);
        let pauses: Vec<_> =
            pauses(&retry, || jitter.next().unwrap()).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [101, 302, 503, 504]);
    }
}
