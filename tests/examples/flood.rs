//! Measures the effect of a plugin that floods its stderr on its calls and on the memory of its host.
//!
//! ```text
//! cargo build --release -p rpcplugin-tests --bin hostile-plugin
//! cargo run --release -p rpcplugin-tests --example flood -- [MEBIBYTES]
//! ```
//!
//! The flood is 1024 MiB of log lines by default. The program measures the latency of small calls with and without the
//! flood. The numbers are meaningful only on an idle machine.
#![expect(clippy::print_stdout, reason = "the results of a measurement")]

use std::{
    error::Error,
    fs,
    time::{Duration, Instant},
};

use rpcplugin::{
    Command, Host, MagicCookie, Plugin,
    host::{Event, Events, Stdin},
};
use rpcplugin_tests::pb::{EchoRequest, kit_client::KitClient};
use tokio::time::sleep;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let mebibytes = std::env::args().nth(1).map_or(Ok(1024), |n| n.parse())?;
    let quiet = launch("").await?;
    let baseline = latencies(&quiet, Ending::After(Duration::from_secs(3))).await?;
    show("quiet", &baseline);
    quiet.shut_down().await;

    let flooding = launch(&format!("flood:{mebibytes}")).await?;
    let (before, begun) = (resident(), Instant::now());
    let latencies = latencies(&flooding, Ending::WithFlood(flooding.events())).await?;
    let seconds = begun.elapsed().as_secs_f64();
    show("flood", &latencies);
    println!(
        "flood     {:.0} MiB/s, host {} MiB before and {} MiB after",
        f64::from(mebibytes) / seconds,
        before,
        resident()
    );
    flooding.shut_down().await;
    Ok(())
}

async fn launch(vice: &str) -> Result<Plugin> {
    let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance")?;
    let program = std::env::current_exe()?.with_file_name("../hostile-plugin");
    let command = Command::new(program).stdin(Stdin::Null).env("HOSTILE", vice);
    Ok(Host::new(cookie, 1).launch(command).await?)
}

/// When to stop calling.
enum Ending {
    After(Duration),
    WithFlood(Events),
}

async fn latencies(plugin: &Plugin, ending: Ending) -> Result<Vec<Duration>> {
    let mut kit = KitClient::new(plugin.channel());
    let mut latencies = Vec::new();
    let calling = async {
        loop {
            let begun = Instant::now();
            kit.echo(EchoRequest { data: b"small".to_vec().into() }).await?;
            latencies.push(begun.elapsed());
        }
    };
    let ended = async {
        match ending {
            Ending::After(duration) => sleep(duration).await,
            Ending::WithFlood(mut events) => {
                while let Some(event) = events.next().await {
                    match event.event {
                        Event::Log(record) if record.message.ends_with("the flood is over") => break,
                        _ => {}
                    }
                }
            }
        }
    };
    let failed: Result<std::convert::Infallible> = tokio::select! {
        failed = calling => failed,
        () = ended => { latencies.sort_unstable(); return Ok(latencies) }
    };
    failed.map(|never| match never {})
}

fn show(name: &str, sorted: &[Duration]) {
    let at = |share: usize| sorted.get(sorted.len() * share / 1000).copied().unwrap_or_default();
    println!("{name:9} {} calls, p50 {:?}, p90 {:?}, p99 {:?}", sorted.len(), at(500), at(900), at(990));
}

/// The memory of this process in MiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() >> 10
}
