//! Measurements of launches and calls.

use std::time::{Duration, Instant};

use miette::{IntoDiagnostic as _, miette};
use rpcplugin::PluginChannel;
use tokio::task::JoinSet;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::samples::Samples;
use crate::{error::CommandError, plugin_args::LaunchArgs};

/// Launches the plugin and shuts it down, `times` times. Returns the durations of both.
pub(super) async fn launches(launch: &LaunchArgs, times: u32) -> Result<(Samples, Samples), CommandError> {
    let host = launch.host();
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..times {
        let begun = Instant::now();
        let plugin = launch.launch_by(&host).await?;
        starts.push(begun.elapsed());
        let requested = Instant::now();
        plugin.shut_down().await;
        stops.push(requested.elapsed());
    }
    Ok((samples(starts)?, samples(stops)?))
}

/// A client that makes health calls.
pub(super) struct Call {
    client: HealthClient<PluginChannel>,
}

/// The result of a series of calls.
pub(super) struct CallSeries {
    pub(super) latencies: Samples,
    took: Duration,
}

impl Call {
    pub(super) fn new(channel: PluginChannel) -> Self {
        Self { client: HealthClient::new(channel) }
    }

    /// Keeps `in_flight` calls in flight for `time`.
    pub(super) async fn for_a_while(&self, in_flight: u16, time: Duration) -> miette::Result<CallSeries> {
        let warm_up = WARM_UP / usize::from(in_flight) + 1;
        self.at_once(in_flight, move |calls| calls < warm_up).await?;
        let begun = Instant::now();
        // At least one call, even if the time is very short.
        let all = self.at_once(in_flight, move |calls| calls == 0 || begun.elapsed() < time).await?;
        let took = begun.elapsed();
        Ok(CallSeries { latencies: samples(all)?, took })
    }

    /// Makes calls in `in_flight` tasks at once.
    async fn at_once(
        &self,
        in_flight: u16,
        more: impl Fn(usize) -> bool + Copy + Send + 'static,
    ) -> miette::Result<Vec<Duration>> {
        let mut tasks = JoinSet::new();
        for _ in 0..in_flight {
            tasks.spawn(one_by_one(self.client.clone(), more));
        }
        let mut all = Vec::new();
        while let Some(latencies) = tasks.join_next().await {
            all.extend(latencies.into_diagnostic()??);
        }
        Ok(all)
    }
}

/// Makes calls while `more` returns `true` for the number of calls made.
async fn one_by_one(
    mut client: HealthClient<PluginChannel>,
    more: impl Fn(usize) -> bool + Send,
) -> miette::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while more(latencies.len()) {
        let request = HealthCheckRequest { service: "plugin".to_owned() };
        let begun = Instant::now();
        client.check(request).await.map_err(|status| {
            miette!(
                help =
                    "run `rpcplugin doctor` or `rpcplugin conformance` to examine the plugin's health service",
                "a health call fails: {:?}, {}",
                status.code(),
                status.message()
            )
        })?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

impl CallSeries {
    pub(super) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

fn samples(durations: Vec<Duration>) -> miette::Result<Samples> {
    Samples::new(durations).ok_or_else(|| miette!("nothing was measured"))
}

/// The number of calls that are not counted, because the first calls open connections and fill caches.
const WARM_UP: usize = 200;
