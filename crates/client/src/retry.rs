//! Trying again what may succeed the next time.

use std::{sync::Arc, time::Duration};

use rpcplugin_config::RetryConfig;
use tokio::time::{Instant, sleep};

use crate::{error::LaunchError, feed::Feed, host::Host, launch, plugin::Plugin, runner::Runner};

/// Launches once, or as often as the configuration says, and keeps the cause of every failure.
pub(crate) async fn launch(
    host: &Host,
    runner: &impl Runner,
    feed: &Arc<Feed>,
) -> Result<Plugin, LaunchError> {
    let launch_timeout = host.config.launch_timeout;
    let Some(retry) = &host.config.retry else {
        return launch::launch(host, runner, Arc::clone(feed), launch_timeout).await;
    };
    let begun = Instant::now();
    let left = || retry.total.saturating_sub(begun.elapsed());
    let mut pauses = pauses(retry, || rand_below(retry.jitter));
    let mut earlier = Vec::new();
    loop {
        let deadline = launch_timeout.min(left());
        let error = match launch::launch(host, runner, Arc::clone(feed), deadline).await {
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

/// The pauses before the second try, the third, and so on.
fn pauses(retry: &RetryConfig, mut jitter: impl FnMut() -> Duration) -> impl Iterator<Item = Duration> {
    let RetryConfig { max_retries, initial, multiplier, max, .. } = *retry;
    let mut next = initial;
    (0..max_retries).map(move |_| {
        let pause = next.min(max);
        next = Duration::try_from_secs_f64(pause.as_secs_f64() * multiplier.max(1.0)).unwrap_or(max);
        pause + jitter()
    })
}

/// A time from nothing to `most`. Good enough to keep hosts apart; not for secrets.
fn rand_below(most: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0);
    most.mul_f64(f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit() {
        let mut retry = RetryConfig::default();
        (retry.max_retries, retry.initial, retry.multiplier) = (4, Duration::from_millis(100), 3.0);
        retry.max = Duration::from_millis(500);
        let pauses: Vec<_> =
            pauses(&retry, || Duration::from_millis(1)).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [101, 301, 501, 501]);
    }

    #[test]
    fn jitter_stays_below_its_limit() {
        let most = Duration::from_millis(50);
        let some: Vec<_> = (0..100).map(|_| rand_below(most)).collect();
        assert!(some.iter().all(|jitter| *jitter <= most) && some.iter().any(|jitter| *jitter != some[0]));
    }
}
