//! Calls with one request and one answer.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use tonic::Status;

use crate::{
    bench::{
        Measured,
        args::Options,
        connected::{Channel, Connected},
        result::{Results, micros, percentile},
    },
    contract::pattern,
    pb::{EchoRequest, kit_client::KitClient},
};

/// As many calls as possible, with `in_flight` at a time.
pub(crate) async fn measure(options: &Options, connected: &Connected<impl Channel>) -> Measured<Results> {
    let data = pattern(options.payload, 0);
    if options.exactly.is_none() {
        // The first calls allocate buffers.
        echo_for(options.seconds / 8, options.in_flight, connected, &data).await?;
    }
    let before = connected.spent();
    let begun = Instant::now();
    let mut took = match options.exactly {
        Some(calls) => echo(Until::Calls(calls), options.in_flight, connected, &data).await?,
        None => echo_for(options.seconds, options.in_flight, connected, &data).await?,
    };
    let elapsed = begun.elapsed();
    let spent = connected.spent_since(before);
    took.sort_unstable();
    let calls = took.len() as f64;
    Ok(Results::default()
        .with("calls_per_s", calls / elapsed.as_secs_f64())
        .with("p50_us", micros(percentile(&took, 0.50)))
        .with("p99_us", micros(percentile(&took, 0.99)))
        .with("cpu_us_per_call", spent.both / calls)
        .with("host_cpu_us_per_call", spent.host / calls))
}

/// When a caller stops.
#[derive(Debug, Clone, Copy)]
enum Until {
    Time(Instant),
    /// After so many calls of each caller.
    Calls(usize),
}

/// Makes calls for this long. Returns the duration of each call.
pub(crate) async fn echo_for(
    time: Duration,
    in_flight: usize,
    connected: &Connected<impl Channel>,
    data: &Bytes,
) -> Measured<Vec<Duration>> {
    echo(Until::Time(Instant::now() + time), in_flight, connected, data).await
}

async fn echo(
    until: Until,
    in_flight: usize,
    connected: &Connected<impl Channel>,
    data: &Bytes,
) -> Measured<Vec<Duration>> {
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        callers.spawn(echo_until(until, connected.kit(), data.clone()));
    }
    let mut took = Vec::new();
    while let Some(caller) = callers.join_next().await {
        took.append(&mut caller??);
    }
    Ok(took)
}

/// One call after the other.
async fn echo_until(
    until: Until,
    mut kit: KitClient<impl Channel>,
    data: Bytes,
) -> Result<Vec<Duration>, Status> {
    let mut took = Vec::with_capacity(1024);
    let mut begun = Instant::now();
    while match until {
        Until::Time(end) => begun < end,
        Until::Calls(calls) => took.len() < calls,
    } {
        let answer = kit.echo(EchoRequest { data: data.clone() }).await?;
        if answer.get_ref().data.len() != data.len() {
            return Err(Status::data_loss("the answer is not as long as the request"));
        }
        let done = Instant::now();
        took.push(done - begun);
        begun = done;
    }
    Ok(took)
}
