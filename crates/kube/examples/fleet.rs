//! A fleet: many plugins in pods of their own, under one host that restarts those that end.
//!
//! ```text
//! fleet IMAGE COUNT COOKIE=VALUE [ROUNDS]
//! fleet kv-plugin:1 20 KV_PLUGIN=hello
//! ```
//!
//! The host launches eight plugins at a time, and calls the health service of each plugin once a second. It prints the number of
//! answers and the time of the slowest, and each restart. It ends after ROUNDS seconds, or at SIGTERM or Ctrl-C: it shuts all
//! plugins down, and their pods are deleted.
//!
//! It works inside the cluster, with the account of `manifests/host-role.yaml`, as `manifests/host.yaml` deploys it, and outside
//! with a kubeconfig. Its settings are in its environment: `PLUGIN_ORPHAN_TIMEOUT`, for example.
#![expect(clippy::print_stdout, reason = "the program prints for people")]

use std::{
    env,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, future, stream};
use miette::{IntoDiagnostic as _, Result, miette};
use rpcplugin::{
    Exit, Host, MagicCookie, PluginChannel,
    config::Loader,
    host::{Event, Events, Managed, PluginSet, Supervised},
};
use rpcplugin_kube::Pod;
use tokio::time::{MissedTickBehavior, interval};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// The number of plugins that are launched at the same time.
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (image, count, cookie, rounds) = match &arguments[..] {
        [image, count, cookie] => (image, count, cookie, usize::MAX),
        [image, count, cookie, rounds] => (image, count, cookie, rounds.parse().into_diagnostic()?),
        _ => return Err(miette!("the arguments are IMAGE COUNT COOKIE=VALUE [ROUNDS]")),
    };
    let (key, value) = cookie.split_once('=').ok_or_else(|| miette!("{cookie} is not COOKIE=VALUE"))?;
    let count: usize = count.parse().into_diagnostic()?;

    let host = Host::new(MagicCookie::new(key, value)?, 1)
        .config(Loader::new().process_env().host()?)
        // The kubelet takes a second or two to report the exit of a plugin.
        .configure(|config| config.grace = config.grace.max(Duration::from_secs(10)));
    let begin = Instant::now();
    let mut fleet = PluginSet::new();
    fleet.extend(launch(&host, image, count).await?);
    println!("{count} plugins are ready after {:.1} s", begin.elapsed().as_secs_f64());

    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let watching = async {
        for _ in 0..rounds {
            clock.tick().await;
            call(&fleet).await;
        }
    };
    tokio::select! {
        () = watching => {}
        () = termination() => println!("the fleet is asked to end"),
    }
    let begin = Instant::now();
    let exits = fleet.shut_down().await;
    let clean = exits.values().filter(|exit| **exit == Some(Exit::Clean)).count();
    println!("{clean} of {count} plugins ended cleanly within {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Launches the plugins. If one does not start, the others are killed.
async fn launch(host: &Host, image: &str, count: usize) -> Result<Vec<(String, Supervised)>> {
    // Clones share the connection to the API server.
    let pod = Pod::new(image);
    let names = (1..=count).map(|number| format!("fleet-{number:02}"));
    let launches = stream::iter(names).map(async |name| {
        let plugin = host.supervise_with(pod.clone().name(&name)).await?;
        tokio::spawn(print(name.clone(), plugin.events()));
        Ok((name, plugin))
    });
    launches.buffer_unordered(AT_ONCE).try_collect().await
}

/// Calls all plugins at the same time, and prints how many answer.
async fn call(fleet: &PluginSet) {
    let channels = fleet.iter().filter_map(|(_, plugin)| match plugin {
        Managed::Supervised(plugin) => Some(plugin.channel()),
        _ => None,
    });
    let times: Vec<Duration> = future::join_all(channels.map(health)).await.into_iter().flatten().collect();
    let slowest = times.iter().max().copied().unwrap_or_default();
    println!("{} of {} plugins answer, the slowest after {slowest:.1?}", times.len(), fleet.len());
}

/// The time of one call, if the plugin answers within a second.
async fn health(channel: PluginChannel) -> Option<Duration> {
    let begin = Instant::now();
    let mut request = tonic::Request::new(HealthCheckRequest { service: "plugin".to_owned() });
    request.set_timeout(Duration::from_secs(1));
    HealthClient::new(channel).check(request).await.ok()?;
    Some(begin.elapsed())
}

/// Prints what happens to a plugin.
async fn print(name: String, mut events: Events) {
    while let Some(event) = events.next().await {
        let generation = event.plugin.generation;
        match event.event {
            Event::Ready { elapsed } => {
                println!("{name}: generation {generation} is ready after {:.1} s", elapsed.as_secs_f64());
            }
            Event::Exited { reason } => println!("{name}: generation {generation} ended: {reason}"),
            Event::Restarting { delay, .. } => println!("{name}: is restarted after {delay:?}"),
            Event::GaveUp { restarts } => println!("{name}: is given up after {restarts} restarts"),
            _ => {}
        }
    }
}

/// Waits for SIGTERM or Ctrl-C.
#[cfg(unix)]
async fn termination() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn termination() {
    let _ = tokio::signal::ctrl_c().await;
}
