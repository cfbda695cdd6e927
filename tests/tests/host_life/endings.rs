//! How a plugin ends, and what is told of it.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use rpcplugin::{
    Event, Exit, ExitReason, LaunchFault, OutputOptions, PingError, PluginExited, PluginSet, ServingStatus,
    config::HostTls,
};
use rpcplugin_tests::{
    freeze,
    pb::{CountRequest, CountResponse, EchoRequest, ExitRequest, SleepRequest, kit_client::KitClient},
};
use rustix::process::Signal;
use tonic::{Code, Status, Streaming};

use crate::support::{PATIENCE, Place, client, eventually_gone, group, hostile, kit, process_state, send};

#[tokio::test]
async fn a_polite_stop_is_clean_and_leaves_nothing() {
    let place = Place::new();
    let plugin = place.launch(kit()).await;
    let pid = plugin.pid().unwrap().get();
    assert_eq!(plugin.ping().await.unwrap(), ServingStatus::Serving);
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert_eq!(process_state(pid), None);
    assert!(place.is_tidy());
}

#[tokio::test]
async fn events_tell_the_whole_life() {
    let place = Place::new();
    let mut of_host = place.host.events();
    let plugin = place.launch(kit()).await;
    let (id, mut of_plugin) = (plugin.id(), plugin.events());
    plugin.shut_down().await;
    drop(place);
    for events in [&mut of_host, &mut of_plugin] {
        let mut told = Vec::new();
        while let Some(event) = events.next().await {
            assert_eq!(event.plugin, id);
            if !matches!(event.event, Event::Log(_) | Event::StillWaiting { .. }) {
                told.push(event.event);
            }
        }
        let [Event::Started { pid }, Event::Ready { .. }, Event::Exited { reason }] = told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((pid, reason), (id.pid, ExitReason::Status(0)));
    }
}

#[tokio::test]
async fn a_stop_that_is_ignored_ends_with_the_whole_group() {
    let place = Place::configured(|host| {
        host.configure(|config| {
            config.grace = Duration::from_millis(1500);
            config.terminate_after = Some(Duration::from_millis(1000));
        })
    });
    let plugin = place.launch(hostile("stays-for-ever")).await;
    let pid = plugin.pid().unwrap().get();
    let exit = plugin.shut_down().await;
    let Exit::Killed { signal: rpcplugin::Signal::KILL, after } = exit else { panic!("{exit:?}") };
    assert!(after >= Duration::from_millis(1500) && after < PATIENCE, "{after:?}");
    assert_eq!(process_state(pid), None);
    // What the plugin started is gone too, though nobody of us can reap it.
    crate::support::eventually("the group is gone", || {
        group(pid).into_iter().all(|member| matches!(process_state(member), None | Some('Z')))
    });
    assert!(place.is_tidy());
}

#[tokio::test]
async fn a_plugin_that_left_its_group_ends_all_the_same() {
    let place = Place::configured(|host| host.configure(|config| config.launch_timeout = DEADLINE));
    let error = place.host.launch(hostile("leaves:silent")).await.unwrap_err();
    assert!(
        matches!(error.fault, LaunchFault::Handshake(rpcplugin::host::HandshakeFault::Timeout(_))),
        "{error:?}"
    );
    let place = Place::new();
    let plugin = place.launch(hostile("leaves:stays-for-ever")).await;
    let pid = plugin.pid().unwrap().get();
    let exit = plugin.shut_down_within(Duration::from_millis(500)).await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::Signal::KILL, .. }), "{exit:?}");
    assert_eq!(process_state(pid), None, "it was killed and reaped");
    let plugin = place.launch(hostile("leaves:")).await;
    let pid = plugin.pid().unwrap().get();
    drop(plugin);
    tokio::task::spawn_blocking(move || eventually_gone(pid)).await.unwrap();
    let place = Place::configured(|host| host.configure(|config| config.tls = HostTls::Plaintext));
    let exit = place.launch(hostile("leaves:uncontrolled")).await.shut_down().await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::Signal::TERM, .. }), "{exit:?}");
}

#[tokio::test]
async fn sigterm_is_tried_where_it_is_configured() {
    let place = Place::configured(|host| {
        host.configure(|config| config.terminate_after = Some(Duration::from_millis(500)))
    });
    let exit = place.launch(hostile("stays")).await.shut_down().await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::Signal::TERM, .. }), "{exit:?}");
}

#[tokio::test]
async fn sigterm_is_the_way_to_ask_a_plugin_without_a_controller() {
    let place = Place::configured(|host| {
        host.configure(|config| {
            config.tls = HostTls::Plaintext;
            // Whatever is waited for, it is not this.
            config.terminate_after = None;
        })
    });
    let plugin = place.launch(hostile("uncontrolled")).await;
    let pid = plugin.pid().unwrap().get();
    let begun = Instant::now();
    let exit = plugin.shut_down().await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::Signal::TERM, .. }), "{exit:?}");
    assert!(begun.elapsed() < PATIENCE / 2, "it was asked, and not waited for in vain");
    assert_eq!(process_state(pid), None);
    assert!(place.is_tidy());
}

#[tokio::test]
async fn a_stopped_process_is_late_and_killed() {
    let place = Place::new();
    let plugin = place.launch(kit()).await;
    freeze(plugin.pid().unwrap().get()).unwrap();
    let late = plugin.ping_within(Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(late, PingError::Timeout(_)), "{late:?}");
    let exit = plugin.shut_down_within(Duration::from_millis(300)).await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::Signal::KILL, .. }), "{exit:?}");
    assert!(place.is_tidy());
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipes_holds_up_nobody() {
    let place =
        Place::configured(|host| host.configure(|config| config.drain_timeout = Duration::from_millis(200)));
    let plugin = place.launch(hostile("grandchild")).await;
    let mut events = plugin.events();
    let grandchild = grandchild(&plugin.stderr_tail());
    let begun = Instant::now();
    assert_eq!(plugin.shut_down().await, Exit::Clean);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(process_state(grandchild).is_some(), "it is not of the plugin's group, and lives on");
    while events.next().await.is_some() {}
    send(grandchild, Signal::KILL);
}

fn grandchild(tail: &[String]) -> u32 {
    let line = tail.iter().find_map(|line| line.strip_prefix("grandchild ")).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn calls_that_fail_by_the_end_of_the_process_say_so() {
    let place = Place::new();
    let plugin = place.launch(kit()).await;

    // A plain channel, explained afterwards.
    let mut plain = client(&plugin);
    let kept = plain.fail(rpcplugin_tests::pb::FailRequest {
        code: Code::Unavailable as i32,
        message: "busy".to_owned(),
        note: String::new(),
    });
    let kept = kept.await.unwrap_err();
    let kept = plugin.explain(kept).await;
    assert_eq!(kept.message(), "busy", "what the plugin itself answers stays");

    // Calls under way: one that waits for its answer, one in the middle of its stream.
    let mut explaining = KitClient::new(plugin.channel());
    let endless = CountRequest { from: 0, n: -1, pad_bytes: 0, interval_us: 1000 };
    let mut stream = explaining.count(endless).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let mut plain_stream = plain.count(endless).await.unwrap().into_inner();
    plain_stream.message().await.unwrap();
    let mut exiting = explaining.clone();
    let (answer, _) =
        tokio::join!(explaining.sleep(SleepRequest { ms: 600_000 }), exiting.exit(ExitRequest { code: 3 }));
    let answer = answer.unwrap_err();
    let broken = failure_of(stream).await;
    let plainly_broken = plugin.explain(failure_of(plain_stream).await).await;
    // And one that comes too late.
    let late = explaining.echo(EchoRequest::default()).await.unwrap_err();
    let afterwards = plain.echo(EchoRequest::default()).await.unwrap_err();
    let afterwards = plugin.explain(afterwards).await;

    for status in [answer, broken, plainly_broken, late, afterwards] {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert!(status.message().contains("kit-plugin (process"), "{status:?}");
        assert!(status.message().ends_with("has ended: exit status 3"), "{status:?}");
        assert!(!status.details().is_empty());
        let ended: &PluginExited = status.source().and_then(|source| source.downcast_ref()).unwrap();
        assert_eq!(ended.reason, ExitReason::Status(3));
        assert_eq!(ended.plugin, plugin.id());
    }
    let ping = plugin.ping().await.unwrap_err();
    assert!(matches!(ping, PingError::Ended(ExitReason::Status(3))), "{ping:?}");
    assert_eq!(plugin.wait().await, ExitReason::Status(3));
    assert_eq!(plugin.shut_down().await, Exit::Failed(ExitReason::Status(3)));
    assert!(place.is_tidy());
}

async fn failure_of(mut stream: Streaming<CountResponse>) -> Status {
    loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "the stream ended as if nothing had happened"),
            Err(status) => return status,
        }
    }
}

#[tokio::test]
async fn a_set_stops_all_at_once_and_waits_for_none() {
    let grace = Duration::from_millis(800);
    let place = Place::configured(|host| host.configure(|config| config.grace = grace));
    let mut plugins = PluginSet::new();
    let mut pids = Vec::new();
    for name in ["a", "b", "c"] {
        let plugin = place.launch(kit()).await;
        pids.push(plugin.pid().unwrap().get());
        freeze(plugin.pid().unwrap().get()).unwrap();
        assert!(plugins.insert(name, plugin).is_none());
    }
    let supervised = place.host.supervise(kit()).await.unwrap();
    plugins.insert("d", supervised);
    assert_eq!(plugins.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b", "c", "d"]);

    let begun = Instant::now();
    let exits = plugins.shut_down_within(grace).await;
    let elapsed = begun.elapsed();
    for name in ["a", "b", "c"] {
        assert!(
            matches!(exits[name], Some(Exit::Killed { signal: rpcplugin::Signal::KILL, .. })),
            "{exits:?}"
        );
    }
    assert!(exits["d"].is_some(), "{exits:?}");
    // One after another they would take three times as long; the sum of the grace periods is the line.
    assert!(elapsed < 3 * grace, "{elapsed:?}");
    pids.into_iter().for_each(eventually_gone);
    assert!(place.is_tidy());
}

#[tokio::test]
async fn a_kill_is_at_once() {
    let place = Place::new();
    let plugin = place.launch(kit()).await;
    let mut output = plugin.output(OutputOptions::default());
    let exit = plugin.kill().await;
    assert!(matches!(exit, Exit::Killed { signal: rpcplugin::Signal::KILL, .. }), "{exit:?}");
    assert!(place.is_tidy());
    while output.next().await.is_some() {}
}

/// For a plugin that never answers.
const DEADLINE: Duration = Duration::from_millis(500);
