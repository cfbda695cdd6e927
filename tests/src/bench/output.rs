//! The output and the log of a plugin, as the code of the host receives them.

use std::{fmt::Write as _, time::Instant};

use crate::{
    bench::{
        Measured,
        args::Options,
        connected::{self, Connected},
        counting::Counting,
        result::Results,
    },
    pb::WriteStdioRequest,
};

/// `rounds` writes of `payload` bytes to stdout.
pub(crate) async fn stdio(options: &Options) -> Measured<Results> {
    let counting = Counting::new();
    let plugin = connected::launch_followed(options, counting.clone()).await?;
    let connected = Connected::to(&plugin);
    let mut kit = connected.kit();
    let request = WriteStdioRequest { stdout: line_of(options.payload), ..WriteStdioRequest::default() };
    // After the first, the stream is open.
    kit.write_stdio(request.clone()).await?;
    counting.bytes(options.payload).await;
    let before = connected.spent();
    let begun = Instant::now();
    for _ in 0..options.rounds {
        kit.write_stdio(request.clone()).await?;
    }
    counting.bytes(options.payload * (options.rounds + 1)).await;
    let elapsed = begun.elapsed();
    let spent = connected.spent_since(before);
    plugin.shut_down().await;
    let bytes = (options.payload * options.rounds) as f64;
    Ok(Results::default()
        .with("mb_per_s", bytes / 1e6 / elapsed.as_secs_f64())
        .with("cpu_ns_per_kib", spent.both * 1e3 / (bytes / 1024.0)))
}

/// `rounds` writes of a thousand records each to the original stderr, as the logger of a plugin writes them.
pub(crate) async fn logs(options: &Options) -> Measured<Results> {
    let counting = Counting::new();
    let plugin = connected::launch_followed(options, counting.clone()).await?;
    let connected = Connected::to(&plugin);
    let mut kit = connected.kit();
    let request = WriteStdioRequest { raw_stderr: records(AT_ONCE), ..WriteStdioRequest::default() };
    let logged = counting.records_so_far();
    kit.write_stdio(request.clone()).await?;
    counting.records(logged + AT_ONCE).await;
    let logged = counting.records_so_far();
    let before = connected.spent();
    let begun = Instant::now();
    for _ in 0..options.rounds {
        kit.write_stdio(request.clone()).await?;
    }
    counting.records(logged + AT_ONCE * options.rounds).await;
    let elapsed = begun.elapsed();
    let spent = connected.spent_since(before);
    plugin.shut_down().await;
    let written = (AT_ONCE * options.rounds) as f64;
    Ok(Results::default()
        .with("records_per_s", written / elapsed.as_secs_f64())
        .with("cpu_us_per_record", spent.both / written))
}

fn line_of(length: usize) -> Vec<u8> {
    let mut line = vec![b'.'; length];
    if let Some(last) = line.last_mut() {
        *last = b'\n';
    }
    line
}

/// Records as go-hclog writes them.
pub(crate) fn records(count: usize) -> Vec<u8> {
    let mut lines = String::new();
    for number in 0..count {
        let _ = writeln!(
            lines,
            "{{\"@level\":\"info\",\"@message\":\"a request was served\",\"@module\":\"kit\",\
             \"@timestamp\":\"2026-01-02T03:04:05.678901Z\",\"number\":{number},\"path\":\"/a/b\",\"took\":\"1.5ms\"}}"
        );
    }
    lines.into()
}

/// Records in one write.
pub(crate) const AT_ONCE: usize = 1000;
