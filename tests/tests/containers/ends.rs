//! How plugins in containers end, and what is left then.

use rpcplugin::{
    Exit,
    host::{Event, ExitCause, Signal},
};
use rpcplugin_tests::pb::{BigPayloadRequest, ExitRequest, LogLineRequest, PanicRequest};

use super::*;

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_plugin_that_is_shut_down_leaves_nothing() {
    let place = Place::new();
    let plugin = place.launch(&rust()).await.unwrap();
    let container = name(&plugin);
    assert!(podman::exists(&container) && implementation(&plugin).await.contains("rpcplugin"));
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert!(!podman::exists(&container), "the container is removed before the shutdown returns");
    place.is_empty(&container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn crashes_are_reported_with_status_or_signal() {
    let place = Place::new();
    let plugin = place.launch(&rust()).await.unwrap();
    let container = name(&plugin);
    KitClient::new(plugin.channel()).exit(ExitRequest { code: 3 }).await.unwrap_err();
    assert_eq!(exit(&plugin).await, ExitReason::Status(3));
    place.is_empty(&container).await;

    let plugin = place.launch(&rust()).await.unwrap();
    let container = name(&plugin);
    KitClient::new(plugin.channel()).panic(PanicRequest { message: "bang".into() }).await.unwrap_err();
    assert!(!exit(&plugin).await.is_success());
    place.is_empty(&container).await;

    // A kill from outside is not taken for the end of the memory, although that is limited.
    let plugin = place.launch(&rust().memory(64 << 20)).await.unwrap();
    let container = name(&plugin);
    podman::output(&format!("kill --signal KILL {container}"));
    assert_eq!(exit(&plugin).await, ExitReason::Signal(Signal::KILL));
    place.is_empty(&container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_plugin_that_runs_out_of_memory_is_named() {
    let place = Place::new();
    let plugin = place.launch(&rust().memory(32 << 20)).await.unwrap();
    let container = name(&plugin);
    let status = KitClient::new(plugin.channel())
        .max_decoding_message_size(usize::MAX)
        .big_payload(BigPayloadRequest { n: 128 << 20, seed: 1 })
        .await
        .unwrap_err();
    let reason = exit(&plugin).await;
    let ExitReason::Reported(report) = &reason else { panic!("not reported: {reason:?} {status}") };
    assert_eq!((report.cause, report.status), (ExitCause::OutOfMemory, Some(137)), "{reason}");
    assert!(reason.to_string().contains("32 MiB"), "{reason}");
    place.is_empty(&container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_container_that_is_removed_from_outside_is_named() {
    let place = Place::new();
    let plugin = place.launch(&rust()).await.unwrap();
    let container = name(&plugin);
    podman::output(&format!("rm --force --time 0 {container}"));
    let reason = exit(&plugin).await;
    let ExitReason::Reported(report) = &reason else { panic!("not reported: {reason:?}") };
    assert_eq!(report.cause, ExitCause::Removed, "{reason}");
    place.is_empty(&container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_paused_plugin_is_killed_after_the_grace() {
    let place = Place::new();
    let host = place.host(|config| config.grace = Duration::from_millis(500));
    let plugin = host.launch_with(&rust()).await.unwrap();
    let container = name(&plugin);
    podman::output(&format!("pause {container}"));
    let exit = plugin.shut_down().await;
    assert!(matches!(exit, Exit::Killed { signal: Signal::KILL, .. }), "{exit}");
    place.is_empty(&container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_plugin_that_is_dropped_and_a_launch_that_is_given_up_leave_nothing() {
    let place = Place::new();
    let plugin = place.launch(&rust()).await.unwrap();
    let container = name(&plugin);
    drop(plugin);
    place.is_empty(&container).await;

    // Given up at each of several moments: before the creation, after it, and while the container starts.
    let mark = place.sockets.path().display().to_string();
    for delay in [0, 20, 60, 120, 180, 260] {
        let host = place.host(|_| {});
        let container = rust();
        let launch = host.launch_with(&container);
        let _ = tokio::time::timeout(Duration::from_millis(delay), launch).await;
        eventually("nothing is left", || {
            place.directories().is_empty() && podman::labelled(&mark).is_empty()
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn a_supervised_plugin_starts_again_in_a_new_container() {
    let place = Place::new();
    let host = place.host(|config| config.supervision.max_restarts = 3);
    let supervised = host.supervise_with(rust()).await.unwrap();
    let first = supervised.generation().unwrap();
    let container = container_at(first.endpoint());
    let _ = KitClient::new(first.channel()).exit(ExitRequest { code: 9 }).await;
    let second = tokio::time::timeout(Duration::from_secs(60), supervised.later_generation(first.number()));
    let second = container_at(second.await.unwrap().unwrap().endpoint());
    assert!(podman::exists(&second) && !podman::exists(&container));
    supervised.shut_down().await;
    place.is_empty(&second).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn the_end_of_the_engine_is_not_the_end_of_the_plugin() {
    let mut service = podman::Service::start();
    let place = Place::new();
    let plugin = place.launch(&rust().engine(service.engine())).await.unwrap();
    let container = name(&plugin);
    service.kill();
    // The sockets do not go through the engine.
    assert!(implementation(&plugin).await.contains("rpcplugin"));
    assert!(plugin.ended().is_none());
    service.restart();
    assert!(implementation(&plugin).await.contains("rpcplugin"));
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    place.is_empty(&container).await;

    // The plugin ends while the engine is away.
    let plugin = place.launch(&rust().engine(service.engine())).await.unwrap();
    let container = name(&plugin);
    service.kill();
    KitClient::new(plugin.channel()).exit(ExitRequest { code: 4 }).await.unwrap_err();
    service.restart();
    assert_eq!(exit(&plugin).await, ExitReason::Status(4));
    place.is_empty(&container).await;
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn the_log_goes_on_after_a_restart_of_the_engine() {
    let mut service = podman::Service::start();
    let place = Place::new();
    let plugin = place.launch(&rust().engine(service.engine())).await.unwrap();
    let container = name(&plugin);
    let mut events = plugin.events();
    service.kill();
    service.restart();
    // What is printed while the engine is away is lost. The test prints until a record arrives.
    let mut kit = KitClient::new(plugin.channel());
    let arrived = async {
        loop {
            let line = LogLineRequest { level: "warn".into(), message: "again".into(), ..Default::default() };
            kit.log_line(line).await.unwrap();
            while let Ok(Some(next)) = tokio::time::timeout(Duration::from_millis(100), events.next()).await {
                if matches!(&next.event, Event::Log(record) if record.message.contains("again")) {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), arrived).await.unwrap();
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    place.is_empty(&container).await;
}

#[test]
#[ignore = "needs a container engine: cargo xtask containers"]
fn the_end_of_main_leaves_nothing() {
    let place = Place::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let plugin = runtime.block_on(place.launch(&rust())).unwrap();
    let container = name(&plugin);
    drop(plugin);
    drop(runtime);
    assert!(!podman::exists(&container), "the end of the runtime waits for the removal");
    assert!(place.directories().is_empty());
}
