//! Calls while the plugin floods its log.

use std::{sync::Arc, time::Duration};

use tokio_util::task::AbortOnDropHandle;

use super::{
    Measured,
    args::Options,
    calls::echo_for,
    connected::{self, Connected},
    counting::Counting,
    output::{AT_ONCE, records},
    result::{Results, micros, percentile},
};
use crate::{contract::pattern, pb::WriteStdioRequest};

/// One call after the other, by turns beside a quiet plugin and beside a plugin that writes as much log as the host reads.
pub(crate) async fn measure(options: &Options) -> Measured<Results> {
    let counting = Counting::new();
    let plugin = connected::launch_followed(options, counting.clone()).await?;
    let connected = Connected::to(&plugin);
    let data = pattern(options.payload, 0);
    let turn = options.seconds / TURNS;
    echo_for(turn, options.in_flight, &connected, &data).await?;
    let request =
        Arc::new(WriteStdioRequest { raw_stderr: records(AT_ONCE), ..WriteStdioRequest::default() });
    let (mut quiet, mut flooded, mut logged) = (Vec::new(), Vec::new(), 0);
    for _ in 0..TURNS {
        quiet.append(&mut echo_for(turn, options.in_flight, &connected, &data).await?);
        let before = counting.records_so_far();
        let (mut kit, request) = (connected.kit(), Arc::clone(&request));
        let flood = AbortOnDropHandle::new(tokio::spawn(async move {
            while kit.write_stdio((*request).clone()).await.is_ok() {}
        }));
        flooded.append(&mut echo_for(turn, options.in_flight, &connected, &data).await?);
        logged += counting.records_so_far() - before;
        drop(flood);
    }
    plugin.shut_down().await;
    quiet.sort_unstable();
    flooded.sort_unstable();
    let p99 = |sorted: &[Duration]| micros(percentile(sorted, 0.99));
    Ok(Results::default()
        .with("records_per_s", logged as f64 / options.seconds.as_secs_f64())
        .with("quiet_p50_us", micros(percentile(&quiet, 0.50)))
        .with("quiet_p99_us", p99(&quiet))
        .with("flooded_p50_us", micros(percentile(&flooded, 0.50)))
        .with("flooded_p99_us", p99(&flooded))
        .with("p99_ratio", p99(&flooded) / p99(&quiet)))
}

/// How often quiet and flood take turns.
const TURNS: u32 = 5;
