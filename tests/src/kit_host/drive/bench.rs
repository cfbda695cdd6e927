//! The latency and rate of calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{task::JoinSet, time::timeout};
use tonic::Status;

use crate::{
    contract::pattern,
    kit_host::drive::{
        answer::{Answer, Failure},
        request::Fields,
        slots::Slot,
    },
    os::usage::own_cpu,
    pb::EchoRequest,
};

pub(crate) async fn bench(slot: &Slot, mut fields: Fields) -> Result<Answer, Failure> {
    let calls: usize = fields.take("calls", 1000)?;
    let in_flight: usize = fields.take("in_flight", 1)?;
    let payload: usize = fields.take("payload", 0)?;
    fields.end()?;
    if calls == 0 || in_flight == 0 {
        return Err(Failure::request("calls and in_flight must be at least 1"));
    }
    if payload > MOST_BYTES {
        return Err(Failure::request(format!("payload must be at most {MOST_BYTES} bytes")));
    }
    let kit = slot.running()?.kit();
    let data = pattern(payload, 0);
    let left = Arc::new(AtomicUsize::new(calls));
    let (begun, cpu) = (Instant::now(), own_cpu());
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let (mut kit, data, left) = (kit.clone(), data.clone(), Arc::clone(&left));
        callers.spawn(async move {
            let mut took = Vec::new();
            while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                let begun = Instant::now();
                kit.echo(EchoRequest { data: data.clone() }).await?;
                took.push(begun.elapsed());
            }
            Ok::<_, Status>(took)
        });
    }
    let mut took = Vec::new();
    loop {
        let before = left.load(Relaxed);
        match timeout(CALL_TIMEOUT, callers.join_next()).await {
            Ok(Some(caller)) => took.extend(caller.map_err(Failure::state)??),
            Ok(None) => break,
            // Calls have been made since then.
            Err(_) if left.load(Relaxed) < before => {}
            Err(_) => return Err(Status::deadline_exceeded("a call was not answered").into()),
        }
    }
    let (elapsed, cpu) = (begun.elapsed(), own_cpu().saturating_sub(cpu));
    took.sort_unstable();
    Ok(json!({
        "p50_us": micros(percentile(&took, 0.50)),
        "p99_us": micros(percentile(&took, 0.99)),
        "calls_per_s": calls as f64 / elapsed.as_secs_f64(),
        "host_cpu_us_per_call": micros(cpu) / calls as f64,
    }))
}

/// The timeout of a call. Another task checks it, so that calls do not pay for a timer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest message of go-plugin.
const MOST_BYTES: usize = i32::MAX as usize;

/// The value below which this share of the sorted values lies.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
