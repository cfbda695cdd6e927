//! Whatever is dropped, and wherever: no process stays.

use std::{sync::mpsc, time::Duration};

use rpcplugin::host::{Event, Observer, PluginId, Supervised};
use rustix::process::Signal;
use tokio::runtime::{Builder, Runtime};

use crate::support::{Place, eventually, eventually_gone, group, hostile, kit, send};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[tokio::test]
async fn inside_a_runtime() {
    let place = Place::new();
    let plugin = place.launch(kit()).await;
    let pid = plugin.pid().unwrap().get();
    drop(plugin);
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    assert!(place.is_tidy());
}

#[test]
fn outside_a_runtime() {
    let (place, runtime) = (Place::new(), runtime());
    let plugin = runtime.block_on(place.launch(kit()));
    let pid = plugin.pid().unwrap().get();
    drop(plugin);
    eventually_gone(pid);
    eventually("nothing is left", || place.is_tidy());
}

#[test]
fn the_runtime_first() {
    let (place, runtime) = (Place::new(), runtime());
    let plugin = runtime.block_on(place.launch(kit()));
    let pid = plugin.pid().unwrap().get();
    assert!(group(pid).len() > 1, "the plugin has its guard");
    drop(runtime);
    assert_eq!(group(pid), [0; 0], "not even a zombie is left, though nobody is there to reap it later");
    drop(plugin);
    assert!(place.is_tidy());
}

#[test]
fn the_runtime_in_the_background() {
    let (place, runtime) = (Place::new(), runtime());
    let plugin = runtime.block_on(place.launch(kit()));
    let pid = plugin.pid().unwrap().get();
    runtime.shutdown_background();
    eventually_gone(pid);
    drop(plugin);
    eventually("nothing is left", || place.is_tidy());
}

/// The program `kit-host`, whose standard input stays open.
#[test]
fn a_host_that_is_asked_to_end() {
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
    let plugin = plugin.unwrap_or_else(|| panic!("{answer}"));
    send(host.id(), Signal::TERM);
    eventually("the host ends", || host.try_wait().unwrap().is_some());
    assert_eq!(host.wait().unwrap().code(), Some(130));
    eventually_gone(plugin);
    drop(orders);
}

/// Tells the process of each plugin as it starts.
struct Pids(mpsc::Sender<u32>);

impl Observer for Pids {
    fn event(&self, _: &PluginId, event: &Event) {
        if let Event::Started { pid: Some(pid) } = event {
            self.0.send(pid.get()).unwrap();
        }
    }
}

#[tokio::test]
async fn a_launch_that_is_under_way() {
    let (tell, pids) = mpsc::channel();
    let place = Place::configured(|host| host.observe(Pids(tell)));
    let launch = place.host.launch(hostile("silent"));
    tokio::time::timeout(Duration::from_millis(500), launch).await.unwrap_err();
    let pid = pids.recv().unwrap();
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    assert!(place.is_tidy());
}

#[tokio::test]
async fn a_polite_stop_that_is_under_way() {
    let place = Place::new();
    let plugin = place.launch(hostile("stays-for-ever")).await;
    let pid = plugin.pid().unwrap().get();
    tokio::time::timeout(Duration::from_millis(300), plugin.shut_down()).await.unwrap_err();
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    assert!(place.is_tidy());
}

#[test]
fn a_supervised_plugin_in_each_of_these_ways() {
    let drop_in: [fn(Runtime, Supervised); 3] = [
        |runtime, supervised| {
            runtime.block_on(async move { drop(supervised) });
            // The runtime goes on until the plugin is gone.
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
        let (tell, pids) = mpsc::channel();
        let place = Place::configured(|host| host.observe(Pids(tell)));
        let runtime = runtime();
        let supervised = runtime.block_on(async { place.host.supervise(kit()).await.unwrap() });
        drop_it(runtime, supervised);
        eventually_gone(pids.recv().unwrap());
        // The directory goes when the end has been seen, which can be a moment after the process is gone.
        eventually("nothing is left", || place.is_tidy());
        assert!(pids.try_recv().is_err(), "it was started again");
    }
}
