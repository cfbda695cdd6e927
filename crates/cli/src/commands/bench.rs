//! `rpcplugin bench`: measures how fast a plugin starts, responds and exits.

mod measure;
mod samples;

use std::time::Duration;

use clap::Args;
use serde_json::json;

use self::{measure::Call, samples::Samples};
use crate::{
    error::CommandError,
    exit::Exit,
    plugin_args::LaunchArgs,
    ui::{
        Out,
        duration::{self, show},
        style,
    },
};

/// Measures how fast a plugin starts, exits and answers health calls, which every plugin serves.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Launches the plugin this many times.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    launches: u32,
    /// Makes calls for this time, one after the other, and then again with several calls at once.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::limit)]
    time: Duration,
    /// Keeps this many calls in flight at once.
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
    #[command(flatten)]
    launch: LaunchArgs,
}

/// Measures, and prints the results.
pub(crate) async fn run(args: &BenchArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let working = out.working(format!("starting {} {} times", args.launch.name(), args.launches));
    let (starts, stops) = measure::launches(&args.launch, args.launches).await?;
    drop(working);
    let working = out.working(format!("calling {}", args.launch.name()));
    let plugin = args.launch.launch_by(&args.launch.host()).await?;
    let call = Call::new(plugin.channel());
    let one_by_one = call.for_a_while(1, args.time).await?;
    let at_once = call.for_a_while(args.in_flight, args.time).await?;
    plugin.shut_down().await;
    drop(working);

    if out.is_json() {
        out.json(&json!({
            "plugin": args.launch.name(),
            "launch": starts.json(),
            "shutdown": stops.json(),
            "latency": one_by_one.latencies.json(),
            "throughput": {
                "in_flight": args.in_flight,
                "calls_per_second": at_once.per_second(),
                "latency": at_once.latencies.json(),
            },
        }));
        return Ok(Exit::Ok);
    }
    section(
        out,
        "launch",
        &format!("from the start of the process to its first response, {} times", starts.len()),
        &starts,
    );
    section(out, "shutdown", "from the request to the exit of the process", &stops);
    let calls = format!("{} health calls, one after the other", one_by_one.latencies.len());
    section(out, "latency", &calls, &one_by_one.latencies);
    let calls = format!(
        "{} calls per second with {} in flight",
        style::strong(format_args!("{:.0}", at_once.per_second())),
        args.in_flight
    );
    section(out, "throughput", &calls, &at_once.latencies);
    Ok(Exit::Ok)
}

fn section(out: &mut Out, name: &str, what: &str, samples: &Samples) {
    out.line(format_args!("{}  {what}", style::strong(name)));
    let at = |share| show(samples.percentile(share));
    out.line(format_args!(
        "  half within {}, 90 % within {}, 99 % within {}, all within {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    ));
    for row in samples.histogram() {
        out.line(format_args!("  {row}"));
    }
    out.line("");
}
