//! Plugins from launch to exit.

use std::{sync::Arc, time::Instant};

use rpcplugin::Plugin;
use tokio::{runtime::Handle, sync::Semaphore, task::JoinSet, time::sleep};

use crate::{
    bench::{
        Measured,
        args::Options,
        connected::{self, Connected},
        result::{Results, median, millis, percentile},
    },
    os::usage::{children_cpu, cpu_of, memory_of, own_cpu, peak_of, sleeps_of, threads_of},
    pb::EchoRequest,
};

/// Launches and shutdowns, one after the other.
pub(crate) async fn launch(options: &Options) -> Measured<Results> {
    let host = connected::host(options);
    // The first launch reads the program from the disk.
    connected::launch_by(&host, options).await?.shut_down().await;
    let (mut launches, mut stops) = (Vec::new(), Vec::new());
    let before = own_cpu() + children_cpu();
    for _ in 0..options.rounds {
        let begun = Instant::now();
        let plugin = connected::launch_by(&host, options).await?;
        launches.push(begun.elapsed());
        let begun = Instant::now();
        plugin.shut_down().await;
        stops.push(begun.elapsed());
    }
    let spent = own_cpu() + children_cpu() - before;
    launches.sort_unstable();
    Ok(Results::default()
        .with("launch_ms", millis(percentile(&launches, 0.5)))
        .with("launch_p90_ms", millis(percentile(&launches, 0.9)))
        .with("stop_ms", millis(median(stops)))
        .with("cpu_ms", millis(spent) / options.rounds as f64))
}

/// A plugin that is called once and then idle.
pub(crate) async fn idle(options: &Options) -> Measured<Results> {
    let plugin = connected::launch(options).await?;
    let connected = Connected::to(&plugin);
    connected.kit().echo(EchoRequest { data: vec![0; options.payload].into() }).await?;
    let (host, pid) = (std::process::id(), connected::process(&plugin));
    let (cpu, host_cpu, sleeps) = (cpu_of(pid), own_cpu(), sleeps_of(pid));
    sleep(options.seconds).await;
    let (cpu, host_cpu, sleeps) = (cpu_of(pid) - cpu, own_cpu() - host_cpu, sleeps_of(pid) - sleeps);
    let memory = memory_of(pid);
    let per_second = |spent: f64| spent / options.seconds.as_secs_f64();
    let results = Results::default()
        .with("plugin_rss_kib", memory.rss as f64)
        .with("plugin_pss_kib", memory.pss as f64)
        .with("plugin_anonymous_kib", memory.anonymous as f64)
        .with("plugin_threads", threads_of(pid) as f64)
        .with("plugin_cpu_us_per_s", per_second(cpu.as_secs_f64() * 1e6))
        .with("plugin_wakeups_per_s", per_second(sleeps as f64))
        .with("host_rss_kib", memory_of(host).rss as f64)
        .with("host_cpu_us_per_s", per_second(host_cpu.as_secs_f64() * 1e6));
    plugin.shut_down().await;
    Ok(results)
}

/// Many plugins, launched some at a time, that run at the same time in the end.
pub(crate) async fn crowd(options: &Options) -> Measured<Results> {
    let host = connected::host(options);
    // The first plugin pays for the shared state of the host.
    connected::launch_by(&host, options).await?.shut_down().await;
    let own = std::process::id();
    let (rss, threads, own_tasks) = (memory_of(own).rss, threads_of(own), tasks());
    let turns = Arc::new(Semaphore::new(options.at_once));
    let mut launches = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..options.plugins {
        let (host, options, turns) = (host.clone(), options.clone(), Arc::clone(&turns));
        launches.spawn(async move {
            let _turn = turns.acquire().await?;
            connected::launch_by(&host, &options).await
        });
    }
    let mut plugins = Vec::new();
    while let Some(launched) = launches.join_next().await {
        plugins.push(launched??);
    }
    let ready = begun.elapsed();
    let each = |sum: f64| sum / options.plugins as f64;
    let pss: u64 = plugins.iter().map(|plugin: &Plugin| memory_of(connected::process(plugin)).pss).sum();
    let results = Results::default()
        .with("ready_ms", millis(ready))
        .with("ready_ms_per_plugin", each(millis(ready)))
        .with("host_rss_kib_per_plugin", each(memory_of(own).rss as f64 - rss as f64))
        .with("host_peak_kib", peak_of(own) as f64)
        .with("host_threads_per_plugin", each(threads_of(own) as f64 - threads as f64))
        .with("host_tasks_per_plugin", each(tasks() - own_tasks))
        .with("plugin_pss_kib", each(pss as f64));
    let begun = Instant::now();
    let mut stops: JoinSet<_> = plugins.into_iter().map(Plugin::shut_down).collect();
    while let Some(stopped) = stops.join_next().await {
        stopped?;
    }
    Ok(results.with("stop_ms", millis(begun.elapsed())))
}

/// The number of tasks in the runtime.
fn tasks() -> f64 {
    Handle::current().metrics().num_alive_tasks() as f64
}
