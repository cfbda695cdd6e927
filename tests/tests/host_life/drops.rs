//! Whatever is dropped, and wherever: no process stays.

use std::{sync::mpsc, time::Duration};

use rpcplugin::{Event, Observer, PluginId, Supervised};
use tokio::runtime::{Builder, Runtime};

use crate::support::{Place, eventually_gone, group, hostile, kit};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[tokio::test]
async fn inside_a_runtime() {
    let place = Place::new();
    let plugin = place.launch(kit()).await;
    let pid = plugin.pid();
    drop(plugin);
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    assert!(place.is_tidy());
}

#[test]
fn outside_a_runtime() {
    let (place, runtime) = (Place::new(), runtime());
    let plugin = runtime.block_on(place.launch(kit()));
    let pid = plugin.pid();
    drop(plugin);
    eventually_gone(pid);
    assert!(place.is_tidy());
}

#[test]
fn the_runtime_first() {
    let (place, runtime) = (Place::new(), runtime());
    let plugin = runtime.block_on(place.launch(kit()));
    let pid = plugin.pid();
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
    let pid = plugin.pid();
    runtime.shutdown_background();
    eventually_gone(pid);
    drop(plugin);
    assert!(place.is_tidy());
}

/// Tells the process of each plugin as it starts.
struct Pids(mpsc::Sender<u32>);

impl Observer for Pids {
    fn event(&self, _: &PluginId, event: &Event) {
        if let Event::Started { pid } = event {
            self.0.send(*pid).unwrap();
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
    let pid = plugin.pid();
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
        assert!(place.is_tidy());
        assert!(pids.try_recv().is_err(), "it was started again");
    }
}
