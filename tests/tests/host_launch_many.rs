//! Many plugins: a thousand one after another, and a hundred at the same time.
#![cfg(target_os = "linux")]

use std::{fs, time::Duration};

use futures_util::{StreamExt as _, stream};
use rpcplugin::{Exit, Plugin};
use rpcplugin_tests::support::{
    faulty::{faulty, host},
    process::children,
    wait::eventually_within,
};

/// The resources of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    descriptors: usize,
    threads: usize,
    children: usize,
    memory_kib: usize,
}

impl Held {
    fn now() -> Self {
        let entries = |dir: &str| fs::read_dir(dir).expect("Linux").count();
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Self {
            descriptors: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
            children: children().len(),
            memory_kib: memory.and_then(|kib| kib.parse().ok()).expect("Linux"),
        }
    }

    fn is_no_more_than(self, before: Self) -> bool {
        self.descriptors <= before.descriptors
            && self.threads <= before.threads
            && self.children <= before.children
    }
}

async fn launch_and_stop(count: usize) {
    let host = host(|config| config.launch_timeout = Duration::from_secs(60));
    stream::iter(0..count)
        .for_each_concurrent(4, |n| {
            let host = &host;
            async move {
                let plugin =
                    host.launch(faulty("healthy")).await.unwrap_or_else(|error| panic!("{n}: {error:?}"));
                plugin.ping().await.unwrap_or_else(|error| panic!("{n}: {error}"));
                assert_eq!(plugin.shut_down().await, Exit::Clean, "{n}");
            }
        })
        .await;
}

/// One test, because the resources of a process belong to all its tests. With two threads from the start, the runtime starts no
/// more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_launches_leave_nothing_and_a_hundred_plugins_run_together() {
    // The first launches fill caches and pools.
    launch_and_stop(50).await;
    eventually_within(Duration::from_secs(10), "the first plugins are gone", || children().is_empty()).await;
    let before = Held::now();
    launch_and_stop(1000).await;
    eventually_within(Duration::from_secs(10), "all resources are released", || {
        Held::now().is_no_more_than(before)
    })
    .await;
    let grown = Held::now().memory_kib.saturating_sub(before.memory_kib);
    assert!(grown < 16 << 10, "memory grew by {grown} KiB");

    let host = host(|config| config.launch_timeout = Duration::from_secs(60));
    let plugins: Vec<Plugin> =
        stream::iter(0..100)
            .map(|n| {
                let host = &host;
                async move {
                    host.launch(faulty("healthy")).await.unwrap_or_else(|error| panic!("{n}: {error:?}"))
                }
            })
            .buffer_unordered(4)
            .collect()
            .await;
    for plugin in &plugins {
        plugin.ping().await.expect("the plugin is healthy");
    }
    let ends = futures_util::future::join_all(plugins.into_iter().map(Plugin::shut_down)).await;
    assert!(ends.iter().all(|exit| *exit == Exit::Clean), "{ends:?}");
    eventually_within(Duration::from_secs(10), "all resources are released", || {
        Held::now().is_no_more_than(before)
    })
    .await;
}
