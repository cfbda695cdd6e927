//! Drops of plugins, launches, supervisors and runtimes: no process stays.

use std::{sync::mpsc, time::Duration};

use rpcplugin::host::{Event, Observer, PluginId, Supervised};
use rpcplugin_tests::support::{
    conformance::kit,
    process::{eventually_gone, group, send},
    wait::blocking::eventually,
};
use rustix::process::Signal;
use tokio::runtime::{Builder, Runtime};

use crate::support::{TestHost, hostile};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[tokio::test]
async fn inside_a_runtime() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(kit()).await;
    let pid = plugin.pid().unwrap();
    drop(plugin);
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    assert!(test_host.is_clean());
}

#[test]
fn outside_a_runtime() {
    let (test_host, runtime) = (TestHost::new(), runtime());
    let plugin = runtime.block_on(test_host.launch(kit()));
    let pid = plugin.pid().unwrap();
    drop(plugin);
    eventually_gone(pid);
    eventually("nothing is left", || test_host.is_clean());
}

#[test]
fn the_runtime_first() {
    let (test_host, runtime) = (TestHost::new(), runtime());
    let plugin = runtime.block_on(test_host.launch(kit()));
    let pid = plugin.pid().unwrap();
    assert!(group(pid).len() > 1, "the plugin has its watchdog");
    drop(runtime);
    assert_eq!(group(pid), [0; 0], "not even a zombie is left, which no task would reap later");
    drop(plugin);
    assert!(test_host.is_clean());
}

#[test]
fn the_runtime_in_the_background() {
    let (test_host, runtime) = (TestHost::new(), runtime());
    let plugin = runtime.block_on(test_host.launch(kit()));
    let pid = plugin.pid().unwrap();
    runtime.shutdown_background();
    eventually_gone(pid);
    drop(plugin);
    eventually("nothing is left", || test_host.is_clean());
}

/// The program `kit-host`, with an open stdin.
#[test]
fn a_host_that_receives_sigterm() {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        process::{Command, Stdio},
    };

    let mut host = Command::new(env!("CARGO_BIN_EXE_kit-host"))
        .arg("drive")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = host.stdin.take().unwrap();
    let launch = format!(r#"{{"op":"launch","command":["{}"]}}"#, env!("CARGO_BIN_EXE_kit-plugin"));
    writeln!(orders, "{launch}").unwrap();
    let mut answer = String::new();
    BufReader::new(host.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    let plugin = answer
        .split_once(r#""pid":"#)
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    let plugin: u32 = plugin.unwrap_or_else(|| panic!("{answer}"));
    send(host.id(), Signal::TERM);
    eventually("the host exits", || host.try_wait().unwrap().is_some());
    assert_eq!(host.wait().unwrap().code(), Some(130));
    eventually_gone(plugin);
    drop(orders);
}

/// Sends the pid of each plugin as it starts.
struct Pids(mpsc::Sender<u32>);

impl Observer for Pids {
    fn event(&self, _: &PluginId, event: &Event) {
        if let Event::Started { pid: Some(pid) } = event {
            self.0.send(pid.get()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_launch_in_progress() {
    let (sender, pids) = mpsc::channel();
    let test_host = TestHost::configured(|host| host.observe(Pids(sender)));
    let launch = test_host.host.launch(hostile("silent"));
    tokio::time::timeout(Duration::from_millis(500), launch).await.unwrap_err();
    let pid = pids.recv().unwrap();
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    assert!(test_host.is_clean());
}

#[tokio::test]
async fn a_shutdown_in_progress() {
    let test_host = TestHost::new();
    let plugin = test_host.launch(hostile("stays-forever")).await;
    let pid = plugin.pid().unwrap();
    tokio::time::timeout(Duration::from_millis(300), plugin.shut_down()).await.unwrap_err();
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    assert!(test_host.is_clean());
}

#[test]
fn a_supervised_plugin_in_each_of_these_ways() {
    let drop_in: [fn(Runtime, Supervised); 3] = [
        |runtime, supervised| {
            runtime.block_on(async move { drop(supervised) });
            // The runtime runs until the plugin is gone.
            std::mem::forget(runtime);
        },
        |runtime, supervised| {
            drop(supervised);
            std::mem::forget(runtime);
        },
        |runtime, supervised| {
            drop(runtime);
            drop(supervised);
        },
    ];
    for drop_it in drop_in {
        let (sender, pids) = mpsc::channel();
        let test_host = TestHost::configured(|host| host.observe(Pids(sender)));
        let runtime = runtime();
        let supervised = runtime.block_on(async { test_host.host.supervise(kit()).await.unwrap() });
        drop_it(runtime, supervised);
        eventually_gone(pids.recv().unwrap());
        // The directory is removed when the exit has been noticed, which can be a moment later.
        eventually("nothing is left", || test_host.is_clean());
        assert!(pids.try_recv().is_err(), "it was started again");
    }
}
